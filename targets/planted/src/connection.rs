//! One connection: upgrade, echo, end.

use std::future::pending;
use std::net::TcpStream as BlockingStream;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, accept_with_config};

use crate::{Place, Shared};

/// An upgrade that takes longer is dropped.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0)
}

/// An upgraded connection: counted while it lives, and holds the memory that it costs.
struct Upgraded<'a> {
    shared: &'a Shared,
    _state: Vec<u8>,
}

impl<'a> Upgraded<'a> {
    fn new(shared: &'a Shared) -> Self {
        // Written, so that the kernel must provide it.
        let state = vec![0xa5; shared.options.state];
        shared.upgrade_work.burn();
        shared.upgraded();
        Self { shared, _state: state }
    }
}

impl Drop for Upgraded<'_> {
    fn drop(&mut self) {
        self.shared.left();
    }
}

/// Serves a connection as a task.
pub async fn serve(stream: TcpStream, place: Place, shared: Arc<Shared>) {
    let of_the_half = shared.is_of_the_half();
    shared.stand_still(of_the_half).await;
    let handshake = Box::pin(accept_async_with_config(stream, Some(config())));
    let Ok(Ok(mut socket)) = timeout(HANDSHAKE_WITHIN, handshake).await else { return };
    let _upgraded = Upgraded::new(&shared);
    let options = &shared.options;
    let opened = Instant::now();
    let lifetime = shared.lifetime();
    let end = async { if lifetime.is_zero() { pending().await } else { sleep(lifetime).await } };
    tokio::pin!(end);
    let mut heard = opened;
    loop {
        let idle = async {
            if options.idle.is_zero() { pending().await } else { tokio::time::sleep_until(heard + options.idle).await }
        };
        let message = tokio::select! {
            message = socket.next() => message,
            () = idle => break,
            () = &mut end => break,
        };
        heard = Instant::now();
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                shared.stand_still(of_the_half).await;
                shared.message_work.burn();
                shared.keep();
                if !options.reply_pause.is_zero() {
                    let _place = shared.pool.acquire().await;
                    sleep(options.reply_pause).await;
                }
                if !options.serial_pause.is_zero() {
                    let _one = shared.turn.lock().await;
                    sleep(options.serial_pause).await;
                }
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
    drop(place);
}

/// Upgrades a connection and closes it at once: there is no room.
pub async fn try_later(stream: TcpStream) {
    let handshake = Box::pin(accept_async_with_config(stream, Some(config())));
    let Ok(Ok(mut socket)) = timeout(HANDSHAKE_WITHIN, handshake).await else { return };
    let frame = CloseFrame { code: CloseCode::Again, reason: "try again later".into() };
    let _ = socket.close(Some(frame)).await;
    // Until the client has answered the close, or gone.
    while let Ok(Some(Ok(_))) = timeout(HANDSHAKE_WITHIN, socket.next()).await {}
}

/// Serves a connection on the thread that calls it.
pub fn serve_blocking(stream: BlockingStream, _place: &Place, shared: &Shared) {
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    shared.burn_alone();
    let Ok(mut socket) = accept_with_config(stream, Some(config())) else { return };
    let _upgraded = Upgraded::new(shared);
    let (opened, lifetime, idle) = (Instant::now(), shared.lifetime(), shared.options.idle);
    loop {
        let left = (!lifetime.is_zero()).then(|| lifetime.saturating_sub(opened.elapsed()));
        if let Some(wait) = left.into_iter().chain((!idle.is_zero()).then_some(idle)).min() {
            // A wait of nothing would be one without an end.
            if wait.is_zero() || socket.get_ref().set_read_timeout(Some(wait)).is_err() {
                return;
            }
        }
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                shared.message_work.burn();
                shared.keep();
                shared.burn_alone();
                std::thread::sleep(shared.options.reply_pause);
                if !shared.options.serial_pause.is_zero() {
                    let _alone = shared.lock.lock();
                    std::thread::sleep(shared.options.serial_pause);
                }
                if socket.send(message).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
