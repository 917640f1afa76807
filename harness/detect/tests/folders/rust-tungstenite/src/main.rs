use std::env;

use futures_util::{StreamExt, future, stream::TryStreamExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_string());
    let listener = TcpListener::bind(&addr).await.expect("Failed to bind");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(accept_connection(stream));
    }
}

async fn accept_connection(stream: TcpStream) {
    let ws_stream = tokio_tungstenite::accept_async(stream).await.expect("handshake");
    let (write, read) = ws_stream.split();
    let _ = read.try_filter(|msg| future::ready(msg.is_text())).forward(write).await;
}
