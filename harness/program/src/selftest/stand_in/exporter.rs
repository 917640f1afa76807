//! An exporter of one process, in the Prometheus text format, which can be wrong in the ways that exporters are.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::selftest::limits::Metrics;

/// Clock ticks a second in `/proc/PID/stat` (proc(5), `USER_HZ`; 100 on all that Linux runs on today).
const TICKS: f64 = 100.0;
/// Bytes of a page in `/proc/PID/statm` on x86-64 and on most of ARM.
const PAGE: f64 = 4096.0;
/// When an exporter that ends, or forgets, does so after its first answer: in the middle of a short load.
const MIDDLE: Duration = Duration::from_secs(3);
/// How old the numbers of one are whose source hangs.
const OLD: Duration = Duration::from_secs(600);
/// How long it waits for a request.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers until it is dropped.
pub(super) struct Exporter {
    pub(super) address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Tells about a process, or the only child that it has.
    pub(super) fn start(pid: u32, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = std::thread::spawn(move || serve(&listener, pid, metrics, &told));
        Ok(Self { address, ends, thread: Some(thread) })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, pid: u32, metrics: Metrics, ends: &AtomicBool) {
    let mut first = None;
    while !ends.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let since = first.get_or_insert_with(Instant::now).elapsed();
                if metrics == Metrics::Ends && since > MIDDLE {
                    return;
                }
                // Who asks and goes away gets nothing.
                let _ = answer(stream, pid, metrics, since);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn answer(mut stream: TcpStream, pid: u32, metrics: Metrics, since: Duration) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&piece[..length]),
        }
    }
    let (status, body) = match metrics {
        Metrics::Refused => ("401 Unauthorized", String::new()),
        Metrics::OfAnother => ("200 OK", numbers(std::process::id(), metrics, since).unwrap_or_default()),
        // A process that is gone has no numbers.
        _ => {
            numbers(served(pid), metrics, since).map_or(("503 Service Unavailable", String::new()), |it| ("200 OK", it))
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// Who serves: the child of a supervisor, or the process itself.
fn served(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|child| child.parse().ok()).unwrap_or(pid)
}

/// What a client library exports of its process.
fn numbers(pid: u32, metrics: Metrics, since: Duration) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may have spaces and brackets of its own.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let mut cpu_s = (field(14)? + field(15)?) / TICKS;
    if metrics == Metrics::Forgets && since > MIDDLE {
        cpu_s = since.saturating_sub(MIDDLE).as_secs_f64() * 0.01;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let started = now.as_secs_f64() - uptime + field(22)? / TICKS;
    let memory = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let resident = memory.split_whitespace().nth(1)?.parse::<f64>().ok()? * PAGE;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next())?;
    let at = if metrics == Metrics::Old { format!(" {}", now.saturating_sub(OLD).as_millis()) } else { String::new() };
    let all = [
        ("process_cpu_seconds_total", "counter", cpu_s),
        ("process_resident_memory_bytes", "gauge", resident),
        ("process_start_time_seconds", "gauge", (started * TICKS).round() / TICKS),
        ("process_open_fds", "gauge", open as f64),
        ("process_max_fds", "gauge", most.parse().ok()?),
    ];
    let mut text = String::new();
    for (name, kind, value) in all {
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}{at}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(exporter: &Exporter) -> String {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn exporter(metrics: Metrics) -> Exporter {
        Exporter::start(std::process::id(), metrics).unwrap()
    }

    #[test]
    fn it_tells_about_a_process_what_client_libraries_tell() {
        let answer = asked(&exporter(Metrics::Right));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for name in
            ["process_cpu_seconds_total ", "process_open_fds ", "process_max_fds ", "process_start_time_seconds "]
        {
            assert!(answer.contains(&format!("\n{name}")), "{name}: {answer}");
        }
    }

    #[test]
    fn it_is_wrong_in_the_way_that_it_is_asked_to_be() {
        assert!(asked(&exporter(Metrics::Refused)).starts_with("HTTP/1.1 401 "));
        let old = asked(&exporter(Metrics::Old));
        let line = old.lines().find(|line| line.starts_with("process_open_fds")).unwrap();
        let at: u128 = line.split(' ').nth(2).unwrap().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert!((590_000..700_000).contains(&(now - at)), "{line}");
    }
}
