//! The thread that brings the tables up to the journal, a checkpoint at a time.

use std::time::Duration;

use redb::Database;

use super::fence::{Refused, ask};
use super::layer::Layer;
use super::tables::{Snapshot, checkpoint};
use super::{CrashPoint, Shared};

/// A checkpoint that takes longer holds old pages too long and is told of.
const SLOW: Duration = Duration::from_secs(2);

/// Applies what the journal holds until the session ends.
pub fn run(shared: &Shared, tables: &Database) {
    let every = shared.options.checkpoint_every;
    while let Some(layer) = shared.progress.next(every, &shared.view, &shared.fence) {
        let begun = shared.options.clock.now().monotonic;
        if let Err(why) = apply(shared, tables, &layer) {
            shared.refused("tables", &why);
            return;
        }
        let took = shared.options.clock.now().monotonic.saturating_sub(begun);
        if took > SLOW {
            tracing::warn!(?took, rows = layer.rows(), "a checkpoint was slow");
        }
    }
}

fn apply(shared: &Shared, tables: &Database, layer: &Layer) -> Result<(), Refused> {
    shared.options.pass(CrashPoint::BeforeCheckpointCommit);
    let snapshot = ask(|| {
        checkpoint(tables, layer)?;
        shared.options.pass(CrashPoint::AfterCheckpointCommit);
        Snapshot::take(tables)
    })?;
    shared.view.settle(snapshot);
    shared.progress.applied_up_to(layer.last());
    Ok(())
}
