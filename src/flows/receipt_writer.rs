//! Writes the queued receipts of [`super::receipts`], and lets another message follow those that they show to be lost.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::{Services, batches::RETRY_AFTER, delivery};
use crate::store::StoreError;

/// Writes queued receipts, for as long as the server runs. While the database does not answer it keeps trying, and new receipts
/// stay queued.
pub async fn keep_writing(services: Arc<Services>) {
    let receipts = &services.receipts;
    loop {
        receipts.due().await;
        let mut is_failing = false;
        while let Err(error) = receipts.write_batch().await {
            if !is_failing {
                tracing::warn!(waiting = receipts.waiting(), %error, "the receipts of the provider cannot be written: trying again");
            }
            is_failing = true;
            sleep(RETRY_AFTER).await;
        }
        if is_failing {
            tracing::info!("the receipts of the provider are written again");
        }
        if !receipts.lost().is_empty() {
            // The next provider may take seconds.
            let (services, running) = (Arc::clone(&services), services.lifecycle.begin());
            let follow = async move {
                follow_lost(services).await;
                drop(running);
            };
            tokio::spawn(follow.in_current_span());
        }
    }
}

/// Lets another message follow those that a report called lost before it was written that the provider had accepted them. The
/// report could not do that: the request may still have waited for the provider, and have been refused.
async fn follow_lost(services: Arc<Services>) {
    let lost = std::mem::take(&mut *services.receipts.lost());
    let now = services.clock.now();
    for message in lost {
        delivery::follow(&services, &message, now).await;
    }
}

/// Writes the remaining receipts when the server stops, within this time.
pub async fn finish(services: &Arc<Services>, limit: Duration) {
    let finishing = async {
        services.receipts.flush().await?;
        follow_lost(Arc::clone(services)).await;
        Ok::<(), StoreError>(())
    };
    match timeout(limit, finishing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the last receipts of the provider are lost"),
        Err(_) => tracing::error!(error = "it took too long", "the last receipts of the provider are lost"),
    }
}
