//! What the tests of `app` say to it.
#![expect(clippy::unwrap_used, reason = "a helper of tests: a panic is how it reports")]

use std::path::Path;

use futures_util::SinkExt as _;
use target_testing::{Server, Socket, next};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

/// Path with the token of a server that was not given another one.
const PATH: &str = "/ws?token=secret";

/// Another implementation of the protocol, which is asked the same: `APP_PROGRAM=targets/bun/app.ts`, from the workspace.
fn other() -> Option<String> {
    let program = std::env::var("APP_PROGRAM").ok()?;
    // Tests run in the folder of their package.
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(program).to_str().unwrap().to_owned())
}

/// Whether it is this package's own program that is asked: what is told of it in particular holds for it alone.
pub fn is_reference() -> bool {
    other().is_none()
}

/// Starts it on a free port with at most `descriptors` open files.
pub fn start(arguments: &[&str], descriptors: u32) -> Server {
    let Some(program) = other() else {
        return Server::start(env!("CARGO_BIN_EXE_app"), PATH, arguments, descriptors);
    };
    // What only the reference can be told.
    let pairs = arguments.chunks(2).filter(|pair| !["--threads", "--send-buffer"].contains(&pair[0]));
    let arguments: Vec<&str> = pairs.flatten().copied().collect();
    Server::start(&program, PATH, &arguments, descriptors)
}

/// A connection whose receive buffer is as small as the kernel allows.
pub async fn connect_with_small_window(server: &Server) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    server.upgrade(stream, PATH).await.unwrap()
}

/// A number of the metrics page.
pub async fn metric(server: &Server, name: &str) -> u64 {
    let page = server.raw("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let line = page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

pub async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// The next text message that is not about presence.
pub async fn text(socket: &mut Socket) -> String {
    loop {
        match next(socket).await.unwrap() {
            Message::Text(text) if text.starts_with(r#"{"type":"presence""#) => {}
            Message::Text(text) => return text.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

/// Sends a message and returns the answer.
pub async fn ask(socket: &mut Socket, question: &str) -> String {
    send(socket, question).await;
    text(socket).await
}

pub async fn join(socket: &mut Socket, room: &str) -> String {
    ask(socket, &format!(r#"{{"type":"join","room":"{room}"}}"#)).await
}
