//! A connection that is cut when nothing comes of it: its client sends and sends and there is nothing to answer (a head
//! or a body that never ends, in however small pieces, on a new connection or on a kept one), or it does not read its
//! answers. And one that is cut on purpose, before a byte of an answer.
//!
//! The framework's own timers watch the first head of a connection and the silence between two requests, nothing else.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Cuts a connection.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// From now on nothing is written to it: the framework's next byte ends it.
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The connection.
pub(super) struct Watched {
    stream: TcpStream,
    cut: Cut,
    /// How long may pass from the first byte after an answer to the next answer's.
    longest: Duration,
    /// Runs from that byte on, and while an answer cannot be written.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, longest: Duration) -> Self {
        Self { stream, cut: Cut::default(), longest, waiting: None }
    }

    /// What cuts it.
    pub(super) fn cut(&self) -> Cut {
        self.cut.clone()
    }
}

impl Watched {
    /// Ends what waits when its time is over; wakes whoever asked last when it will be.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let over = self.waiting.as_mut().is_some_and(|waiting| waiting.as_mut().poll(cx).is_ready());
        if over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Whether something may be written.
    fn is_whole(&self) -> io::Result<()> {
        if self.cut.0.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        let longest = self.longest;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(longest)));
        // Its end is looked at when something is read or written next.
        let _ = waiting.as_mut().poll(cx);
    }

    fn wrote(&mut self, cx: &mut Context<'_>, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(1..)) => self.waiting = None,
            // Its client does not read.
            Poll::Pending => self.wait(cx),
            Poll::Ready(Ok(0) | Err(_)) => {}
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.wait(cx);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        self.is_whole()?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, &written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        self.is_whole()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(cx, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
