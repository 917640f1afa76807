//! An engine that takes its time: a relay before the real one keeps back each request that makes a container.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Where the real engine listens.
const ENGINE: &str = "/var/run/docker.sock";

/// A relay whose address is in `DOCKER_HOST`'s form; each request for a container is told, and kept back for `keep`.
pub fn slow_engine(socket: &Path, keep: Duration) -> (String, Receiver<()>) {
    let listener = UnixListener::bind(socket).unwrap();
    let (told, asked) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(engine) = UnixStream::connect(ENGINE) else { return };
            let (from_engine, to_client) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
            let told = told.clone();
            std::thread::spawn(move || requests(client, &engine, keep, &told));
            std::thread::spawn(move || {
                relay(from_engine, &to_client, |_| {});
                let _ = to_client.shutdown(Shutdown::Both);
            });
        }
    });
    (format!("unix://{}", socket.display()), asked)
}

fn requests(client: UnixStream, engine: &UnixStream, keep: Duration, told: &Sender<()>) {
    relay(client, engine, |bytes| {
        if String::from_utf8_lossy(bytes).contains("/containers/create") {
            let _ = told.send(());
            std::thread::sleep(keep);
        }
    });
    // A client that is gone takes back nothing of what the engine has begun.
    std::thread::sleep(keep);
    let _ = engine.shutdown(Shutdown::Both);
}

/// Moves bytes until one side ends; each piece is shown first.
fn relay(mut from: UnixStream, mut to: &UnixStream, mut seen: impl FnMut(&[u8])) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        seen(&bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
}
