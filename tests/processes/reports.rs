//! In test mode, the reports of a message arrive without a request.

use std::time::Duration;

use crate::{
    server::{Folder, Server},
    support::PHONE,
};

/// The longest time until a message is delivered, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_test_mode_a_message_is_delivered_by_itself() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("DEBUG", "true")]).await;
    let delivery = server.signup(PHONE).await.ok().text("/data/delivery_id");
    let path = format!("/api/auth/deliveries/{delivery}");
    let delivered = async {
        while server.get(&path).await.ok().text("/status") != "delivered" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.expect("the message is delivered");
    for text in ["messages", "reports=\"played\"", "channels=\"sms\"", "open files"] {
        assert!(server.log().contains(text), "{text} is not in {}", server.log());
    }
}
