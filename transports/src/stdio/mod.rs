//! JSON-RPC 2.0 over a pipe, one message a line: the operations of `/v1` for a host that starts us as a child.
//!
//! Requests run side by side, at most [`StdioLimits::in_flight_max`] at once; at that bound the next line is not read
//! until one of them has its answer. Answers come in the order in which they are ready; lines behind a `session.open`
//! wait for it. The end of the input lets what is under way come to its end, and ends.

mod message;
mod session;

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::Engine;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use session::Session;

/// How much one line and one pipe may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StdioLimits {
    /// Longest line in bytes, without its end. A longer one is skipped and answered as an invalid request.
    pub line_bytes_max: usize,
    /// Requests that run at once.
    pub in_flight_max: usize,
    /// How long what is under way may take after the end of the input.
    pub drain: Duration,
}

impl Default for StdioLimits {
    /// 1 MiB, 64 requests, 20 s.
    fn default() -> Self {
        Self { line_bytes_max: 1 << 20, in_flight_max: 64, drain: Duration::from_secs(20) }
    }
}

/// How a pipe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StdioReport {
    /// Lines that were answered or needed no answer.
    pub lines: u64,
    /// Whether everything that was under way at the end of the input came to its end in time.
    pub drained: bool,
}

/// Serves one pipe until its input ends.
///
/// # Errors
/// When the input cannot be read or the output cannot be written. Commands that were under way run on in the engine.
pub async fn serve(
    engine: Engine,
    input: impl tokio::io::AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    limits: StdioLimits,
) -> std::io::Result<StdioReport> {
    let session = Arc::new(Session::new(engine));
    let (answers, to_write) = mpsc::channel(limits.in_flight_max);
    let mut writer = tokio::spawn(write_lines(to_write, output));
    let report = read_lines(&session, BufReader::new(input), answers, limits).await;
    // A host that reads no more must not keep us.
    if let Ok(written) = tokio::time::timeout(limits.drain, &mut writer).await {
        return written.unwrap_or_else(|error| Err(std::io::Error::other(error))).and(report);
    }
    writer.abort();
    report.map(|report| StdioReport { drained: false, ..report })
}

async fn read_lines(
    session: &Arc<Session>,
    mut input: impl AsyncBufRead + Unpin,
    answers: mpsc::Sender<String>,
    limits: StdioLimits,
) -> std::io::Result<StdioReport> {
    let places = Arc::new(Semaphore::new(limits.in_flight_max));
    let mut running = JoinSet::new();
    let mut lines = 0;
    while let Some(line) = next_line(&mut input, limits.line_bytes_max).await? {
        lines += 1;
        let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
        while running.try_join_next().is_some() {}
        let at_once = match session::read(&line) {
            None => None,
            Some(Err((id, error))) => id.map(|id| message::write(&id, Err(&error))),
            // Lines behind it ask under its key: they wait for it.
            Some(Ok(request)) if session::opens(&request) => session.answer(request, None).await,
            Some(Ok(request)) => {
                // Whose line it is was settled by what came before it, not by what comes while it runs.
                let (principal, session, to_writer) = (session.principal(), Arc::clone(session), answers.clone());
                running.spawn(async move {
                    if let Some(answer) = session.answer(request, principal).await {
                        // A writer that is gone has told why; nobody reads this answer any more.
                        let _ = to_writer.send(answer).await;
                    }
                    drop(place);
                });
                None
            }
        };
        if let Some(answer) = at_once {
            let _ = answers.send(answer).await;
        }
        if answers.is_closed() {
            break;
        }
    }
    let ended = async { while running.join_next().await.is_some() {} };
    let drained = tokio::time::timeout(limits.drain, ended).await.is_ok();
    Ok(StdioReport { lines, drained })
}

/// A line of the input.
#[derive(Debug)]
pub(crate) enum Line {
    /// Its bytes, without its end.
    Whole(Vec<u8>),
    /// It was longer than the limit and was skipped.
    TooLong,
}

async fn next_line(input: &mut (impl AsyncBufRead + Unpin), bytes_max: usize) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    // One byte more than allowed, so that a longer line shows.
    let cap = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = (&mut *input).take(cap).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        return Ok(Some(Line::Whole(line)));
    }
    if line.len() <= bytes_max {
        // The input ended in the middle of a line: what is there counts.
        return Ok(Some(Line::Whole(line)));
    }
    skip_line(input).await?;
    Ok(Some(Line::TooLong))
}

async fn skip_line(input: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

async fn write_lines(mut answers: mpsc::Receiver<String>, mut output: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    while let Some(mut answer) = answers.recv().await {
        answer.push('\n');
        output.write_all(answer.as_bytes()).await?;
        if answers.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}
