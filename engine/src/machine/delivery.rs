//! What becomes of a delivery. Pure: the same record, input and moment give the same answer.

use crate::model::{Delivery, DeliveryState, DeliveryTry, Timestamp, TryResult};

use super::schedule::Schedule;

/// How many tries a record keeps: the first, and the newest of the others.
pub const TRIES_KEPT: usize = 32;

/// What happens to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryInput {
    /// A try ended. It is recorded in every state: it did happen.
    TryEnded {
        /// Whether a person asked for it, outside the schedule.
        resend: bool,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        ended_at: Timestamp,
        /// What came of it.
        result: TryResult,
    },
    /// The subscription was disabled or switched to test sends, or its function is missing.
    Hold,
    /// What held it is over.
    Release,
    /// The subscription was deleted.
    Cancel,
    /// A person wants an exhausted one tried on the whole schedule again.
    Resume,
}

/// Why nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryRefusal {
    /// It is so already, or the delivery has ended: nothing is to be done.
    #[error("the delivery stays as it is")]
    Unchanged,
    /// Only an exhausted delivery can be resumed.
    #[error("only an exhausted delivery can be resumed")]
    NotExhausted,
}

/// The record after the input, its version one higher; or why it stays.
pub fn step(
    delivery: &Delivery,
    input: DeliveryInput,
    now: Timestamp,
    schedule: &Schedule,
) -> Result<Delivery, DeliveryRefusal> {
    let mut next = delivery.clone();
    next.version += 1;
    match input {
        DeliveryInput::TryEnded { resend, started_at, ended_at, result } => {
            let success = result.is_success();
            record_try(&mut next, DeliveryTry { number: 0, resend, started_at, ended_at, result });
            if !resend {
                next.tries_done = next.tries_done.saturating_add(1);
            }
            next.state = after_try(&next, resend, success, ended_at, schedule);
        }
        DeliveryInput::Hold => next.state = held(delivery.state)?,
        DeliveryInput::Release => next.state = released(delivery.state, now)?,
        DeliveryInput::Cancel => next.state = cancelled(delivery.state)?,
        DeliveryInput::Resume => {
            next.state = resumed(delivery.state, now)?;
            next.tries_done = 0;
        }
    }
    Ok(next)
}

fn after_try(
    delivery: &Delivery,
    resend: bool,
    success: bool,
    ended_at: Timestamp,
    schedule: &Schedule,
) -> DeliveryState {
    let state = delivery.state;
    match state {
        DeliveryState::Delivered { .. } => state,
        // Also one that was cancelled or held while the try was under way: the target did take it.
        _ if success => DeliveryState::Delivered { at: ended_at },
        _ if resend => state,
        DeliveryState::Due { .. } => match schedule.gap_after(delivery.tries_done) {
            Some(gap) => DeliveryState::Due { at: ended_at.after(gap) },
            None => DeliveryState::Exhausted,
        },
        // Held while the try was under way: the gap runs all the same.
        DeliveryState::Held { .. } => match schedule.gap_after(delivery.tries_done) {
            Some(gap) => DeliveryState::Held { due_at: ended_at.after(gap) },
            None => DeliveryState::Exhausted,
        },
        DeliveryState::Exhausted | DeliveryState::Cancelled => state,
    }
}

fn held(state: DeliveryState) -> Result<DeliveryState, DeliveryRefusal> {
    match state {
        DeliveryState::Due { at } => Ok(DeliveryState::Held { due_at: at }),
        DeliveryState::Held { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Exhausted
        | DeliveryState::Cancelled => Err(DeliveryRefusal::Unchanged),
    }
}

/// Due now, or when it would have been due without the hold: holding shortens no gap.
fn released(state: DeliveryState, now: Timestamp) -> Result<DeliveryState, DeliveryRefusal> {
    match state {
        DeliveryState::Held { due_at } => Ok(DeliveryState::Due { at: due_at.max(now) }),
        DeliveryState::Due { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Exhausted
        | DeliveryState::Cancelled => Err(DeliveryRefusal::Unchanged),
    }
}

fn cancelled(state: DeliveryState) -> Result<DeliveryState, DeliveryRefusal> {
    match state {
        DeliveryState::Due { .. } | DeliveryState::Held { .. } => Ok(DeliveryState::Cancelled),
        DeliveryState::Delivered { .. } | DeliveryState::Exhausted | DeliveryState::Cancelled => {
            Err(DeliveryRefusal::Unchanged)
        }
    }
}

fn resumed(state: DeliveryState, now: Timestamp) -> Result<DeliveryState, DeliveryRefusal> {
    match state {
        DeliveryState::Exhausted => Ok(DeliveryState::Due { at: now }),
        DeliveryState::Due { .. }
        | DeliveryState::Held { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Cancelled => Err(DeliveryRefusal::NotExhausted),
    }
}

fn record_try(delivery: &mut Delivery, ended: DeliveryTry) {
    let number = delivery.tries.last().map_or(0, |before| before.number).saturating_add(1);
    if delivery.tries.len() >= TRIES_KEPT {
        delivery.tries.drain(1..=delivery.tries.len() - TRIES_KEPT + 1);
    }
    delivery.tries.push(DeliveryTry { number, ..ended });
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
