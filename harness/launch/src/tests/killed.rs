//! A harness that is killed outright: what dies with it, and what `clean` finds.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Tells the helper below what to launch; without it, it is no harness and does nothing.
const ROLE: &str = "WSCEILING_TEST_ROLE";

/// Not a test: the harness that the tests below start in a process of its own and kill.
#[tokio::test(flavor = "multi_thread")]
async fn helper() {
    let world = match std::env::var(ROLE).as_deref() {
        Ok("bare") => World::new(Runtime::Bare, "sh", &["-c", "setsid sleep 60 & sleep 60; true"]),
        Ok("docker") => World::new(Runtime::Docker, fixture().to_str().unwrap(), &["sleep"]),
        _ => return,
    };
    let mut launcher = world.launcher().await;
    let group = launcher.launch(&world.context()).await.unwrap();
    let instance = &group.instances()[0];
    let folder = instance.cgroup.as_ref().and_then(|cgroup| cgroup.cpu.clone()).unwrap_or_default();
    println!("\nlaunched {} {} {}", instance.pid, world.run_id, folder.display());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// Two cleanings at the same moment would find what the other one is removing.
static CLEANING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Starts the helper and returns it with what it has launched: process, run, cgroup folder.
fn harness(role: &str) -> (Child, u32, String, PathBuf) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::killed::helper", "--nocapture"]).env(ROLE, role);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.starts_with("launched ")).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    (child, words[1].parse().unwrap(), words[2].to_owned(), PathBuf::from(words[3]))
}

/// Processes that carry a run's label.
fn labelled(run_id: &str) -> usize {
    let label = format!("{}={run_id}", label::ENV_RUN);
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let environ = processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
    environ.filter(|environ| environ.split(|&byte| byte == 0).any(|entry| entry == label.as_bytes())).count()
}

#[tokio::test]
async fn no_server_survives_a_killed_harness_and_the_rest_is_found_by_clean() {
    let _alone = CLEANING.lock().await;
    let (mut child, pid, run_id, folder) = harness("bare");
    eventually("everything is started", || labelled(&run_id) >= 3).await;
    let cleaned = clean().await;
    assert!(cleaned.left.iter().any(|name| name.starts_with(&format!("process {pid} "))), "{cleaned:?}");
    assert!(alive(pid), "a live run is left alone");
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server died with the harness", || !alive(pid)).await;
    assert!(labelled(&run_id) > 0, "its children did not");
    let cleaned = clean().await;
    eventually("clean has killed them", || labelled(&run_id) == 0).await;
    if !folder.as_os_str().is_empty() {
        assert!(!folder.exists(), "{cleaned:?}");
        assert!(cleaned.removed.contains(&format!("cgroup {}", folder.display())), "{cleaned:?}");
    }
}

#[tokio::test]
async fn containers_of_a_killed_harness_are_found_by_clean() {
    if !matches!(engine_status().await, EngineStatus::Up { .. }) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has no Docker engine");
        return eprintln!("skipped: no Docker engine");
    }
    let _alone = CLEANING.lock().await;
    let (mut child, pid, run_id, _) = harness("docker");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(alive(pid), "a container outlives the harness");
    let cleaned = clean().await;
    eventually("the container is gone", || !alive(pid)).await;
    let removed = |kind: &str| cleaned.removed.iter().any(|name| name.starts_with(kind) && name.contains(&run_id));
    assert!(removed("container ") && removed("network "), "{cleaned:?}");
    // A test beside this one may have packed the same bytes; an image that a live run uses stays.
    let image = cleaned.removed.iter().any(|name| name.starts_with("image wsceiling/t:"));
    assert!(image || !cleaned.left.is_empty(), "{cleaned:?}");
}
