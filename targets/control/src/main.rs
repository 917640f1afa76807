//! `control`: a WebSocket echo server that never changes, so that what moves its numbers is the machine.
//!
//! It is as plain as a server can be that holds many connections: a task for each, a small read buffer, a long accept queue.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Read buffer of a connection, bytes.
const READ_BUFFER: usize = 4096;
/// Largest message, bytes.
const MESSAGE_MAX: usize = 1 << 20;
/// Length of the accept queue.
const BACKLOG: u32 = 4096;
/// An upgrade that takes longer is dropped.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = match arguments.as_slice() {
        [flag, address] if flag == "--address" => address.parse(),
        _ => {
            eprintln!("usage: control --address IP:PORT");
            return ExitCode::from(2);
        }
    };
    match address {
        Ok(address) => match serve(address).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("control: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("control: the address is not IP:PORT: {error}");
            ExitCode::from(2)
        }
    }
}

async fn serve(address: SocketAddr) -> std::io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening on {}", listener.local_addr()?);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, config));
            }
            Err(error) => {
                eprintln!("control: accept failed: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, config: WebSocketConfig) {
    let _ = stream.set_nodelay(true);
    let handshake = Box::pin(accept_async_with_config(stream, Some(config)));
    let Ok(Ok(mut socket)) = tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await else { return };
    // The library answers pings and close frames itself.
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}
