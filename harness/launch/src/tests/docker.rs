use super::*;
use wsceiling_model::matrix::Image;
use wsceiling_model::record::{Metric, ScrapeFault};

/// Arguments of the fixture; the code, the possible signals and the kill for memory that they end in.
type Case = (&'static [&'static str], Option<i32>, &'static [i32], bool);

/// Whether there is an engine. Where tests run for others (`CI=true`) its absence is a failure, elsewhere it is said.
async fn engine() -> bool {
    match engine_status().await {
        EngineStatus::Up { .. } => true,
        other => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has no Docker engine: {other:?}");
            eprintln!("skipped: no Docker engine");
            false
        }
    }
}

fn world(args: &[&str]) -> World {
    World::new(Runtime::Docker, fixture().to_str().unwrap(), args)
}

#[tokio::test]
async fn the_program_that_bare_runs_is_packed_reached_stopped_and_gone() {
    if !engine().await {
        return;
    }
    let world = world(&["listen", "{address}"]).instances(2);
    let mut launcher = world.launcher().await;
    launcher.prepare(&world.matrix.targets["t"], Runtime::Bare).await.unwrap();
    let sha256 = launcher.binary_sha256("t");
    let mut group = launcher.launch(&world.context()).await.unwrap();
    for launched in group.instances() {
        assert!(!launched.address.ip().is_loopback() && launched.address.port() == 9000);
        assert_eq!(launched.binary_sha256, sha256);
        assert!(launched.image.as_deref().unwrap().starts_with("sha256:"));
        assert_eq!(launched.command[1..], ["listen", "0.0.0.0:9000"]);
        assert!(alive(launched.pid));
        let memory = launched.cgroup.as_ref().unwrap().memory.clone().unwrap();
        assert!(memory.display().to_string().contains(launched.container.as_deref().unwrap()));
        eventually("the server listens", || std::net::TcpStream::connect(launched.address).is_ok()).await;
    }
    assert_eq!(group.exits(), [None, None]);
    eventually("the log is followed", || group.log_tail(1, 1) == ["listening on 0.0.0.0:9000"]).await;
    let exits = group.stop(Duration::from_secs(30)).await;
    assert!(
        exits.iter().all(|exit| exit.as_ref().is_some_and(|exit| exit.requested && exit.signal == Some(9))),
        "{exits:?}"
    );
    let left =
        |kind: &[&str]| docker(&[kind, &["--filter", &format!("label=dev.wsceiling.run={}", world.run_id)]].concat());
    assert_eq!(left(&["ps", "-aq"]), "");
    assert_ne!(left(&["network", "ls", "-q"]), "");
    launcher.finish().await;
    assert_eq!(left(&["network", "ls", "-q"]), "");
    assert_eq!(left(&["image", "ls", "-q"]), "");
}

fn docker(args: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn the_ends_of_containers_are_read_before_they_are_removed() {
    if !engine().await {
        return;
    }
    let small = Size { memory_bytes: Some(32 << 20), ..no_limits() };
    let cases: [Case; 3] = [
        (&["exit", "7"], Some(7), &[], false),
        // The first process of a PID namespace cannot send itself SIGABRT: abort(3) then runs into a trap.
        (&["abort"], None, &[4, 5, 6, 11], false),
        (&["eat", "300"], None, &[9], true),
    ];
    for (args, code, signals, oom_killed) in cases {
        let world = world(args).size(small.clone());
        let mut launcher = world.launcher().await;
        match launcher.launch(&world.context()).await {
            Ok(mut group) => {
                let exit = end_of(&mut group, 0).await;
                assert_eq!((exit.code, exit.oom_killed, exit.requested), (code, Some(oom_killed), false), "{args:?}");
                assert!(exit.signal.map_or(signals.is_empty(), |signal| signals.contains(&signal)), "{exit:?}");
                assert_eq!(group.stop(Duration::from_secs(1)).await, [Some(exit)]);
            }
            // A container may be gone before it was looked at; then the error says how it ended.
            Err(error) => assert!(error.to_string().contains("right after its start"), "{error}"),
        }
        launcher.finish().await;
    }
}

#[tokio::test]
async fn a_container_has_the_limits_of_its_size_and_no_rights() {
    if !engine().await {
        return;
    }
    let size = Size { cpus: Some(0.5), memory_bytes: Some(64 << 20), nofile: Some(99), pids: Some(40), ..no_limits() };
    let mut world = world(&["look"]).size(size);
    std::fs::write(world.folder.path().join("data.txt"), "packed").unwrap();
    world.process().files.push("data.txt".into());
    let mut launcher = world.launcher().await;
    let mut group = launcher.launch(&world.context()).await.unwrap();
    let limits = &group.instances()[0].limits;
    assert_eq!(
        limits.iter().map(|limit| limit.name.as_str()).collect::<Vec<_>>(),
        ["cpus", "memory_bytes", "pids", "nofile"]
    );
    eventually("it has looked", || group.log_tail(0, 1) == ["done"]).await;
    let seen = group.log_tail(0, 20).join("\n");
    assert!(seen.contains("Uid:\t65534"), "{seen}");
    assert!(seen.contains("CapEff:\t0000000000000000"), "{seen}");
    assert!(seen.contains("NoNewPrivs:\t1"), "{seen}");
    assert!(seen.contains("root Err(ReadOnlyFilesystem)"), "{seen}");
    // Where the program itself lies below `/tmp`, nothing may be laid over it.
    let program_is_there = std::env::current_exe().unwrap().starts_with("/tmp");
    assert!(program_is_there || seen.contains("tmp Ok"), "{seen}");
    let network = docker(&["network", "inspect", "-f", "{{.Internal}}", &format!("wsceiling-{}", world.run_id)]);
    assert_eq!(network, "true", "nothing reaches out");
    assert!(seen.contains("data Ok(\"packed\")"), "{seen}");
    let open_files = seen.lines().find(|line| line.starts_with("limits")).unwrap().split_whitespace();
    assert_eq!(open_files.skip(4).take(2).collect::<Vec<_>>(), ["99", "99"]);
    if let Some(cgroup) = group.instances()[0].cgroup.clone().filter(|cgroup| cgroup.version == 1) {
        let read = |folder: Option<PathBuf>, file: &str| std::fs::read_to_string(folder.unwrap().join(file)).unwrap();
        assert_eq!(read(cgroup.cpu, "cpu.cfs_quota_us").trim(), "50000");
        assert_eq!(read(cgroup.memory, "memory.limit_in_bytes").trim(), (64 << 20).to_string());
        assert_eq!(read(cgroup.pids, "pids.max").trim(), "40");
    }
    group.stop(Duration::ZERO).await;
    launcher.finish().await;
}

#[tokio::test]
async fn a_dropped_launch_takes_its_containers_network_and_images_along() {
    if !engine().await {
        return;
    }
    let world = world(&["sleep"]).instances(2);
    let mut launcher = world.launcher().await;
    let group = launcher.launch(&world.context()).await.unwrap();
    let label = format!("label=dev.wsceiling.run={}", world.run_id);
    assert_eq!(docker(&["ps", "-q", "--filter", &label]).lines().count(), 2);
    assert!(clean().await.left.iter().any(|name| name.contains(&world.run_id)), "a live run's things are left alone");
    assert_eq!(docker(&["ps", "-q", "--filter", &label]).lines().count(), 2);
    drop(group);
    drop(launcher);
    for kind in [["ps", "-aq"], ["network", "ls"], ["image", "ls"]] {
        let args = [&kind[..], &["-q", "--filter", &label]].concat();
        assert_eq!(docker(&args), "", "{kind:?}");
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_missing() {
    if !engine().await {
        return;
    }
    let mut world = world(&[]);
    let mut spec = DockerSpec { image: Image::Build("nowhere".into()), args: vec![], env: BTreeMap::new(), port: 8080 };
    world.matrix.targets.get_mut("t").unwrap().docker = Some(spec.clone());
    let reason = |error: LaunchError| match error {
        LaunchError::Missing(missing) => missing.to_string(),
        LaunchError::Failed { .. } => panic!("{error:?}"),
    };
    let mut launcher = world.launcher().await;
    let error = launcher.launch(&world.context()).await.unwrap_err();
    assert!(reason(error).starts_with("there is no Dockerfile in /"));
    spec.image = Image::Reference("127.0.0.1:1/no-such-image:1".to_owned());
    world.matrix.targets.get_mut("t").unwrap().docker = Some(spec);
    let error = launcher.launch(&world.context()).await.unwrap_err();
    assert!(
        reason(error)
            .starts_with("image `127.0.0.1:1/no-such-image:1` is not known to the engine and cannot be pulled: ")
    );
    launcher.finish().await;
}

#[tokio::test]
async fn an_image_of_the_users_own_is_built_from_its_folder_and_runs_with_its_own_entry_point() {
    if !engine().await {
        return;
    }
    let mut world = world(&[]);
    let folder = world.folder.path().join("image");
    let packed = pack::pack(&fixture(), &[], world.folder.path()).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("root.tar"), packed.tar).unwrap();
    let entry = fixture().display().to_string();
    let dockerfile = format!("FROM scratch\nADD root.tar /\nENTRYPOINT [\"{entry}\"]\nCMD [\"sleep\"]\n");
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let args = vec!["listen".to_owned(), "0.0.0.0:{port}".to_owned()];
    let spec = DockerSpec { image: Image::Build("image".into()), args, env: BTreeMap::new(), port: 8080 };
    world.matrix.targets.get_mut("t").unwrap().docker = Some(spec);
    let mut launcher = world.launcher().await;
    let mut group = launcher.launch(&world.context()).await.unwrap();
    let instance = group.instances()[0].clone();
    assert_eq!((instance.address.port(), instance.binary_sha256), (8080, None));
    assert_eq!(instance.command, [entry.as_str(), "listen", "0.0.0.0:8080"]);
    eventually("the server listens", || std::net::TcpStream::connect(instance.address).is_ok()).await;
    group.stop(Duration::ZERO).await;
    launcher.finish().await;
}

#[tokio::test]
async fn a_matrix_below_tmp_keeps_its_files() {
    if !engine().await {
        return;
    }
    let mut world = world(&["look"]);
    world.folder = tempfile::tempdir_in("/tmp").unwrap();
    world.matrix.folder = world.folder.path().to_owned();
    std::fs::write(world.folder.path().join("data.txt"), "packed").unwrap();
    world.process().files.push("data.txt".into());
    let mut launcher = world.launcher().await;
    let mut group = launcher.launch(&world.context()).await.unwrap();
    eventually("it has looked", || group.log_tail(0, 1) == ["done"]).await;
    assert!(group.log_tail(0, 20).contains(&"data Ok(\"packed\")".to_owned()));
    group.stop(Duration::ZERO).await;
    launcher.finish().await;
}

#[tokio::test]
async fn a_container_of_an_engine_is_looked_at_until_its_end() {
    if !engine().await {
        return;
    }
    let size = Size { memory_bytes: Some(32 << 20), cpus: Some(0.5), ..no_limits() };
    let world = world(&["sleep"]).size(size);
    let mut launcher = world.launcher().await;
    let mut group = launcher.launch(&world.context()).await.unwrap();
    let id = group.instances()[0].container.clone().unwrap();
    // The same engine may be reached another way: by ssh://, or by tcp:// with a folder of certificates.
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let address = variable("WSCEILING_TEST_ENGINE").or_else(|| variable("DOCKER_HOST"));
    let address = address.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let certificates = variable("WSCEILING_TEST_CERTIFICATES")
        .map(|folder| ["ca.pem", "cert.pem", "key.pem"].map(|file| PathBuf::from(&folder).join(file)));
    let at = RemoteEngine { address, certificates };
    let mut container = RemoteContainer::open(&at, &id).await.unwrap();
    let seen = container.look().await.unwrap();
    assert_eq!((seen.restarts, &seen.exit), (Some(0), &None));
    assert!(seen.started.is_some());
    for metric in [Metric::CpuUsage, Metric::CpuPeriods, Metric::MemoryCurrent, Metric::MemoryAnon, Metric::Pids] {
        assert!(seen.values.iter().any(|(found, value)| *found == metric && *value >= 0.0), "{metric:?} in {seen:?}");
    }
    docker(&["kill", &id]);
    let seen = container.look().await.unwrap();
    assert_eq!(seen.values, []);
    assert_eq!(seen.exit.map(|exit| (exit.signal, exit.oom_killed)), Some((Some(9), Some(false))));
    group.stop(Duration::ZERO).await;
    assert_eq!(container.look().await, Err(ScrapeFault::NoContainer { name: id }));
    launcher.finish().await;
}
