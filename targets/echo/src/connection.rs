//! One connection: handshake, echo, close.

use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use target_common::serve::Handler;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

/// An upgrade that takes longer is dropped: a half-open peer must not hold a descriptor for ever.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Time the peer gets to answer our close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// How every connection is served.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    config: WebSocketConfig,
}

impl Connection {
    /// `read_buffer` and `max_message` in bytes.
    pub fn new(read_buffer: usize, max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(read_buffer)
            // Nothing is gathered: each reply is written at once, so the write buffer is as large as one message.
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        Self { config }
    }
}

impl Handler for Connection {
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        draining: watch::Receiver<bool>,
    ) {
        // Boxed, so that the state of the handshake is not part of every open connection's task.
        let handshake = Box::pin(accept_async_with_config(stream, Some(self.config)));
        if let Ok(Ok(socket)) = timeout(HANDSHAKE_WITHIN, handshake).await {
            echo(socket, draining).await;
        }
    }
}

async fn echo(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>, mut draining: watch::Receiver<bool>) {
    // One future for the whole connection: made anew for each message it would take a lock each time.
    let mut drain = pin!(async {
        // An error means that the sender is gone, which is the end as well.
        let _ = draining.wait_for(|draining| *draining).await;
    });
    loop {
        let message = tokio::select! {
            biased;
            message = socket.next() => message,
            () = &mut drain => return Box::pin(close(socket, CloseCode::Away, "server is shutting down")).await,
        };
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            // The library answers pings and close frames itself.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Box::pin(fail(socket, &error)).await,
            None => return,
        }
    }
}

/// Closes from our side and waits for the answer.
async fn close(
    mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    code: CloseCode,
    reason: &'static str,
) {
    let _ = timeout(CLOSE_WITHIN, async {
        socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<(), Error>(())
    })
    .await;
}

/// Says why, where the peer broke the protocol. The rest of what it sent is read and discarded, because closing a
/// socket with unread bytes sends a reset, which destroys the close frame on its way.
async fn fail(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>, error: &Error) {
    let code = match error {
        Error::Capacity(_) => CloseCode::Size,
        Error::Utf8(_) => CloseCode::Invalid,
        Error::Protocol(_) => CloseCode::Protocol,
        _ => return,
    };
    let _ = timeout(CLOSE_WITHIN, async {
        socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
        let stream = socket.get_mut();
        stream.shutdown().await?;
        let mut discarded = [0; 512];
        while stream.read(&mut discarded).await? > 0 {}
        Ok::<(), Error>(())
    })
    .await;
}
