//! Ctrl-C, kill and resume: nothing stays behind, and the record is valid at every moment.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scenarios::engine;
use super::slow_engine::slow_engine;
use super::support::{Bench, assert_valid, misbehave, trials_of};

/// Two trials of some seconds each.
fn long(fault: &str) -> Bench {
    Bench::new(&format!(
        r#"
        [run]
        name = "long"
        repeats = 2
        [targets.server.process]
        program = "{}"
        args = ["{fault}", "{{address}}"]
        [axes]
        target = ["server"]
        [load]
        step = 20
        rate = "200/s"
        hold = "700ms"
        max = 60
        message = {{ bytes = 32, every = "200ms" }}
        "#,
        misbehave().display()
    ))
}

fn start(bench: &Bench) -> Child {
    bench.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until `ready` holds, at most 20 s.
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose command line names the folder of this test or whose environment names the run.
fn servers(bench: &Bench) -> Vec<i32> {
    let Some(run) = run_name(bench) else { return Vec::new() };
    let label = format!("WSCEILING_RUN={run}");
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|line| line == label.as_bytes()))
    })
    .collect()
}

fn run_name(bench: &Bench) -> Option<String> {
    let mut entries = std::fs::read_dir(bench.reports()).ok()?;
    Some(entries.next()?.ok()?.file_name().to_string_lossy().into_owned())
}

fn cgroups_of(run: &str) -> Vec<std::path::PathBuf> {
    fn walk(folder: &Path, depth: u32, run: &str, found: &mut Vec<std::path::PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.file_name().to_string_lossy().contains(run) {
                found.push(entry.path());
            } else if depth > 0 {
                walk(&entry.path(), depth - 1, run, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), 4, run, &mut found);
    found
}

#[test]
fn ctrl_c_leaves_nothing_and_a_valid_report() {
    for fault in ["none", "ignore-term"] {
        let bench = long(fault);
        let mut child = start(&bench);
        wait_until("the server to run", || !servers(&bench).is_empty());
        std::thread::sleep(Duration::from_millis(500));
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130));
        assert_eq!(servers(&bench), [0; 0], "{fault}: a server outlived the run");
        let folder = bench.run_folder();
        assert_valid(&folder);
        assert!(folder.join("index.html").is_file());
        assert!(cgroups_of(&run_name(&bench).unwrap()).is_empty());
        assert_eq!(trials_of(&folder).last().unwrap()["outcome"], "killed");
    }
}

/// An image with nothing in it, of which containers can be made and not started; it goes when this is dropped.
struct EmptyImage(String);

impl EmptyImage {
    /// `None`: there is no command `docker` to make it with.
    fn make() -> Option<Self> {
        let image = Self(format!("wsceiling-test-empty:{}", std::process::id()));
        let mut import = Command::new("docker");
        let mut import =
            import.args(["import", "-", &image.0]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
        // The end of a tar archive.
        import.stdin.take().unwrap().write_all(&[0; 1024]).unwrap();
        assert!(import.wait().unwrap().success());
        Some(image)
    }
}

impl Drop for EmptyImage {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).stdout(Stdio::null()).status();
    }
}

#[test]
fn ctrl_c_waits_for_the_container_that_a_slow_engine_was_asked_for_and_removes_it() {
    let Some(image) = engine().then(EmptyImage::make).flatten() else { return };
    let bench = Bench::new(&format!(
        r#"
        [targets.server.docker]
        image = "{}"
        args = ["/server"]
        port = 9000
        [axes]
        target = ["server"]
        runtime = ["docker"]
        "#,
        image.0
    ));
    let keep = Duration::from_secs(3);
    let (host, asked) = slow_engine(&bench.folder.path().join("engine.sock"), keep);
    let mut child =
        bench.command().env("DOCKER_HOST", host).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    asked.recv_timeout(Duration::from_secs(60)).unwrap();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // What would be left is there by then, whoever waited for it.
    std::thread::sleep(2 * keep);
    let run = run_name(&bench).unwrap();
    let output = Command::new("docker").args(["ps", "-a", "--format", "{{.Names}}"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&run), "{}", super::support::text(&output));
    assert_valid(&bench.run_folder());
}

#[test]
fn after_a_kill_clean_removes_the_rest_and_resume_finishes_the_run() {
    let bench = long("none");
    let mut child = start(&bench);
    wait_until("the first row", || {
        run_name(&bench).is_some_and(|run| {
            std::fs::read_to_string(bench.reports().join(run).join("trials.jsonl")).is_ok_and(|text| !text.is_empty())
        })
    });
    wait_until("the next server", || !servers(&bench).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = bench.run_folder();
    let done_before = trials_of(&folder).len();

    let clean = Command::new(env!("CARGO_BIN_EXE_wsceiling")).arg("clean").output().unwrap();
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stderr));
    wait_until("the servers to be gone", || servers(&bench).is_empty());
    assert!(cgroups_of(&run_name(&bench).unwrap()).is_empty());

    let resumed = bench.command().arg("--resume").arg(&folder).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", super::support::text(&resumed));
    assert_valid(&folder);
    let trials = trials_of(&folder);
    assert!(done_before < 2 && trials.len() == 2, "{done_before} before, {} after", trials.len());
    assert!(trials.iter().all(|trial| trial["outcome"] == "ok"));
}

#[test]
fn a_stopped_run_can_be_resumed_and_its_killed_trial_runs_again() {
    let bench = long("none");
    let mut child = start(&bench);
    wait_until("the server to run", || !servers(&bench).is_empty());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    child.wait().unwrap();
    let folder = bench.run_folder();
    let resumed = bench.command().arg("--resume").arg(&folder).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", super::support::text(&resumed));
    assert_valid(&folder);
    let trials = trials_of(&folder);
    assert_eq!(trials.len(), 2);
    assert!(trials.iter().all(|trial| trial["outcome"] == "ok"));
}

#[test]
fn a_run_is_not_resumed_with_another_matrix() {
    let bench = Bench::misbehaving("none", 0);
    bench.run();
    let folder = bench.run_folder();
    let other = std::fs::read_to_string(&bench.matrix).unwrap().replace("step = 50", "step = 40");
    std::fs::write(&bench.matrix, other).unwrap();
    let resumed = bench.command().arg("--resume").arg(&folder).output().unwrap();
    assert_eq!(resumed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("its matrix is not the one given"));
}
