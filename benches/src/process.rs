//! What a process costs: processor time and memory, as Linux counts them under `/proc`. Elsewhere every question is
//! answered by an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// Ticks a second of the counters in `stat`: on Linux the same for every processor that this is built for.
const TICKS: u64 = 100;

/// Processor time of a process so far, its dead threads included, to 10 ms: user and system together.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces and brackets: what counts begins behind the last one.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
    let ticks = |place: usize| fields.as_ref()?.get(place)?.parse::<u64>().ok();
    // The 14th and 15th of all: utime and stime.
    let spent = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    spent.map(|ticks| Duration::from_millis(ticks * 1_000 / TICKS)).ok_or_else(unreadable)
}

/// Processor time of a process's living threads, by name, to the nanosecond. Threads of one name are added up; numbers
/// at the end of a name do not tell them apart.
///
/// # Errors
/// As [`cpu_time`].
pub fn cpu_time_by_thread(pid: u32) -> io::Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        // A thread may have ended since the folder was read.
        let (Ok(name), Ok(times_text)) =
            (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            continue;
        };
        let nanos = times_text.split_whitespace().next().and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', ':', '_']);
        *times.entry(name.to_owned()).or_default() += Duration::from_nanos(nanos);
    }
    Ok(times)
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What is resident now.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
}

/// The memory of a process now.
///
/// # Errors
/// As [`cpu_time`].
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
    };
    let memory = bytes("VmRSS").zip(bytes("VmHWM")).map(|(resident, peak)| Memory { resident, peak });
    memory.ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::other("the system tells this in a form that is not known here")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        // Its memory is more than a page and never above its peak; its threads add up to no more than it all, nearly.
        let me = std::process::id();
        let memory = memory(me).expect("told");
        assert!(memory.resident > 4_096 && memory.resident <= memory.peak, "{memory:?}");
        let before = cpu_time(me).expect("told");
        let mut sum = 0_u64;
        while cpu_time(me).expect("told") < before + Duration::from_millis(50) {
            sum = (0..100_000_u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
        }
        std::hint::black_box(sum);
        let threads: Duration = cpu_time_by_thread(me).expect("told").values().sum();
        assert!(threads >= Duration::from_millis(40), "{threads:?}");
    }

    #[test]
    fn nobody_costs_an_error() {
        // A process that does not exist is an error, not a zero.
        assert!(cpu_time(u32::MAX).is_err() && memory(u32::MAX).is_err() && cpu_time_by_thread(u32::MAX).is_err());
    }
}
