//! The thread that brings the tables up to the journal, a checkpoint at a time.

use std::sync::Arc;
use std::time::Duration;

use redb::Database;

use super::fence::{Refused, ask};
use super::progress::Group;
use super::tables::{Snapshot, checkpoint, newest};
use super::{CrashPoint, Shared};

/// A checkpoint that takes longer holds old pages too long and is told of.
const SLOW: Duration = Duration::from_secs(2);

/// Applies what the journal holds until the session ends.
pub fn run(shared: &Shared, tables: &Database) {
    let every = shared.options.checkpoint_every;
    while let Some(groups) = shared.progress.next(every, &shared.fence) {
        let begun = shared.options.clock.now().monotonic;
        if let Err(why) = apply(shared, tables, &groups) {
            shared.refused("tables", &why);
            return;
        }
        let took = shared.options.clock.now().monotonic.saturating_sub(begun);
        if took > SLOW {
            tracing::warn!(?took, groups = groups.len(), "a checkpoint was slow");
        }
    }
}

fn apply(shared: &Shared, tables: &Database, groups: &[Arc<Group>]) -> Result<(), Refused> {
    let Some(Group { seq, .. }) = groups.last().map(AsRef::as_ref) else { return Ok(()) };
    let changes = newest(groups.iter().flat_map(|group| &group.puts));
    shared.options.pass(CrashPoint::BeforeCheckpointCommit);
    let snapshot = ask(|| {
        checkpoint(tables, &changes, *seq)?;
        shared.options.pass(CrashPoint::AfterCheckpointCommit);
        Snapshot::take(tables)
    })?;
    shared.view.settle(snapshot, *seq, &changes);
    shared.progress.applied_up_to(*seq);
    Ok(())
}
