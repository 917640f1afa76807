//! The bytes of one connection, in both directions, until one of the sides or the edge ends it.
//!
//! Nothing is kept for a connection that is silent: what is read goes into a buffer on the stack, and only what the other side
//! does not take at once is put aside.

use std::future::{pending, poll_fn};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::frames::{self, Frames, Rules, TooBig};
use crate::head::Head;

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// Longest wait for a side to end after the other one has, or after a close frame.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Close code of a message that is too big.
const TOO_BIG: u16 = 1009;
/// Close code of a server that goes away.
const GOING_AWAY: u16 = 1001;

/// When the edge ends a connection, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// At this age.
    pub lifetime: Option<Duration>,
    /// After this much silence.
    pub idle: Option<Duration>,
    /// With a close frame of this code; `None`: without one.
    pub code: Option<u16>,
}

/// What ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both sides have said their last.
    Over,
    /// A side has failed.
    Failed,
    /// The edge ended it, with a code or without.
    Edge(Option<u16>),
}

/// A connection that is passed on.
#[derive(Debug)]
pub struct Passage {
    up: Way,
    down: Way,
    began: Instant,
}

impl Passage {
    /// After the upstream's answer, with these lines added to its head. `rules` say what may pass from the client; `None`: it is no
    /// WebSocket.
    pub fn new(answer: &Head, lines: &str, rules: Option<Rules>, began: Instant) -> Self {
        let frames = || rules.is_some().then(Frames::default);
        let up = Way { frames: frames(), rules: rules.unwrap_or_default(), ..Way::default() };
        let mut down = Way { frames: frames(), pending: answer.with_lines(lines), ..Way::default() };
        // Nothing limits what comes from the server.
        let _ = down.take(answer.rest());
        Self { up, down, began }
    }

    /// Passes bytes on until the end.
    pub async fn run(
        mut self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
        mut upstream: TcpStream,
        ending: &Ending,
        mut draining: watch::Receiver<bool>,
    ) {
        let end = tokio::select! {
            end = self.both(&mut client, &mut upstream, ending) => end,
            _ = draining.wait_for(|draining| *draining) => End::Edge(Some(GOING_AWAY)),
        };
        match end {
            End::Over => {}
            End::Failed => {
                // A reset is passed on as one; it also leaves no port of the edge in TIME_WAIT.
                let _ = upstream.set_zero_linger();
            }
            End::Edge(code) => {
                drop(upstream);
                let _ = timeout(LEAVE_WITHIN, self.leave(client, code)).await;
            }
        }
    }

    /// Both directions at once, and the edge's own reasons to end.
    async fn both(
        &mut self,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
        upstream: &mut TcpStream,
        ending: &Ending,
    ) -> End {
        let mut old = pin!(at(ending.lifetime.map(|lifetime| self.began + lifetime)));
        let mut heard = Instant::now();
        let mut quiet = ending.idle.map(|idle| Box::pin(sleep_until(heard + idle)));
        let mut leaving = None;
        poll_fn(|cx| {
            let up = self.up.poll(cx, client, upstream);
            let down = self.down.poll(cx, upstream, client);
            match (up, down) {
                (Poll::Ready(Err(Stop::TooBig)), _) => return Poll::Ready(End::Edge(Some(TOO_BIG))),
                (Poll::Ready(Err(Stop::Failed)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(End::Failed),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Over),
                (Poll::Pending, Poll::Ready(Ok(()))) => {
                    let soon = || Box::pin(sleep_until(Instant::now() + LEAVE_WITHIN));
                    ready!(leaving.get_or_insert_with(soon).as_mut().poll(cx));
                    return Poll::Ready(End::Over);
                }
                _ => {}
            }
            if old.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Edge(ending.code));
            }
            if self.up.moved() | self.down.moved() {
                heard = Instant::now();
            }
            while let (Some(quiet), Some(idle)) = (quiet.as_mut(), ending.idle) {
                ready!(quiet.as_mut().poll(cx));
                if heard.elapsed() >= idle {
                    return Poll::Ready(End::Edge(ending.code));
                }
                quiet.as_mut().reset(heard + idle);
            }
            Poll::Pending
        })
        .await
    }

    /// Ends the client's connection from the edge's side, with a close frame where one may stand.
    async fn leave(self, mut client: impl AsyncRead + AsyncWrite + Unpin, code: Option<u16>) {
        let Way { frames, mut pending, written, .. } = self.down;
        let between = frames.is_some_and(|frames| frames.between());
        if let Some(code) = code.filter(|_| between) {
            pending.extend_from_slice(&frames::close(code));
        }
        if client.write_all(&pending[written..]).await.is_ok() && client.shutdown().await.is_ok() {
            // A close with bytes unread is a reset, which can overtake the close frame.
            let mut rest = vec![0; 4096];
            while client.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Why a direction cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    TooBig,
    Failed,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Where it is in its frames; `None`: it has none.
    frames: Option<Frames>,
    rules: Rules,
    /// What may pass and was not yet written.
    pending: Vec<u8>,
    /// How much of it has been written.
    written: usize,
    /// The source has said its last.
    ended: bool,
    /// The other side has been told so.
    told: bool,
    /// Something has passed since it was last asked.
    moved: bool,
}

impl Way {
    /// Moves what there is. Ready: the source has ended and the other side knows.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Stop>> {
        loop {
            while self.written < self.pending.len() {
                match ready!(Pin::new(&mut *to).poll_write(cx, &self.pending[self.written..])) {
                    Ok(written @ 1..) => self.written += written,
                    Ok(0) | Err(_) => return Poll::Ready(Err(Stop::Failed)),
                }
            }
            // A burst must not cost memory for as long as the connection lives.
            (self.pending, self.written) = (Vec::new(), 0);
            if self.ended {
                if !self.told {
                    self.told = true;
                    // The side that cannot be told has ended too.
                    let _ = Pin::new(&mut *to).poll_shutdown(cx);
                }
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
            let mut bytes = ReadBuf::uninit(&mut bytes);
            match ready!(Pin::new(&mut *from).poll_read(cx, &mut bytes)) {
                Ok(()) if bytes.filled().is_empty() => self.ended = true,
                Ok(()) => self.take(bytes.filled()).map_err(|TooBig| Stop::TooBig)?,
                Err(_) => return Poll::Ready(Err(Stop::Failed)),
            }
        }
    }

    /// Adds what may pass of these bytes to what is to be written.
    fn take(&mut self, bytes: &[u8]) -> Result<(), TooBig> {
        let before = self.pending.len();
        let taken = if let Some(frames) = &mut self.frames {
            frames.pass(bytes, &self.rules, &mut self.pending)
        } else {
            self.pending.extend_from_slice(bytes);
            Ok(())
        };
        self.moved |= self.pending.len() > before;
        taken
    }

    /// Whether something has passed since this was last asked.
    fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }
}
