//! Accept queues of listening sockets.
//!
//! `sock_diag` (`man 7 sock_diag`) tells queue and backlog of listeners alone, in some 10 us. `/proc/PID/net/tcp` walks
//! the table of all established connections behind the listeners (2 ms and more, whatever the namespace holds), so it
//! is read rarely, where a namespace may not be entered for `sock_diag`.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::context::Context;
use super::diag::{Listener, listeners, open_diag, open_diag_of};
use super::row::Row;
use crate::environment::parse::{hex, lines, words};
use wsceiling_model::record::Metric;

const QUEUE: &str = "sock_diag idiag_rqueue";
const BACKLOG: &str = "sock_diag idiag_wqueue";
const PROC_QUEUE: &str = "/proc/PID/net/tcp rx_queue";

/// Listeners stand first in `/proc/PID/net/tcp`; this is room for over 400 of them.
const HEAD_BYTES: usize = 64 << 10;
/// Shortest time between two readings of `/proc/PID/net/tcp`, and the share of a core they may take.
const PROC_EVERY: Duration = Duration::from_secs(1);
const PROC_SHARE: u32 = 1000;

/// Waiting connections of a port, and where the kernel begins to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Queue {
    pub(super) waiting: u64,
    pub(super) backlog: u64,
}

/// By port; several sockets of one port (`SO_REUSEPORT`, both families) are added up.
pub(super) type Queues = BTreeMap<u16, Queue>;

enum Way {
    /// Asked for at the first tick that needs it.
    Unknown,
    Diag(File),
    Proc,
}

/// The listening sockets of one network namespace.
pub(super) struct Listeners {
    pid: String,
    is_ours: bool,
    way: Way,
    queues: Queues,
    tick: u64,
    next_proc: Option<Instant>,
}

impl Listeners {
    pub(super) fn new(context: &Context, pid: &str, is_ours: bool) -> Self {
        let way = if context.kernel.is_real() { Way::Unknown } else { Way::Proc };
        Self { pid: pid.to_owned(), is_ours, way, queues: Queues::new(), tick: 0, next_proc: None }
    }

    pub(super) fn sample(&mut self, context: &Context, tick: u64, port: u16, row: &mut Row) {
        if self.tick != tick {
            self.tick = tick;
            self.queues.clear();
            self.read(context);
        }
        let Some(queue) = self.queues.get(&port) else { return };
        let by_diag = matches!(self.way, Way::Diag(_));
        row.count(Metric::ListenQueue, Some(queue.waiting), if by_diag { QUEUE } else { PROC_QUEUE });
        if by_diag {
            row.count(Metric::ListenBacklog, Some(queue.backlog), BACKLOG);
        }
    }

    fn read(&mut self, context: &Context) {
        if let Way::Unknown = self.way {
            let opened = if self.is_ours { open_diag() } else { open_diag_of(&self.pid) };
            self.way = opened.map_or(Way::Proc, Way::Diag);
        }
        if let Way::Diag(socket) = &mut self.way {
            let families = [libc::AF_INET, libc::AF_INET6];
            if families.into_iter().all(|family| ask(socket, family, &mut self.queues).is_ok()) {
                return;
            }
            self.queues.clear();
            self.way = Way::Proc;
        }
        if self.next_proc.is_none_or(|next| context.now >= next) {
            let begin = Instant::now();
            for name in ["tcp", "tcp6"] {
                read_head(context, &format!("/proc/{}/net/{name}", self.pid), &mut self.queues);
            }
            self.next_proc = Some(context.now + PROC_EVERY.max(begin.elapsed() * PROC_SHARE));
        }
    }
}

/// Adds up the listening sockets of an address family by port.
fn ask(socket: &mut File, family: i32, queues: &mut Queues) -> std::io::Result<()> {
    let each = |Listener { port, waiting, backlog }| add(queues, port, u64::from(waiting), u64::from(backlog));
    listeners(socket, family as u8, each)
}

fn add(queues: &mut Queues, port: u16, waiting: u64, backlog: u64) {
    let queue = queues.entry(port).or_default();
    queue.waiting = queue.waiting.saturating_add(waiting);
    queue.backlog = queue.backlog.saturating_add(backlog);
}

/// Reads until the first line that is no listener.
fn read_head(context: &Context, path: &str, queues: &mut Queues) {
    let Ok(file) = context.kernel.open(path) else { return };
    let mut head = vec![0; HEAD_BYTES];
    let mut length = 0;
    while length < HEAD_BYTES {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(read) if read > 0 => length += read,
            _ => break,
        }
        if !only_listeners(&head[..length]) {
            break;
        }
    }
    proc_listeners(&head[..length], queues);
}

/// Whether every whole line so far is the heading or a listener.
fn only_listeners(head: &[u8]) -> bool {
    let whole = head.iter().rposition(|byte| *byte == b'\n').map_or(&head[..0], |end| &head[..end]);
    lines(whole).skip(1).all(|line| words(line).nth(3) == Some(b"0A"))
}

/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 ...`
fn proc_listeners(head: &[u8], queues: &mut Queues) {
    for line in lines(head).skip(1) {
        let mut fields = words(line).skip(1);
        let local = fields.next().and_then(last_hex);
        let state = fields.nth(1);
        let waiting = fields.next().and_then(last_hex);
        if state != Some(b"0A") {
            break;
        }
        if let (Some(port), Some(waiting)) = (local.and_then(|port| u16::try_from(port).ok()), waiting) {
            add(queues, port, waiting, 0);
        }
    }
}

fn last_hex(word: &[u8]) -> Option<u64> {
    word.rsplit(|byte| *byte == b':').next().and_then(hex)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;
    use crate::environment::kernel::Kernel;
    use crate::sample::tree::Tree;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
        \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000081 00:00000000 00000000     0        0 1 1 0\n\
        \x20  1: 00000000:1F90 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 1 1 0\n\
        \x20  2: 0100007F:1F90 0100007F:C000 01 00000000:00000009 00:00000000 00000000     0        0 1 1 0\n";

    #[test]
    fn listeners_of_a_port_are_added_and_connections_are_not() {
        let tree = Tree::new();
        tree.write("/proc/5/net/tcp", HEAD);
        let mut context = Context::new(tree.kernel());
        let mut listeners = Listeners::new(&context, "5", false);
        let mut row = Row::new();
        listeners.sample(&context, 1, 8080, &mut row);
        assert_eq!(row.take(), [(Metric::ListenQueue, 130.0)]);
        // The slow way has a rest: no number, rather than an old one.
        context.now += Duration::from_millis(250);
        listeners.sample(&context, 2, 8080, &mut row);
        assert_eq!(row.take(), []);
        context.now += Duration::from_secs(60);
        listeners.sample(&context, 3, 8080, &mut row);
        assert_eq!(row.take(), [(Metric::ListenQueue, 130.0)]);
        listeners.sample(&context, 3, 81, &mut row);
        assert_eq!(row.take(), []);
    }

    #[test]
    fn the_kernel_tells_queue_and_backlog_of_a_real_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let context = Context::new(Kernel::real());
        let mut listeners = Listeners::new(&context, "self", true);
        let mut row = Row::new();
        listeners.sample(&context, 1, address.port(), &mut row);
        let values = row.take();
        assert!(values.contains(&(Metric::ListenQueue, 3.0)), "{values:?}");
        let backlog = values.iter().find(|(metric, _)| *metric == Metric::ListenBacklog).unwrap().1;
        assert!((1.0..=4096.0).contains(&backlog), "{backlog}");
    }

    #[test]
    fn both_ways_agree_on_a_real_listener() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let context = Context::new(Kernel::real());
        let mut by_proc = Queues::new();
        read_head(&context, "/proc/self/net/tcp6", &mut by_proc);
        let mut by_diag = Queues::new();
        ask(&mut open_diag().unwrap(), libc::AF_INET6, &mut by_diag).unwrap();
        assert_eq!((by_proc[&port].waiting, by_diag[&port].waiting), (1, 1));
    }

    #[test]
    fn a_listener_of_another_namespace_is_asked_there() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // Without the right to make a namespace there is nothing to test.
            let listener =
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok().map(|()| TcpListener::bind("0.0.0.0:0"));
            let port = listener.as_ref().map(|listener| listener.as_ref().unwrap().local_addr().unwrap().port());
            tell.send((port, nix::unistd::gettid())).unwrap();
            let _ = ended.recv();
        });
        let (port, tid) = told.recv().unwrap();
        if let Some(port) = port {
            let context = Context::new(Kernel::real());
            let mut row = Row::new();
            Listeners::new(&context, &format!("self/task/{tid}"), false).sample(&context, 1, port, &mut row);
            let values = row.take();
            assert_eq!(values[0], (Metric::ListenQueue, 0.0));
            assert_eq!(values[1].0, Metric::ListenBacklog);
            assert!(values[1].1 >= 1.0);
        }
        drop(end);
        thread.join().unwrap();
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut queues = Queues::new();
            proc_listeners(&text, &mut queues);
            let _ = only_listeners(&text);
        }
    }
}
