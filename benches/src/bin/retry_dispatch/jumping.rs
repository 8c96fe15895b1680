//! The machine's clock with jumps: when nothing is to be done, the bench moves it to what is due next, so that a schedule
//! of days runs in the time that its tries take.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maxpay_engine::clock::{Clock, Now, System};
use tokio::sync::Notify;

/// A clock that goes on by itself and can be moved ahead.
#[derive(Debug, Clone)]
pub struct JumpingClock {
    system: System,
    ahead: Arc<Mutex<Duration>>,
    jumped: Arc<Notify>,
}

impl JumpingClock {
    /// One that tells the machine's time.
    pub fn new() -> Self {
        Self { system: System::new(), ahead: Arc::default(), jumped: Arc::default() }
    }

    /// Moves it ahead.
    pub fn jump(&self, by: Duration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
        self.jumped.notify_waiters();
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Now {
        let (now, ahead) = (self.system.now(), *self.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        Now { wall: now.wall.after(ahead), monotonic: now.monotonic + ahead }
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        let until = clock.now().monotonic + wait;
        Box::pin(async move {
            loop {
                let jumped = clock.jumped.notified();
                tokio::pin!(jumped);
                jumped.as_mut().enable();
                let left = until.saturating_sub(clock.now().monotonic);
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = jumped => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_jump_wakes_who_slept_too_long() {
        // Both clocks jump together; an hour's sleep ends with an hour's jump and not before.
        let clock = JumpingClock::new();
        let before = clock.now();
        let mut sleep = clock.sleep(Duration::from_hours(1));
        tokio::time::timeout(Duration::from_millis(1), &mut sleep).await.expect_err("it sleeps");
        clock.jump(Duration::from_hours(1));
        tokio::time::timeout(Duration::from_secs(5), sleep).await.expect("awake");
        let after = clock.now();
        assert!(after.wall.since(before.wall) >= Duration::from_hours(1));
        assert!(after.monotonic.saturating_sub(before.monotonic) >= Duration::from_hours(1));
    }
}
