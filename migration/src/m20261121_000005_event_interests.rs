//! Interests that users can choose, with the ten that every Loopin app starts with.

use crate::runner::prelude::*;
use crate::runner::schema::{big_pk_auto, boolean, text};

pub struct Migration;

const INTERESTS: [(&str, &str); 10] = [
    ("Music & Concerts", "Live music, concerts, festivals and open mics"),
    ("Sports & Fitness", "Matches, runs, workouts and outdoor sports"),
    ("Food & Dining", "Restaurants, tastings, food walks and cooking"),
    ("Art & Culture", "Exhibitions, theatre, dance and heritage"),
    ("Technology", "Meet-ups, hackathons and talks about technology"),
    ("Travel & Adventure", "Trips, treks and weekend getaways"),
    ("Business & Networking", "Founders, careers and professional meet-ups"),
    ("Health & Wellness", "Yoga, meditation and healthy living"),
    ("Education & Learning", "Workshops, courses, book clubs and languages"),
    ("Entertainment", "Films, comedy, games and nights out"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("event_interests")
                    .col(big_pk_auto("id"))
                    .col(text("name"))
                    .col(text("description"))
                    .col(boolean("is_active").default(true))
                    .index(Index::create().name("event_interests_name_key").col("name").unique())
                    .take(),
            )
            .await?;
        let mut insert = Query::insert();
        insert.into_table("event_interests").columns(["name", "description"]);
        for (name, description) in INTERESTS {
            insert.values_panic([name.into(), description.into()]);
        }
        manager.execute(insert).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("event_interests").take()).await
    }
}
