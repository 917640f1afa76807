//! Accept queues of listening sockets.
//!
//! `sock_diag` (`man 7 sock_diag`) tells queue and backlog of listeners alone, in some 10 us. `/proc/PID/net/tcp` walks
//! the table of all established connections behind the listeners (2 ms and more, whatever the namespace holds), so it
//! is read rarely, where a namespace may not be entered for `sock_diag`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};

use super::context::Context;
use super::row::Row;
use crate::environment::parse::{hex, lines, words};
use crate::record::Metric;

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
struct Queue {
    waiting: u64,
    backlog: u64,
}

/// By port; several sockets of one port (`SO_REUSEPORT`, both families) are added up.
type Queues = BTreeMap<u16, Queue>;

enum Way {
    /// Asked for at the first beat that needs it.
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
    beat: u64,
    next_proc: Option<Instant>,
}

impl Listeners {
    pub(super) fn new(context: &Context, pid: &str, is_ours: bool) -> Self {
        let way = if context.kernel.is_real() { Way::Unknown } else { Way::Proc };
        Self { pid: pid.to_owned(), is_ours, way, queues: Queues::new(), beat: 0, next_proc: None }
    }

    pub(super) fn sample(&mut self, context: &Context, beat: u64, port: u16, row: &mut Row) {
        if self.beat != beat {
            self.beat = beat;
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
            if families.into_iter().all(|family| ask(socket, family as u8, &mut self.queues).is_ok()) {
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

/// A `sock_diag` socket in our own namespace.
fn open_diag() -> io::Result<File> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    // The kernel answers within the call; the limit only keeps a surprise from stopping the beat.
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(100))?;
    Ok(File::from(socket))
}

/// A `sock_diag` socket in the namespace of a process. A socket stays in the namespace it was made in, so a thread that
/// ends right away enters it; this needs `CAP_SYS_ADMIN`.
fn open_diag_of(pid: &str) -> io::Result<File> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    let enter = move || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        open_diag()
    };
    let thread = std::thread::Builder::new().name("netns".to_owned()).spawn(enter)?;
    thread.join().map_err(|_| io::Error::other("the thread that enters the namespace ended early"))?
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_BYTES: usize = 16 + 56;
const STATE_LISTEN: u8 = 10;

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all TCP sockets of a family that listen.
fn request(family: u8) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    bytes[0..4].copy_from_slice(&(REQUEST_BYTES as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[16] = family;
    bytes[17] = libc::IPPROTO_TCP as u8;
    bytes[20..24].copy_from_slice(&(1_u32 << STATE_LISTEN).to_ne_bytes());
    bytes
}

fn ask(socket: &mut File, family: u8, queues: &mut Queues) -> io::Result<()> {
    socket.write_all(&request(family))?;
    let mut buffer = [0; 16 << 10];
    loop {
        let length = socket.read(&mut buffer)?;
        if answer(&buffer[..length], queues)? {
            return Ok(());
        }
    }
}

/// Takes the messages of one datagram; true at the end of the dump.
fn answer(mut bytes: &[u8], queues: &mut Queues) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "a message of sock_diag is cut off");
    if bytes.is_empty() {
        return Err(broken());
    }
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).ok_or_else(broken)? as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= 16).ok_or_else(broken)?;
        match i32::from(u16::from_ne_bytes([message[4], message[5]])) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return Err(io::Error::other("sock_diag refused")),
            _ => socket_of(&message[16..], queues),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`: state at 1, source port at 4 (network order), receive and send queue at 56 and 60.
fn socket_of(message: &[u8], queues: &mut Queues) {
    let (Some(waiting), Some(backlog)) = (u32_at(message, 56), u32_at(message, 60)) else { return };
    if message[1] == STATE_LISTEN {
        add(queues, u16::from_be_bytes([message[4], message[5]]), u64::from(waiting), u64::from(backlog));
    }
}

fn add(queues: &mut Queues, port: u16, waiting: u64, backlog: u64) {
    let queue = queues.entry(port).or_default();
    queue.waiting = queue.waiting.saturating_add(waiting);
    queue.backlog = queue.backlog.saturating_add(backlog);
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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
    use crate::run::sample::tree::Tree;

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
        ask(&mut open_diag().unwrap(), libc::AF_INET6 as u8, &mut by_diag).unwrap();
        assert_eq!((by_proc[&port].waiting, by_diag[&port].waiting), (1, 1));
    }

    #[test]
    fn a_cut_off_answer_is_an_error() {
        let mut queues = Queues::new();
        assert!(answer(&[], &mut queues).is_err());
        assert!(answer(&[200, 0, 0, 0, 0, 0], &mut queues).is_err());
        let done = [20_u32.to_ne_bytes(), 3_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        assert!(answer(&done, &mut queues).unwrap());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut queues = Queues::new();
            let _ = answer(&text, &mut queues);
            socket_of(&text, &mut queues);
            proc_listeners(&text, &mut queues);
            let _ = only_listeners(&text);
        }
    }
}
