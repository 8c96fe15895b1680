//! What a server does about a store that the disk refused: it tries again and again; nobody exits.

use maxpay_engine::Engine;
use maxpay_engine::store::Health;

/// Tries a store that the disk refused again and again.
pub async fn reopen(engine: Engine, every: std::time::Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Health::Fenced { why } = engine.health().store {
            tracing::error!(%why, "the store is fenced: trying to open it again");
            match engine.reopen().await {
                Ok(()) => tracing::warn!("the store works again"),
                Err(error) => tracing::error!(%error, "the store does not open"),
            }
        }
    }
}
