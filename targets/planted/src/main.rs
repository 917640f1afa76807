//! `planted`: an echo server that meets a limit on purpose. `wsceiling selftest` injects limits with it and checks that the
//! verdict names each. Every knob is an ordinary way in which servers fail: see [`options::Options`].

mod connection;
mod decoys;
mod options;
mod supervise;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use target_common::serve::{EndSignals, announce};
use target_common::work::Work;
use target_common::{listen, runtime};
use tokio::net::{TcpListener, TcpStream};

use crate::options::{AtCap, AtRate, Failure, OnAcceptError, Options};
use target_common::rate::Rate;

/// Pause after a failed accept of a server that waits.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a server that stopped accepting at its cap checks for room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// The knobs.
    pub options: Options,
    /// CPU for each upgrade.
    pub upgrade_work: Work,
    /// CPU for each message.
    pub message_work: Work,
    /// CPU for each upgrade and message, under `lock`.
    pub lock_work: Work,
    /// Held by the connection whose reply is due.
    pub turn: tokio::sync::Mutex<()>,
    /// The same for threads: who waits for it sleeps in the kernel.
    pub lock: std::sync::Mutex<()>,
    /// Places for messages.
    pub pool: tokio::sync::Semaphore,
    /// What is kept of messages.
    kept: std::sync::Mutex<Vec<Vec<u8>>>,
    chance: decoys::Chance,
    open: AtomicUsize,
    upgraded: AtomicUsize,
    /// Connections so far, and whether every second of them gets nothing any more.
    accepted: AtomicUsize,
    half_still: AtomicBool,
}

impl Shared {
    /// Counts an upgraded connection; the one that makes the number full fails the server.
    pub fn upgraded(&self) {
        let now = self.upgraded.fetch_add(1, Ordering::Relaxed) + 1;
        if self.options.fail_at > 0 && now >= self.options.fail_at {
            self.half_still.store(self.options.fail == Failure::Half, Ordering::Relaxed);
            fail(self.options.fail);
        }
    }

    /// Whether a connection is one of the half that stands still in the end.
    pub fn is_of_the_half(&self) -> bool {
        self.accepted.fetch_add(1, Ordering::Relaxed) % 2 == 1
    }

    /// Waits for ever if a connection is of that half and it stands still.
    pub async fn stand_still(&self, of_the_half: bool) {
        if of_the_half && self.half_still.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Burns CPU while no other thread does: an interpreter's lock.
    pub fn burn_alone(&self) {
        if self.options.lock_work > 0 {
            let _alone = self.lock.lock();
            self.lock_work.burn();
        }
    }

    /// Keeps memory for a message, for good.
    pub fn keep(&self) {
        if self.options.keep > 0
            && let Ok(mut kept) = self.kept.lock()
        {
            // Written, so that the kernel must provide it.
            kept.push(vec![0xa5; self.options.keep]);
        }
    }

    /// How long the next connection may live.
    pub fn lifetime(&self) -> Duration {
        let spread = f64::from(self.options.jitter) / 100.0;
        self.options.lifetime.mul_f64(1.0 - spread + 2.0 * spread * self.chance.next())
    }

    /// Counts one less.
    pub fn left(&self) {
        self.upgraded.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's slot under the cap.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    for sign in &options.say {
        eprintln!("{}", sign.line());
    }
    if options.nproc > 0 {
        // The thread that counts too much cannot be started, and that is the point.
        let _ = setrlimit(Resource::RLIMIT_NPROC, options.nproc, options.nproc);
    }
    let threads = if options.supervise { 1 } else { options.threads };
    let target = async { if options.supervise { supervise::supervise().await } else { serve(options).await } };
    runtime::run("planted", threads, target)
}

async fn serve(options: Options) -> io::Result<()> {
    let mut end = EndSignals::new()?;
    let listener = listen::tcp(options.address, options.backlog, None)?;
    let _ballast = std::hint::black_box(vec![0xa5_u8; options.ballast]);
    decoys::start(&options);
    announce(listener.local_addr()?)?;
    let shared = Arc::new(Shared {
        upgrade_work: Work::new(options.work),
        message_work: Work::new(options.message_work),
        lock_work: Work::new(options.lock_work),
        turn: tokio::sync::Mutex::new(()),
        lock: std::sync::Mutex::new(()),
        pool: tokio::sync::Semaphore::new(if options.pool == 0 {
            tokio::sync::Semaphore::MAX_PERMITS
        } else {
            options.pool
        }),
        kept: std::sync::Mutex::default(),
        chance: decoys::Chance::default(),
        open: AtomicUsize::new(0),
        accepted: AtomicUsize::new(0),
        half_still: AtomicBool::new(false),
        upgraded: AtomicUsize::new(0),
        options,
    });
    tokio::select! {
        ended = accept(listener, shared) => ended,
        () = end.wait() => Ok(()),
    }
}

/// Accepts until an accept fails, if the options say that this ends the server.
async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let options = &shared.options;
    let work = Work::new(options.accept_work);
    let mut rate = Rate::new(options.rate);
    loop {
        let full = options.cap > 0 && shared.open.load(Ordering::Relaxed) >= options.cap;
        if full && options.at_cap == AtCap::Stop {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        let stream = match (listener.accept().await, options.on_accept_error) {
            (Ok((stream, _)), _) => stream,
            (Err(error), OnAcceptError::Exit) => return Err(error),
            (Err(_), OnAcceptError::Spin) => continue,
            (Err(error), OnAcceptError::Wait) => {
                eprintln!("accept failed: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        work.burn();
        if options.refuse > 0 && shared.chance.next() * 100.0 < f64::from(options.refuse) {
            drop(stream);
        } else if full {
            tokio::spawn(at_cap(stream, options.at_cap));
        } else if !rate.admits() {
            tokio::spawn(at_rate(stream, options.at_rate));
        } else if options.thread_per_connection {
            on_thread(stream, Place::take(&shared), Arc::clone(&shared));
        } else {
            tokio::spawn(connection::serve(stream, Place::take(&shared), Arc::clone(&shared)));
        }
        if !options.accept_pause.is_zero() {
            tokio::time::sleep(options.accept_pause).await;
        }
    }
}

/// Serves a connection on its own thread. If no thread can start, closes the connection.
fn on_thread(stream: TcpStream, place: Place, shared: Arc<Shared>) {
    let serve = move || {
        let Ok(stream) = stream.into_std() else { return };
        connection::serve_blocking(stream, &place, &shared);
    };
    if let Err(error) = std::thread::Builder::new().stack_size(128 * 1024).spawn(serve) {
        eprintln!("no thread for a connection: {error}");
    }
}

async fn at_cap(stream: TcpStream, how: AtCap) {
    match how {
        AtCap::Close | AtCap::Stop => drop(stream),
        AtCap::Refuse => refuse(stream, "503 Service Unavailable").await,
        AtCap::Silent => {
            let _kept = stream;
            std::future::pending::<()>().await;
        }
        AtCap::Later => connection::try_later(stream).await,
    }
}

async fn at_rate(stream: TcpStream, how: AtRate) {
    match how {
        AtRate::TooMany => refuse(stream, "429 Too Many Requests").await,
        AtRate::Refuse => refuse(stream, "503 Service Unavailable").await,
        AtRate::Close => drop(stream),
    }
}

async fn refuse(mut stream: TcpStream, status: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    // Closing with unread bytes would send a reset, which destroys the answer on its way.
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
}

/// A real fault. A signal that a process sends itself would not end the first process of a container.
#[expect(unsafe_code, reason = "an invalid read is what is planted")]
fn crash() {
    let nowhere: *const u8 = std::ptr::without_provenance(8);
    // SAFETY: none; the page is never mapped, so the kernel ends the process here.
    std::hint::black_box(unsafe { nowhere.read_volatile() });
}

fn fail(how: Failure) {
    match how {
        Failure::Exit => {
            eprintln!("planted failure: giving up");
            std::process::exit(3);
        }
        Failure::Abort => std::process::abort(),
        Failure::Segv => {
            crash();
        }
        Failure::Freeze => {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), Signal::SIGSTOP);
        }
        Failure::Deadlock => loop {
            // Each connection that is upgraded takes one more worker thread of the runtime with it.
            std::thread::park();
        },
        Failure::Half => {}
    }
}
