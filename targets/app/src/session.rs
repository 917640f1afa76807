//! One open connection: reads what the client sends, writes what its rooms say, and knows when to end.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::limit::{Bucket, Limiter, Ruling};
use crate::metrics::add;
use crate::outbox::{self, Inbox, Outbox};
use crate::protocol::{self, Fault, Request};
use crate::rooms::{MemberId, Room};
use crate::server::Shared;

/// Time the peer gets to answer our close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// Queued messages that are written together, at most.
const BATCH: usize = 32;

/// One open connection.
pub struct Session<'a, S> {
    shared: &'a Shared,
    id: MemberId,
    socket: WebSocketStream<S>,
    outbox: Outbox,
    inbox: Inbox,
    limiter: Limiter,
    rooms: Vec<Arc<Room>>,
    state: Vec<u8>,
    heard: Instant,
}

/// Why a session ends.
#[derive(Debug)]
enum Ending {
    /// The peer closed, or is gone.
    Gone,
    /// We close, with a code and a reason.
    Close(u16, &'static str),
    /// The peer broke the protocol of WebSocket.
    Broken(Error),
}

impl Ending {
    const DRAIN: Self = Self::Close(1001, "server is shutting down");
    const NOT_TEXT: Self = Self::Close(1003, "text only");
    const RATE: Self = Self::Close(1008, "rate limit");
    const IDLE: Self = Self::Close(4000, "idle");
    const SLOW: Self = Self::Close(4008, "slow reader");
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) | Error::Utf8(_) | Error::Protocol(_) => Self::Broken(error),
            _ => Self::Gone,
        }
    }
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    /// A session on a connection that was just upgraded; `rest` are the bytes of it that were already read.
    pub async fn new(shared: &'a Shared, stream: S, rest: Vec<u8>) -> Self {
        let options = &shared.options;
        let config = WebSocketConfig::default()
            .read_buffer_size(options.read_buffer)
            // Enough to put a batch of short messages into one write; what a peer does not read stays in the queue.
            .write_buffer_size(4096)
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_message));
        let (outbox, inbox) = outbox::channel(options.queue as usize);
        let now = Instant::now();
        Self {
            shared,
            id: shared.new_id(),
            socket: WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await,
            outbox,
            inbox,
            limiter: Limiter::new(Bucket::new(options.rate, options.burst, now), options.strikes),
            rooms: Vec::new(),
            // Not zero: the kernel provides zeroed pages only once they are written.
            state: vec![0x5a; options.state],
            heard: now,
        }
    }

    /// Serves the connection until it ends.
    pub async fn run(mut self, mut draining: watch::Receiver<bool>) {
        // One future for the whole connection: a new one for each message would take a lock each time.
        let drain = pin!(async {
            // An error means that the sender is gone, which is the end as well.
            let _ = draining.wait_for(|draining| *draining).await;
        });
        let ending = self.serve(drain).await;
        for room in self.rooms.drain(..) {
            self.shared.rooms.leave(&room, self.id);
        }
        if let Err(ending) = ending {
            // Boxed, so that the state of closing is not part of every open connection's task.
            Box::pin(self.end(ending)).await;
        }
    }

    async fn serve(&mut self, mut drain: Pin<&mut impl Future<Output = ()>>) -> Result<(), Ending> {
        let idle = self.shared.options.idle;
        let slow = Arc::clone(&self.inbox.slow);
        // Armed once and moved when it fires, not with every message: a timer costs more than reading the clock.
        let mut idle_timer = pin!(tokio::time::sleep(idle));
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = &mut drain => return Err(Ending::DRAIN),
                () = slow.notified() => return Err(Ending::SLOW),
                () = &mut idle_timer => {
                    if self.heard.elapsed() >= idle {
                        return Err(Ending::IDLE);
                    }
                    idle_timer.as_mut().reset((self.heard + idle).into());
                }
                _ = self.inbox.queue.recv_many(&mut batch, BATCH) => {
                    // While the peer does not read, its queue fills and marks it as slow. If the queue does not even
                    // fill, the peer is as good as gone.
                    tokio::select! {
                        written = self.write(&mut batch) => written?,
                        () = &mut drain => return Err(Ending::DRAIN),
                        () = slow.notified() => return Err(Ending::SLOW),
                        () = tokio::time::sleep(idle) => return Err(Ending::SLOW),
                    }
                }
                message = self.socket.next() => {
                    let message = message.ok_or(Ending::Gone)??;
                    self.heard = Instant::now();
                    tokio::select! {
                        served = self.receive(message) => served?,
                        () = &mut drain => return Err(Ending::DRAIN),
                        () = slow.notified() => return Err(Ending::SLOW),
                        () = tokio::time::sleep(idle) => return Err(Ending::SLOW),
                    }
                }
            }
        }
    }

    /// Writes messages and flushes.
    async fn write(&mut self, messages: &mut Vec<Utf8Bytes>) -> Result<(), Ending> {
        add(&self.shared.metrics.messages_out, messages.len() as u64);
        for message in messages.drain(..) {
            self.socket.feed(Message::Text(message)).await?;
        }
        Ok(self.socket.flush().await?)
    }

    /// Answers the client after everything that its rooms queued before, so it reads in order.
    async fn reply(&mut self, message: Utf8Bytes) -> Result<(), Ending> {
        let mut messages = Vec::with_capacity(self.inbox.queue.len() + 1);
        while messages.len() < messages.capacity() - 1 {
            let Ok(queued) = self.inbox.queue.try_recv() else { break };
            messages.push(queued);
        }
        messages.push(message);
        self.write(&mut messages).await
    }

    async fn receive(&mut self, message: Message) -> Result<(), Ending> {
        match message {
            Message::Text(_) | Message::Binary(_) | Message::Ping(_) => {}
            // Closing goes on in the library: the next read answers and ends.
            _ => return Ok(()),
        }
        match self.limiter.rule(self.heard) {
            Ruling::Allow => {}
            Ruling::Refuse => {
                add(&self.shared.metrics.rate_limited, 1);
                return self.reply(Fault::RateLimited.message()).await;
            }
            Ruling::Close => {
                add(&self.shared.metrics.rate_limited, 1);
                return Err(Ending::RATE);
            }
        }
        match message {
            Message::Text(text) => {
                add(&self.shared.metrics.messages_in, 1);
                self.touch_state();
                self.shared.work.burn();
                match Request::parse(&text).and_then(|request| self.handle(request)) {
                    Ok(Some(answer)) => self.reply(answer).await,
                    Ok(None) => Ok(()),
                    Err(fault) => self.reply(fault.message()).await,
                }
            }
            Message::Binary(_) => Err(Ending::NOT_TEXT),
            // The library has queued the pong; the next read writes it.
            _ => Ok(()),
        }
    }

    /// Does what a message asks for; returns the answer, if there is one.
    fn handle(&mut self, request: Request<'_>) -> Result<Option<Utf8Bytes>, Fault> {
        let all = &self.shared.rooms;
        Ok(match request {
            Request::Heartbeat { id } => Some(protocol::heartbeat(id)),
            Request::Join { room } => {
                let known = self.joined(&room).is_ok();
                if !known && self.rooms.len() >= self.shared.options.rooms_per_connection {
                    return Err(Fault::RoomLimit);
                }
                let (joined, count) = all.join(&room, self.id, &self.outbox)?;
                if !known {
                    self.rooms.push(joined);
                }
                Some(protocol::joined(&room, count))
            }
            Request::Leave { room } => {
                let index = self.joined(&room)?;
                all.leave(&self.rooms.swap_remove(index), self.id);
                Some(protocol::left(&room))
            }
            Request::Publish { room, at, body } => {
                all.publish(&self.rooms[self.joined(&room)?], &at, &body);
                None
            }
            Request::Presence { room } => Some(protocol::presence(&room, all.presence(&room))),
            Request::History { room, last } => Some(self.rooms[self.joined(&room)?].history(last)),
        })
    }

    /// Index of a room that this connection is a member of.
    fn joined(&self, name: &str) -> Result<usize, Fault> {
        self.rooms.iter().position(|room| room.name() == name).ok_or(Fault::NotJoined)
    }

    /// Reads and changes a little of the session's state, as the handler of a real application would.
    fn touch_state(&mut self) {
        if !self.state.is_empty() {
            let index = self.id as usize % self.state.len();
            self.state[index] = black_box(self.state[index]).wrapping_add(1);
        }
    }

    async fn end(mut self, ending: Ending) {
        let metrics = &self.shared.metrics;
        let closing = async {
            match ending {
                Ending::Gone => {}
                Ending::Close(code, reason) => {
                    match code {
                        4008 => add(&metrics.slow_readers, 1),
                        4000 => add(&metrics.idle_closed, 1),
                        1008 => add(&metrics.rate_closed, 1),
                        _ => {}
                    }
                    self.socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
                    while let Some(Ok(_)) = self.socket.next().await {}
                }
                Ending::Broken(error) => {
                    let code = match error {
                        Error::Capacity(_) => CloseCode::Size,
                        Error::Utf8(_) => CloseCode::Invalid,
                        _ => CloseCode::Protocol,
                    };
                    self.socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
                    // The rest of what it sent is read and discarded: closing a socket with unread bytes sends a
                    // reset, which destroys the close frame on its way.
                    let stream = self.socket.get_mut();
                    stream.shutdown().await?;
                    let mut discarded = [0; 512];
                    while stream.read(&mut discarded).await? > 0 {}
                }
            }
            Ok::<(), Error>(())
        };
        let _ = timeout(CLOSE_WITHIN, closing).await;
    }
}
