//! Servers on threads of this process.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// A server that runs `each` on a thread per connection, until the test ends.
pub fn server(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    server_at("127.0.0.1:0", each)
}

pub fn server_at(address: &str, each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let each = Arc::new(each);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let each = Arc::clone(&each);
            std::thread::spawn(move || each(stream));
        }
    });
    address
}

/// A correct echo server.
pub fn echo(stream: TcpStream) {
    let Ok(mut socket) = accept(stream) else { return };
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// Reads a request head; the value of its key.
pub fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return String::new();
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    line.unwrap_or_default().to_owned()
}

/// The head that accepts a key.
pub fn response(key: &str) -> String {
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Does the upgrade, then writes `bytes` and reads on until the client is gone.
pub fn says(bytes: impl Into<Vec<u8>>) -> impl Fn(TcpStream) + Send + Sync + 'static {
    let bytes = bytes.into();
    move |mut stream| {
        let key = request(&mut stream);
        let mut all = response(&key).into_bytes();
        all.extend(&bytes);
        let _ = stream.write_all(&all);
        drain(&mut stream);
    }
}

/// Reads until the client is gone; what it said.
pub fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        heard.extend(&buffer[..length]);
    }
    heard
}

type Rooms = Arc<Mutex<HashMap<String, (u64, Vec<TcpStream>)>>>;

/// A server that speaks enough of the app's protocol. `tidy`: in the order of keys that ours has.
pub fn app(tidy: bool) -> impl Fn(TcpStream) + Send + Sync + 'static {
    let rooms: Rooms = Arc::default();
    move |stream| {
        let out = stream.try_clone().unwrap();
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            let wire: Value = serde_json::from_str(&text).unwrap();
            if handle(&mut socket, &out, &rooms, &wire, tidy).is_none() {
                return;
            }
        }
    }
}

fn handle(socket: &mut WebSocket<TcpStream>, out: &TcpStream, rooms: &Rooms, wire: &Value, tidy: bool) -> Option<()> {
    let room = wire["room"].as_str().unwrap_or_default();
    let reply = match wire["type"].as_str()? {
        "heartbeat" if tidy => format!("{{\"type\":\"heartbeat\",\"id\":{}}}", wire["id"]),
        "heartbeat" => json!({"id": wire["id"], "type": "heartbeat"}).to_string(),
        "join" => {
            let mut rooms = rooms.lock().ok()?;
            rooms.entry(room.to_owned()).or_default().1.push(out.try_clone().ok()?);
            socket.send(Message::text(json!({"type": "presence", "room": room}).to_string())).ok()?;
            json!({"type": "joined", "room": room}).to_string()
        }
        "publish" => {
            let mut rooms = rooms.lock().ok()?;
            let (seq, members) = rooms.get_mut(room)?;
            *seq += 1;
            let (at, body) = (&wire["at"], &wire["body"]);
            let text = if tidy {
                format!("{{\"type\":\"message\",\"room\":\"{room}\",\"seq\":{seq},\"at\":{at},\"body\":{body}}}")
            } else {
                json!({"type": "message", "room": room, "seq": *seq, "at": at, "body": body}).to_string()
            };
            let mut frame = vec![0x81, 126];
            match text.len() {
                short @ 0..126 => frame[1] = short as u8,
                long => frame.extend(u16::try_from(long).unwrap().to_be_bytes()),
            }
            frame.extend(text.as_bytes());
            for member in members {
                let _ = member.write_all(&frame);
            }
            return Some(());
        }
        _ => return None,
    };
    socket.send(Message::text(reply)).ok()
}
