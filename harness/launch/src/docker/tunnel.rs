//! The socket of an engine elsewhere, brought here by `ssh`: with the user's own keys, agent and configuration.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// Longest wait for `ssh` to have logged in.
const WITHIN: Duration = Duration::from_secs(10);
/// Where an engine listens unless the address says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// A running `ssh`; it ends, and its socket goes, on drop.
pub(super) struct Tunnel {
    _ssh: Child,
    folder: Folder,
}

/// A folder that only this user may enter.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Tunnel {
    /// Opens one to `[USER@]HOST[:PORT][/path]`. The error completes `the engine: ...`.
    pub async fn open(place: &str) -> Result<Self, String> {
        Self::open_with("ssh", place).await
    }

    async fn open_with(program: &str, place: &str) -> Result<Self, String> {
        let folder = folder().map_err(|error| format!("no folder for its socket can be made: {error}"))?;
        let socket = folder.0.join("s");
        let mut ssh = Command::new(program);
        ssh.args(arguments(place, &socket)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut ssh =
            ssh.kill_on_drop(true).spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
        let started = Instant::now();
        while !socket.exists() {
            if let Ok(Some(status)) = ssh.try_wait() {
                return Err(format!("{program} ended with {status}: {}", last_words(&mut ssh).await));
            }
            if started.elapsed() > WITHIN {
                return Err(format!("{program} has not logged in within {} s", WITHIN.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { _ssh: ssh, folder })
    }

    /// The engine's socket, here.
    pub fn socket(&self) -> PathBuf {
        self.folder.0.join("s")
    }
}

fn folder() -> std::io::Result<Folder> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("wsceiling-ssh-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(Folder(path))
}

/// It asks nobody anything, and ends where the socket cannot be brought.
fn arguments(place: &str, socket: &Path) -> Vec<String> {
    let (login, path) = place.find('/').map_or((place, SOCKET), |at| place.split_at(at));
    let (user, host) = login.rsplit_once('@').map_or((None, login), |(user, host)| (Some(user), host));
    let port = host.rsplit_once(':').filter(|(host, port)| {
        let is_whole = !host.contains(':') || host.ends_with(']');
        is_whole && port.parse::<u16>().is_ok()
    });
    let (host, port) = port.map_or((host, None), |(host, port)| (host, Some(port)));
    let mut arguments: Vec<String> = ["-N", "-T"].map(str::to_owned).into();
    for option in ["BatchMode=yes", "ExitOnForwardFailure=yes", "ConnectTimeout=8", "ServerAliveInterval=5"] {
        arguments.extend(["-o".to_owned(), option.to_owned()]);
    }
    arguments.extend(["-L".to_owned(), format!("{}:{path}", socket.display())]);
    for (option, value) in [("-l", user), ("-p", port)] {
        arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_owned()]));
    }
    arguments.extend(["--".to_owned(), host.trim_matches(['[', ']']).to_owned()]);
    arguments
}

/// The last line that it said.
async fn last_words(ssh: &mut Child) -> String {
    let mut words = Vec::new();
    if let Some(stderr) = ssh.stderr.take() {
        let read = async { stderr.take(4096).read_to_end(&mut words).await };
        let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
    }
    let text = String::from_utf8_lossy(&words);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(160).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_address_becomes_arguments_and_never_an_option() {
        let of = |place: &str| {
            let all = arguments(place, Path::new("/t/s"));
            all[all.iter().position(|it| it == "-L").unwrap() + 1..].join(" ")
        };
        assert_eq!(of("root@203.0.113.7"), "/t/s:/var/run/docker.sock -l root -- 203.0.113.7");
        assert_eq!(of("h:2222/run/d.sock"), "/t/s:/run/d.sock -p 2222 -- h");
        assert_eq!(of("a@[2001:db8::1]:22"), "/t/s:/var/run/docker.sock -l a -p 22 -- 2001:db8::1");
        assert_eq!(of("2001:db8::1"), "/t/s:/var/run/docker.sock -- 2001:db8::1");
        assert_eq!(of("-oProxyCommand=x"), "/t/s:/var/run/docker.sock -- -oProxyCommand=x");
    }

    /// A program that stands for ssh.
    fn program(folder: &tempfile::TempDir, script: &str) -> String {
        let path = folder.path().join("ssh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn a_login_that_fails_says_the_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let ssh = program(&folder, "echo noise >&2; echo 'h: Permission denied (publickey).' >&2; exit 255");
        let why = Tunnel::open_with(&ssh, "h").await.err().unwrap();
        assert!(why.ends_with("h: Permission denied (publickey)."), "{why}");
        assert!(Tunnel::open_with("/nonexistent/ssh", "h").await.err().unwrap().contains("cannot be started"));
    }

    #[tokio::test]
    async fn the_socket_is_here_while_ssh_runs_and_gone_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ssh = program(&folder, "while [ \"$1\" != -L ]; do shift; done; : > \"${2%%:*}\"; exec sleep 60");
        let tunnel = Tunnel::open_with(&ssh, "h").await.unwrap();
        let socket = tunnel.socket();
        assert!(socket.exists());
        drop(tunnel);
        assert!(!socket.exists() && !socket.parent().unwrap().exists());
    }
}
