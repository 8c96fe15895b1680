//! A bench's own program once more, in another role: what is measured runs in a process of its own, so that it can be
//! counted apart and killed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::Value;

/// Names the role in the child's environment.
const ROLE: &str = "MAXPAY_BENCH_ROLE";

/// The role of this process; `None`: it is the bench itself.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A running child. Killed when it is dropped.
#[derive(Debug)]
pub struct Child {
    process: Process,
    lines: Receiver<io::Result<String>>,
}

impl Child {
    /// Starts this program in `role` with these arguments. What it says on standard error goes to `log`, or where this
    /// process's goes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(role: &str, arguments: &[String], log: Option<File>) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_or_else(Stdio::inherit, Stdio::from))
            .spawn()?;
        let stdout = process.stdout.take().expect("it is piped");
        let (sender, lines) = sync_channel(1_024);
        std::thread::Builder::new().name("child-lines".to_owned()).spawn(move || {
            for line in BufReader::new(stdout).lines() {
                // Whoever started it is gone.
                if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { process, lines })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it says, as JSON. Waits at most `limit`.
    ///
    /// # Errors
    /// It ended, said something else, or nothing in time.
    pub fn hear(&self, limit: Duration) -> io::Result<Value> {
        let line = self.lines.recv_timeout(limit).map_err(|why| match why {
            RecvTimeoutError::Timeout => io::Error::other(format!("a child said nothing within {limit:?}")),
            RecvTimeoutError::Disconnected => io::Error::other("a child ended unexpectedly"),
        })??;
        serde_json::from_str(&line).map_err(|_| io::Error::other(format!("a child said: {line}")))
    }

    /// Tells it to go on.
    ///
    /// # Errors
    /// It ended.
    pub fn go(&mut self) -> io::Result<()> {
        let stdin = self.process.stdin.as_mut().ok_or_else(|| io::Error::other("the child hears nothing"))?;
        writeln!(stdin, "go")?;
        stdin.flush()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends it with SIGKILL, as a crash would, and waits for its end.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.kill();
    }
}

/// In a child: tells the bench.
///
/// # Errors
/// It is gone.
pub fn tell(value: &Value) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{value}")?;
    stdout.flush()
}

/// In a child: waits until the bench says so. An error when it is gone, whatever else there is to do.
///
/// # Errors
/// It is gone.
pub fn wait_for_go() -> io::Result<()> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
