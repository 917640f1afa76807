//! A parent that restarts the server whenever it ends.

use std::io;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use target_common::serve::EndSignals;
use tokio::process::Command;

/// Pause before the next start.
const PAUSE: Duration = Duration::from_millis(200);
/// The option that makes this process the parent.
const OPTION: &str = "--supervise";

/// Runs this program without the option, again and again, until a signal ends it.
pub async fn supervise() -> io::Result<()> {
    let mut end = EndSignals::new()?;
    let program = std::env::current_exe()?;
    loop {
        let args = std::env::args_os().skip(1).filter(|arg| arg != OPTION);
        let mut child = Command::new(&program).args(args).kill_on_drop(true).spawn()?;
        tokio::select! {
            ended = child.wait() => eprintln!("planted: the server ended ({}), starting it again", ended?),
            () = end.wait() => return stop(&mut child).await,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn stop(child: &mut tokio::process::Child) -> io::Result<()> {
    if let Some(pid) = child.id() {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
    child.wait().await.map(|_| ())
}
