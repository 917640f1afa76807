//! Workers in a swarm of this one node. The tests make a swarm only where the engine is in none, and leave it again; they
//! hold a lock, because an engine has one swarm.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::loads::good_trials;
use super::scenarios::engine;
use super::support::{Bench, shipped, text};

/// The lock on the engine's swarm.
struct Swarm {
    /// This test has made it.
    made: bool,
    _lock: Flock<File>,
}

impl Swarm {
    fn locked() -> Flock<File> {
        let path = std::env::temp_dir().join("wsceiling-tests-swarm.lock");
        let file = File::options().create(true).truncate(false).write(true).open(path).unwrap();
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap()
    }

    /// A swarm, the engine's own or a new one; `None`: there is no engine.
    fn get() -> Option<Self> {
        if !engine() {
            return None;
        }
        let lock = Self::locked();
        let made = docker(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) == "inactive";
        if made {
            assert!(docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]).contains("is now a manager"));
        }
        Some(Self { made, _lock: lock })
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        if self.made {
            docker(&["swarm", "leave", "--force"]);
        }
    }
}

fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Everything at the engine with the label of a run, and every worker in a swarm.
fn left(run: &str) -> Vec<String> {
    let label = format!("label=dev.wsceiling.run={run}");
    let mut all = Vec::new();
    for what in [["service", "ls"], ["network", "ls"]] {
        all.extend(docker(&[what[0], what[1], "-q", "--filter", &label]).lines().map(str::to_owned));
    }
    all.extend(docker(&["ps", "-aq", "--filter", &label]).lines().map(str::to_owned));
    all.extend(tasks());
    all
}

/// Ids of the containers of all workers in the swarm.
fn tasks() -> Vec<String> {
    let listed = docker(&["ps", "-aq", "--no-trunc", "--filter", "label=com.docker.swarm.service.name"]);
    let ours = |id: &&str| {
        let name = ["inspect", id, "--format", "{{index .Config.Labels \"com.docker.swarm.service.name\"}}"];
        // It may go at any moment.
        let name = Command::new("docker").args(name).output().unwrap();
        String::from_utf8_lossy(&name.stdout).starts_with("wsceiling-")
    };
    listed.lines().filter(ours).map(str::to_owned).collect()
}

fn wait_until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn run_name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// A hold that is longer than any test.
fn long() -> Bench {
    Bench::new(&format!(
        r#"
        [run]
        name = "swarm-long"
        repeats = 1
        [targets.echo.process]
        program = "{}"
        args = ["--address", "{{address}}"]
        [axes]
        target = ["echo"]
        runtime = ["docker"]
        [load]
        step = 300
        max = 300
        rate = "2000/s"
        hold = "50s"
        workers = 2
        workers_in = "swarm"
        message = {{ bytes = 64, every = "500ms" }}
        "#,
        shipped("echo").display()
    ))
}

fn start(bench: &Bench) -> Child {
    bench.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The process of a task that holds connections.
fn busy_task() -> (String, i32) {
    wait_until("a task with connections", || {
        tasks().into_iter().find_map(|id| {
            let pid = Command::new("docker").args(["inspect", &id, "--format", "{{.State.Pid}}"]).output().ok()?;
            let pid: i32 = String::from_utf8_lossy(&pid.stdout).trim().parse().ok().filter(|pid| *pid > 0)?;
            let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
            (descriptors >= 150).then_some((id, pid))
        })
    })
}

#[test]
fn workers_in_a_swarm_load_containers_over_an_overlay_network_and_leave_nothing() {
    let Some(_swarm) = Swarm::get() else { return };
    let reports = tempfile::tempdir().unwrap();
    let (trials, folder) = good_trials("swarm.toml", reports.path());
    let trial = &trials[0];
    assert_eq!(trial["steps"][1]["spread"], json!([200, 200]), "{trial:#}");
    let generator = &trial["generator"];
    assert_eq!((&generator["workers"], &generator["ports_per_pair"]), (&json!(2), &json!(64_512)));
    let list = |key: &str| generator[key].as_array().unwrap().clone();
    assert_eq!((list("containers").len(), list("sources").len(), list("nodes").len()), (2, 2, 2), "{generator:#}");
    let host = docker(&["info", "--format", "{{.Name}}"]);
    for (node, source) in list("nodes").iter().zip(list("sources")) {
        assert_eq!((&node["node"], &node["clock_offset_us"]), (&json!(host), &Value::Null), "{node:#}");
        assert!(list("nodes").iter().any(|node| node["addresses"] == json!([source])));
    }
    // All of them run here, so they are sampled like other containers.
    let cpu = trial["sources"]["generator"]["cpu_usage_us_total"].as_str().unwrap_or_default().to_owned();
    assert!(cpu.starts_with("cgroup") || cpu.starts_with("/proc"), "{:#}", trial["sources"]["generator"]);
    assert!(generator["cpu_us"].as_u64().unwrap() > 0);
    assert_eq!(left(&run_name(&folder)), [""; 0]);
}

#[test]
fn workers_in_a_swarm_load_the_front_before_instances() {
    let Some(_swarm) = Swarm::get() else { return };
    let bench = Bench::new(&format!(
        r#"
        [run]
        name = "swarm-front"
        repeats = 1
        [targets.echo.process]
        program = "{}"
        args = ["--address", "{{address}}"]
        [axes]
        target = ["echo"]
        runtime = ["docker"]
        instances = [2]
        front = ["relay"]
        [load]
        step = 100
        max = 100
        rate = "1000/s"
        hold = "300ms"
        workers = 2
        workers_in = "swarm"
        message = {{ bytes = 64, every = "100ms" }}
        "#,
        shipped("echo").display()
    ));
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trials = bench.trials();
    assert_eq!((&trials[0]["outcome"], &trials[0]["steps"][0]["held"]), (&json!("ok"), &json!(100)), "{:#}", trials[0]);
    assert_eq!(trials[0]["steps"][0]["upstream_spread"], json!([50, 50]));
}

#[test]
fn a_worker_that_dies_in_a_hold_is_a_named_event_and_no_fault_of_the_server() {
    let Some(_swarm) = Swarm::get() else { return };
    let bench = long();
    let mut run = start(&bench);
    let (_, pid) = busy_task();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let trials = bench.trials();
    let (trial, host) = (&trials[0], docker(&["info", "--format", "{{.Name}}"]));
    assert_eq!(trial["outcome"], "invalid", "{trial:#}");
    assert_eq!(trial["reason"]["kind"], "client-limited", "{trial:#}");
    let limit = &trial["reason"]["limits"][0];
    assert_eq!((&limit["kind"], &limit["node"]), (&json!("worker-lost"), &json!(host)));
    // As many as it had last said: half of all, unless it was killed while it opened them.
    assert!(limit["connections"].as_u64().is_some_and(|count| count <= 150), "{trial:#}");
    let events = trial["events"].as_array().unwrap();
    let lost = events.iter().find(|event| event["what"]["kind"] == "worker-lost").unwrap();
    assert_eq!((&lost["component"], &lost["what"]["node"]), (&json!("generator"), &json!(host)), "{lost:#}");
    assert_eq!(left(&run_name(&bench.run_folder())), [""; 0]);
}

#[test]
fn ctrl_c_leaves_no_service_no_network_and_no_task() {
    let Some(_swarm) = Swarm::get() else { return };
    let bench = long();
    let mut run = start(&bench);
    busy_task();
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(left(&run_name(&bench.run_folder())), [""; 0]);
}

#[test]
fn clean_removes_what_a_killed_run_left_in_a_swarm() {
    let Some(_swarm) = Swarm::get() else { return };
    let bench = long();
    let mut run = start(&bench);
    busy_task();
    let name = run_name(&bench.run_folder());
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!left(&name).is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_wsceiling")).arg("clean").output().unwrap();
    assert!(text(&output).contains("service wsceiling-"), "{}", text(&output));
    assert_eq!(left(&name), [""; 0], "{}", text(&output));
}

#[test]
fn without_a_swarm_a_cell_is_skipped_and_says_how_to_make_one() {
    if !engine() {
        return;
    }
    let _lock = Swarm::locked();
    if docker(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) != "inactive" {
        eprintln!("skipped: the engine is in a swarm of somebody's");
        return;
    }
    let bench = long();
    bench.run();
    let trials = bench.trials();
    assert_eq!(trials[0]["outcome"], "skipped", "{:#}", trials[0]);
    assert_eq!(trials[0]["reason"]["what"], "the Docker engine is in no swarm");
    assert!(trials[0]["reason"]["hint"].as_str().unwrap().contains("docker swarm init"));
    let load =
        Command::new(env!("CARGO_BIN_EXE_wsceiling")).args(["load", "ws://192.0.2.1:9", "--swarm"]).output().unwrap();
    assert_eq!(load.status.code(), Some(1));
    assert!(text(&load).contains("in no swarm (hint: make one"), "{}", text(&load));
}

/// A registry on this host, ended with the test.
struct Registry {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = folder.path().join("config.yml");
        let (store, address) = (folder.path().join("store"), format!("127.0.0.1:{port}"));
        let storage = format!("storage:\n  filesystem:\n    rootdirectory: {}\n", store.display());
        std::fs::write(&config, format!("version: 0.1\n{storage}http:\n  addr: {address}\n")).unwrap();
        let mut command = Command::new("docker-registry");
        let process = command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(process) = process else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs docker-registry");
            eprintln!("skipped: no docker-registry");
            return None;
        };
        let registry = Self { process, port, folder };
        wait_until("the registry", || std::net::TcpStream::connect(&address).ok());
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_workers_image_is_pushed_to_a_registry_where_one_is_named() {
    let Some(_swarm) = Swarm::get() else { return };
    let Some(registry) = Registry::start() else { return };
    let echo = Echo::start();
    let repository = format!("127.0.0.1:{}/some/name", registry.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsceiling"));
    command.args(["load", &format!("ws://{}", echo.1), "--authorised", "--swarm", "1", "--registry", &repository]);
    let output = command.args(["-n", "20", "--hold", "500ms", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let stored = registry.folder.path().join("store/docker/registry/v2/repositories/some/name/_manifests/tags");
    let tags: Vec<_> = std::fs::read_dir(stored).unwrap().map(|tag| tag.unwrap().file_name()).collect();
    assert!(tags.len() == 1 && tags[0].to_string_lossy().starts_with("wsceiling-"), "{tags:?}");
    let here = docker(&["images", "--format", "{{.Repository}}"]);
    assert!(!here.contains(&repository), "the tag is left at the engine: {here}");
    drop(registry);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsceiling"));
    let output = command
        .args(["load", "ws://192.0.2.1:9", "--authorised", "--swarm", "--registry", &repository])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot push the image of the workers"), "{}", text(&output));
    assert_eq!(tasks(), [""; 0]);
}

/// An echo server on the address of this host that tasks reach, ended with the test.
struct Echo(Child, String);

impl Echo {
    fn start() -> Self {
        let gateway =
            docker(&["network", "inspect", "docker_gwbridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
        let mut child = Command::new(shipped("echo"))
            .args(["--address", &format!("{gateway}:0")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self(child, address)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn load_runs_its_workers_in_a_swarm_too() {
    let Some(_swarm) = Swarm::get() else { return };
    let echo = Echo::start();
    let load = |url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsceiling"));
        command.args([
            "load",
            url,
            "--authorised",
            "--swarm",
            "2",
            "-n",
            "60",
            "--hold",
            "1s",
            "--every",
            "200ms",
            "--format",
            "json",
            "-q",
        ]);
        command.output().unwrap()
    };
    let output = load(&format!("ws://{}", echo.1));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["connections"]["held"], &outcome["own"]["workers"]), (&json!(60), &json!(2)), "{outcome:#}");
    let host = docker(&["info", "--format", "{{.Name}}"]);
    assert_eq!(outcome["own"]["nodes"], json!([host, host]));
    assert!(outcome["own"]["cpu_s"].as_f64().unwrap() > 0.0);
    let refused = load("ws://127.0.0.1:9");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("which tasks of a swarm cannot reach"), "{}", text(&refused));
    assert_eq!(tasks(), [""; 0]);
}
