//! The worker's end of the channel to the coordinator: commands in, reports out, neither ever blocks the loop.

use std::os::fd::{AsFd, AsRawFd as _, RawFd};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{read, write};

use super::{Command, Report};

/// Longest command in bytes.
const COMMAND_MAX: usize = 64 << 20;

/// Reports are droppable once this much waits for the coordinator.
const WAITING_MAX: usize = 1 << 20;

/// The worker's end of the channel.
#[derive(Debug)]
pub struct Channel<I: AsFd, O: AsFd> {
    input: I,
    output: O,
    /// A command whose end has not arrived.
    line: Vec<u8>,
    /// Reports that the coordinator has not taken.
    waiting: Vec<u8>,
    /// The coordinator is gone, or closed the input.
    ended: bool,
    /// Flags of the input and of the output, to be put back.
    flags: [OFlag; 2],
}

impl<I: AsFd, O: AsFd> Channel<I, O> {
    /// Makes both ends non-blocking.
    pub fn new(input: I, output: O) -> anyhow::Result<Self> {
        let flags = [
            unblock(&input).context("make the input non-blocking")?,
            unblock(&output).context("make the output non-blocking")?,
        ];
        Ok(Self { input, output, line: Vec::new(), waiting: Vec::new(), ended: false, flags })
    }

    /// Descriptors of input and output.
    pub fn descriptors(&self) -> (RawFd, RawFd) {
        (self.input.as_fd().as_raw_fd(), self.output.as_fd().as_raw_fd())
    }

    /// Whether nobody is at the other end any more.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// All commands that have arrived.
    pub fn receive(&mut self) -> anyhow::Result<Vec<Command>> {
        let mut commands = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match read(&self.input, &mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(commands);
                }
                Ok(length) => self.take_lines(&buffer[..length], &mut commands)?,
                Err(Errno::EAGAIN) => return Ok(commands),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("read a command"),
            }
        }
    }

    fn take_lines(&mut self, mut bytes: &[u8], commands: &mut Vec<Command>) -> anyhow::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            if !line.trim_ascii().is_empty() {
                commands.push(serde_json::from_slice(&line).context("parse a command")?);
            }
        }
        if self.line.len() + bytes.len() > COMMAND_MAX {
            bail!("read a command: longer than {COMMAND_MAX} bytes");
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether so much waits that a report that a later one replaces had better be left out.
    pub fn congested(&self) -> bool {
        self.waiting.len() > WAITING_MAX
    }

    /// Whether something waits for the output to become writable.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends a report, or the part of it that fits now.
    pub fn send(&mut self, report: &Report) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.waiting, report).context("write a report")?;
        self.waiting.push(b'\n');
        self.flush()
    }

    /// Sends what waits, as far as it fits.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < self.waiting.len() {
            match write(&self.output, &self.waiting[sent..]) {
                Ok(length) => sent += length,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::ECONNRESET) => {
                    self.ended = true;
                    sent = self.waiting.len();
                }
                Err(errno) => return Err(errno).context("write a report"),
            }
        }
        self.waiting.drain(..sent);
        Ok(())
    }

    /// Sends what waits before the worker exits, and waits for the coordinator to take it for that long at most.
    pub fn finish(&mut self, within: std::time::Duration) {
        let deadline = std::time::Instant::now() + within;
        while self.flush().is_ok() && self.waits() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl<I: AsFd, O: AsFd> Drop for Channel<I, O> {
    fn drop(&mut self) {
        let _ = fcntl(&self.input, FcntlArg::F_SETFL(self.flags[0]));
        let _ = fcntl(&self.output, FcntlArg::F_SETFL(self.flags[1]));
    }
}

/// Makes a descriptor non-blocking and returns the flags it had.
fn unblock(descriptor: impl AsFd) -> nix::Result<OFlag> {
    let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
    fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn commands_are_taken_line_by_line_however_they_are_cut() {
        let (mut coordinator, worker) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(worker.try_clone().unwrap(), worker).unwrap();
        let mut text = serde_json::to_vec(&Command::CloseTo { keep: 3 }).unwrap();
        text.extend(b"\n\n{\"command\":\"quit\"}\n");
        let mut got = Vec::new();
        for byte in text {
            coordinator.write_all(&[byte]).unwrap();
            got.extend(channel.receive().unwrap());
        }
        assert_eq!(got, [Command::CloseTo { keep: 3 }, Command::Quit]);
        assert!(!channel.ended());
        drop(coordinator);
        assert!(channel.receive().unwrap().is_empty());
        assert!(channel.ended());
    }

    #[test]
    fn a_coordinator_that_does_not_read_blocks_nothing() {
        let (mut coordinator, worker) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(worker.try_clone().unwrap(), worker).unwrap();
        let report = Report::Closed { open: 1 };
        let mut sent = 0;
        while !channel.congested() {
            channel.send(&report).unwrap();
            sent += 1;
        }
        let line = serde_json::to_vec(&report).unwrap().len() + 1;
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 16];
        while taken < sent * line {
            taken += coordinator.read(&mut buffer).unwrap();
            channel.flush().unwrap();
        }
        assert!(!channel.waits());
    }

    #[test]
    fn what_is_no_command_is_an_error() {
        let (mut coordinator, worker) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(worker.try_clone().unwrap(), worker).unwrap();
        coordinator.write_all(b"{\"command\":\"dance\"}\n").unwrap();
        assert!(channel.receive().is_err());
    }
}
