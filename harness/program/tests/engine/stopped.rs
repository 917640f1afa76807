//! A worker that is stopped for a while: it says so, and the schedule goes on as it was.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wsceiling_generator::ipc::{Command, Report, Window};
use wsceiling_model::matrix::Scenario;

use crate::driver::{config, due_in, now_ns};
use crate::server::{echo, server};

/// How long it is stopped.
const STOPPED: Duration = Duration::from_millis(300);

struct Process {
    child: Child,
    reports: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn send(&mut self, command: &Command) {
        let mut line = serde_json::to_vec(command).unwrap();
        line.push(b'\n');
        self.child.stdin.as_mut().unwrap().write_all(&line).unwrap();
    }

    fn window(&mut self) -> (Window, u64) {
        let mut lag = 0;
        loop {
            let mut line = String::new();
            self.reports.read_line(&mut line).unwrap();
            match serde_json::from_str(&line).unwrap() {
                Report::Opened(window) | Report::Held(window) | Report::Probed(window) => return (*window, lag),
                Report::Status(status) => lag = lag.max(status.lag_us_max),
                Report::Ready { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_stopped_worker_shows_in_lag_and_latency_and_its_schedule_is_not_stretched() {
    let mut config = config(&[server(echo)]);
    config.scenario = Scenario::Echo;
    config.message_every = Duration::from_millis(100);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_wsceiling"))
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let reports = BufReader::new(child.stdout.take().unwrap());
    let mut process = Process { child, reports };
    process.send(&Command::Configure(Box::new(config)));
    process.send(&Command::Open { count: 20, per_second: 1000.0, start_ns: now_ns() });
    assert_eq!(process.window().0.opened, 20);
    process.send(&Command::Hold { length: Duration::from_secs(2) });
    std::thread::sleep(Duration::from_millis(500));
    let pid = Pid::from_raw(process.child.id().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    std::thread::sleep(STOPPED);
    kill(pid, Signal::SIGCONT).unwrap();
    let (held, status_lag_us) = process.window();
    process.send(&Command::Probe { within: Duration::ZERO });
    let (after, _) = process.window();
    process.send(&Command::Quit);
    process.child.wait().unwrap();

    // Every connection was due at the start of the stop or within 100 ms after it, and counts from then.
    let (lag, reply) = (held.lag.decode().unwrap(), held.reply.decode().unwrap());
    let least = 180_000;
    assert!(lag.max() >= least && status_lag_us >= least, "lag {} us, status {status_lag_us} us", lag.max());
    assert!(reply.max() >= least, "reply {} us", reply.max());
    let late = reply.iter_recorded().filter(|value| value.value_iterated_to() >= least).count();
    assert!(late > 0, "{late} late replies");
    // 20 beats of 100 ms for each of 20 connections, stopped or not, and each has its reply.
    let due = held.messages_due + after.messages_due;
    let expected = due_in(&held, &after, 20, Duration::from_millis(100));
    assert!((due as f64 - expected).abs() <= 20.0, "{due} messages were due, not {expected}");
    assert_eq!(held.messages_answered + after.messages_answered, due);
}
