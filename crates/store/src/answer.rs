//! What a statement returned, whatever the database.

use sea_orm::QueryResult;

/// The summary, and the rows.
#[derive(Default)]
pub(super) struct Answer<S, R> {
    pub(super) summary: S,
    pub(super) rows: Vec<R>,
}

impl<S, R> Answer<S, R>
where
    QueryResult: From<R>,
{
    pub(super) fn first_row(self) -> Option<QueryResult> {
        self.rows.into_iter().next().map(QueryResult::from)
    }

    pub(super) fn all_rows(self) -> Vec<QueryResult> {
        self.rows.into_iter().map(QueryResult::from).collect()
    }
}
