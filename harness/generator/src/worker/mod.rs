//! The worker: a process of the generator that holds a share of the connections, on one thread.
//!
//! ```text
//! coordinator --commands--> loop --> engine --+-- table       which connections there are, and their states
//!             <--reports---                   +-- scheduler   what is due when
//!                                             +-- transport   bytes in, bytes out
//!                                             +-- protocol    what to say, and what an answer means
//! ```
//!
//! The four parts know nothing of each other. `engine` does one turn of the loop with them; `io`, `messages` and `close`
//! are its methods along a connection's life, `commands` those for the coordinator. `rooms` and `counters` are what it
//! keeps beside; `asking` says what a connection does whose message is due while it waits.

mod answers;
mod asking;
mod clock;
mod close;
mod commands;
mod counters;
mod engine;
mod io;
mod losses;
mod messages;
mod protocol;
mod rooms;
mod scheduler;
mod table;
mod transport;
mod usage;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use crate::ipc::channel::Channel;
use crate::ipc::{Command, PROTOCOL_VERSION, Report};
use clock::{Alarm, now_ns};
use engine::Engine;
use usage::UsageMeter;

/// Readiness events taken at once; few, so that what is due in between is not late.
const EVENTS: usize = 256;

const INPUT: Token = Token(usize::MAX - 1);
const OUTPUT: Token = Token(usize::MAX - 2);
const ALARM: Token = Token(usize::MAX - 3);

/// How long the coordinator may take to take the last words of a worker that cannot go on.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs a worker as a process of its own: commands from `input`, reports to `output`, until the coordinator says so or
/// is gone. An interrupt from the terminal is left to the coordinator.
///
/// The kernel kills the worker when the *thread* that started it ends, so the coordinator starts it from one that lives
/// as long as the worker is needed.
pub fn run(input: impl AsFd, output: impl AsFd) -> anyhow::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("ask to die with the coordinator")?;
    SigSet::from(Signal::SIGINT).thread_block().context("block the interrupt signal")?;
    serve(input, output)
}

/// The same on the calling thread of any process: nothing but the descriptor limit of the process is changed.
pub fn serve(input: impl AsFd, output: impl AsFd) -> anyhow::Result<()> {
    let mut channel = Channel::new(input, output)?;
    let result = converse(&mut channel);
    if let Err(error) = &result {
        let _ = channel.send(&Report::Fatal { message: format!("{error:#}") });
    }
    channel.finish(LAST_WORDS);
    result
}

/// The soft descriptor limit, set to what is wanted, or raised to the hard one.
fn set_descriptor_limit(wanted: Option<u64>) -> anyhow::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read the descriptor limit")?;
    let limit = wanted.map_or(hard, |wanted| wanted.min(hard));
    if soft != limit {
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).context("set the descriptor limit")?;
    }
    Ok(limit)
}

fn pin(cpus: &[u32]) -> anyhow::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu as usize).with_context(|| format!("pin the worker to cpu {cpu}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("pin the worker to cpus {cpus:?}"))
}

/// Registers the channel to the coordinator and the alarm.
fn register(poll: &Poll, channel: &Channel<impl AsFd, impl AsFd>, alarm: &Alarm) -> anyhow::Result<()> {
    let (input, output) = channel.descriptors();
    let registry = poll.registry();
    registry
        .register(&mut SourceFd(&input), INPUT, Interest::READABLE)
        .context("wait for commands (hint: the input is a pipe or a socket)")?;
    match registry.register(&mut SourceFd(&output), OUTPUT, Interest::WRITABLE) {
        // A regular file never blocks, so it cannot be waited for.
        Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {}
        result => result.context("wait for the output")?,
    }
    registry.register(&mut SourceFd(&alarm.descriptor()), ALARM, Interest::READABLE).context("wait for the alarm")
}

fn wait(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> anyhow::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error).context("wait for events"),
        _ => Ok(()),
    }
}

fn converse(channel: &mut Channel<impl AsFd, impl AsFd>) -> anyhow::Result<()> {
    let mut poll = Poll::new().context("create an epoll instance")?;
    let mut events = Events::with_capacity(EVENTS);
    let mut alarm = Alarm::new().context("create a timer")?;
    register(&poll, channel, &alarm)?;

    let mut commands = VecDeque::new();
    receive(channel, &mut commands)?;
    while commands.is_empty() && !channel.ended() {
        wait(&mut poll, &mut events, None)?;
        receive(channel, &mut commands)?;
    }
    let config = match commands.pop_front() {
        Some(Command::Configure(config)) => *config,
        Some(Command::Quit) | None => return Ok(()),
        Some(other) => bail!("the first command is not `configure` but {other:?}"),
    };
    pin(&config.cpus)?;
    let descriptor_limit = set_descriptor_limit(config.descriptors)?;
    let mut engine = Engine::new(&config, poll.registry().try_clone().context("share the epoll instance")?)?;
    let mut meter = config.usage.then(UsageMeter::default);
    channel.send(&Report::Ready { version: PROTOCOL_VERSION, pid: std::process::id(), descriptor_limit })?;

    while !channel.ended() && start(&mut engine, &mut commands)? == Next::GoOn {
        let more = engine.work();
        for mut report in engine.take_reports() {
            if let (Report::Status(status), Some(meter)) = (&mut report, &mut meter) {
                status.usage = meter.read(status.now_ns);
            }
            if !(channel.congested() && matches!(report, Report::Status(_))) {
                channel.send(&report)?;
            }
        }
        let timeout = if more {
            Some(Duration::ZERO)
        } else {
            alarm.set(engine.next_moment(), now_ns()).context("set the timer")?;
            None
        };
        wait(&mut poll, &mut events, timeout)?;
        for event in &events {
            match event.token() {
                INPUT => receive(channel, &mut commands)?,
                OUTPUT => channel.flush()?,
                ALARM => {}
                Token(index) => engine.ready(index as u32, event),
            }
        }
    }
    Ok(())
}

/// Takes the commands that have arrived. What time it is is said here, where nothing is waited for.
fn receive(channel: &mut Channel<impl AsFd, impl AsFd>, commands: &mut VecDeque<Command>) -> anyhow::Result<()> {
    for command in channel.receive()? {
        match command {
            Command::Ping { id } => channel.send(&Report::Pong { id, now_ns: now_ns() })?,
            other => commands.push_back(other),
        }
    }
    Ok(())
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Quit,
}

/// Starts the commands whose turn it is: one after the other, but closing does not wait for an opening to end.
fn start(engine: &mut Engine, commands: &mut VecDeque<Command>) -> anyhow::Result<Next> {
    if commands.contains(&Command::Quit) {
        return Ok(Next::Quit);
    }
    while let Some(command) = commands.front() {
        if engine.is_busy() && !matches!(command, Command::CloseTo { .. } | Command::Stop) {
            break;
        }
        engine.start(command).map_err(anyhow::Error::msg)?;
        commands.pop_front();
    }
    Ok(Next::GoOn)
}

#[cfg(test)]
mod tests;
