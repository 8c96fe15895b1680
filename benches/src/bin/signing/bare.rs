//! Signatures and nothing else: what the machine's cores can make of them.

use std::thread;
use std::time::Duration;

use maxpay_adapters::parts::rsa::PrivateKey;
use maxpay_adapters::simulator::authority::new_key;
use maxpay_engine::clock::{Clock, System};

use crate::Failure;

/// About as long as what is signed of an `ali_app` order.
const TEXT_BYTES: usize = 600;

/// Signs on every core for so long. How long each signature took, in microseconds.
///
/// # Errors
/// A key that does not read, which one that was just made does.
pub fn sign(clock: &System, time: Duration) -> Result<Vec<u64>, Failure> {
    let key = PrivateKey::read(&new_key()).map_err(|why| why.to_string())?;
    let text = vec![b'a'; TEXT_BYTES];
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let begun = clock.now().monotonic;
    let signed = thread::scope(|scope| {
        let sign = || {
            let mut waits_us = Vec::new();
            loop {
                let asked = clock.now().monotonic;
                if asked.saturating_sub(begun) >= time {
                    return waits_us;
                }
                drop(key.sign_sha256_base64(&text));
                let took = clock.now().monotonic.saturating_sub(asked);
                waits_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            }
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(sign)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a signer panicked")).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(signed.concat())
}
