//! The door through which time, randomness and ids come in, so that one seed repeats any failure and a schedule
//! of days runs in milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::{RawId, Timestamp};

/// What time it is, twice: the wall clock for records, the monotonic one for waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall time. May jump.
    pub wall: Timestamp,
    /// Time since some fixed moment of this process. Never jumps.
    pub monotonic: Duration,
}

/// Tells the time, and waits.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Now;

    /// Completes once the monotonic clock has advanced by `wait`.
    fn sleep(&self, wait: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Completes once the monotonic clock shows `at`. Unlike a wait that was reckoned from an earlier look at the clock,
    /// it ends no later when the clock moves between that look and the call; a clock that stands still in between must
    /// implement it by itself.
    fn sleep_until(&self, at: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep(at.saturating_sub(self.now().monotonic))
    }
}

/// Gives random bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`. Implementations for production use the operating system's generator.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's own clock and random generator.
#[derive(Debug, Clone)]
pub struct System {
    started: std::time::Instant,
}

impl System {
    /// The system's door.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
    fn now(&self) -> Now {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { wall: Timestamp::from_millis(0).after(since_epoch), monotonic: self.started.elapsed() }
    }

    fn sleep(&self, wait: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(wait))
    }
}

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system's random generator works");
    }
}

/// Mints ids: they sort by creation, also within one millisecond and when the wall clock steps back.
#[derive(Clone)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Milliseconds and counter of the newest id: `millis << 14 | counter`.
    newest: Arc<AtomicU64>,
}

impl IdSource {
    /// A source that reads the given clock and entropy.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, newest: Arc::new(AtomicU64::new(0)) }
    }

    /// A new id of the wanted kind.
    #[must_use]
    pub fn next<T: From<RawId>>(&self) -> T {
        let floor = self.clock.now().wall.millis() << 14;
        let stamp = self
            .newest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |newest| Some(floor.max(newest + 1)))
            .map_or(floor, |before| floor.max(before + 1));
        let (millis, counter) = (stamp >> 14, stamp & 0x3fff);
        // Beyond the year 2106 the seconds wrap, as the original's ids do.
        let seconds = (millis / 1000) & 0xffff_ffff;
        let head = (seconds << 24) | ((millis % 1000) << 14) | counter;
        let mut bytes = [0; RawId::LEN];
        bytes[..7].copy_from_slice(&head.to_be_bytes()[1..]);
        self.entropy.fill(&mut bytes[7..]);
        T::from(RawId(bytes))
    }
}

impl std::fmt::Debug for IdSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdSource")
    }
}

/// A clock that stands still until it is told to move, for tests and simulations.
///
/// Sleepers wake in the order of their due time when [`VirtualClock::advance`] passes it.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    state: Arc<Mutex<VirtualTime>>,
    moved: Arc<tokio::sync::Notify>,
}

#[derive(Debug)]
struct VirtualTime {
    wall: Timestamp,
    monotonic: Duration,
}

impl VirtualClock {
    /// A clock that stands at `wall`.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        let state = VirtualTime { wall, monotonic: Duration::ZERO };
        Self { state: Arc::new(Mutex::new(state)), moved: Arc::new(tokio::sync::Notify::new()) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        {
            let mut time = self.state.lock().expect("no panic while it is held");
            time.wall = time.wall.after(by);
            time.monotonic += by;
        }
        self.moved.notify_waiters();
    }

    /// Sets the wall clock alone, as an administrator or NTP would.
    pub fn jump(&self, wall: Timestamp) {
        self.state.lock().expect("no panic while it is held").wall = wall;
        self.moved.notify_waiters();
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Now {
        let time = self.state.lock().expect("no panic while it is held");
        Now { wall: time.wall, monotonic: time.monotonic }
    }

    fn sleep(&self, wait: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep_until(self.now().monotonic + wait)
    }

    fn sleep_until(&self, at: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let moved = clock.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if clock.now().monotonic >= at {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// Random bytes from a seed: the same seed gives the same bytes. For tests and simulations only.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64.
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (mixed ^ (mixed >> 31)).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
