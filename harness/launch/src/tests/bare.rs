use super::*;
use wsceiling_machine::cgroup::cgroup_of_pid;

fn shell(script: &str) -> World {
    World::new(Runtime::Bare, "sh", &["-c", script])
}

#[tokio::test]
async fn exit_codes_and_signals_are_seen_without_being_asked_for() {
    for (script, code, signal) in [("exit 0", Some(0), None), ("exit 7", Some(7), None), ("kill -6 $$", None, Some(6))]
    {
        let world = shell(script);
        let mut group = world.launch().await;
        let exit = end_of(&mut group, 0).await;
        assert_eq!((exit.code, exit.signal, exit.requested), (code, signal, false), "{script}");
        assert!(exit.t_ms > 0.0);
        assert_eq!(group.stop(Duration::from_secs(1)).await[0], Some(exit), "stopping later changes nothing");
    }
}

#[tokio::test]
async fn placeholders_folder_and_labels_reach_the_process_and_its_output_the_log() {
    let mut world = shell("echo $0 $1 $ADDRESS; pwd; echo $WSCEILING_RUN $WSCEILING_HARNESS >&2").instances(2);
    world.process().args.extend(["{port}".to_owned(), "i={instance}".to_owned()]);
    world.process().env.insert("ADDRESS".to_owned(), "{ip}|{address}".to_owned());
    let mut group = world.launch().await;
    for index in 0..2 {
        end_of(&mut group, index).await;
        let launched = group.instances()[index].clone();
        let port = launched.address.port();
        let lines = group.log_tail(index, 20);
        assert_eq!(lines[0], format!("{port} i={index} 127.0.0.1|127.0.0.1:{port}"));
        assert_eq!(Path::new(&lines[1]), world.folder.path().canonicalize().unwrap());
        assert_eq!(lines[2], format!("{} {}", world.run_id, label::Stamp::own()));
        assert_eq!(
            launched.command[1..3],
            ["-c".to_owned(), world.matrix.targets["t"].process.as_ref().unwrap().args[1].clone()]
        );
        assert!(launched.command[0].starts_with('/') && launched.log.is_file());
        assert_eq!(launched.binary_sha256.unwrap().len(), 64);
    }
    assert_ne!(group.instances()[0].address, group.instances()[1].address);
    assert_eq!(group.log_tail(9, 20), Vec::<String>::new());
}

#[tokio::test]
async fn a_target_with_a_folder_of_its_own_is_found_and_starts_there() {
    let mut world = World::new(Runtime::Bare, "./say", &["{port}"]);
    for (folder, word) in [("here", "new"), ("old", "old")] {
        let folder = world.folder.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("say"), format!("#!/bin/sh\necho {word}; pwd\n")).unwrap();
        std::fs::set_permissions(folder.join("say"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let old = world.folder.path().join("old").canonicalize().unwrap();
    for (folder, word) in [("old", "old"), (old.to_str().unwrap(), "old"), ("here", "new")] {
        world.matrix.targets.get_mut("t").unwrap().folder = Some(folder.into());
        let mut group = world.launch().await;
        end_of(&mut group, 0).await;
        // The log goes on from launch to launch.
        let lines = group.log_tail(0, 2);
        assert_eq!(lines[0], word);
        assert_eq!(Path::new(&lines[1]), world.folder.path().join(folder).canonicalize().unwrap());
    }
    world.matrix.targets.get_mut("t").unwrap().folder = Some("nowhere".into());
    match world.launcher().await.launch(&world.context()).await {
        Err(LaunchError::Missing(Missing::ProgramFile { path, .. })) => {
            assert_eq!(path, world.folder.path().canonicalize().unwrap().join("nowhere/./say"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_program_and_a_broken_one_are_told_apart() {
    let world = World::new(Runtime::Bare, "no-such-program-x", &[]);
    match world.launcher().await.launch(&world.context()).await {
        Err(LaunchError::Missing(missing)) => assert_eq!(missing, Missing::Program("no-such-program-x".to_owned())),
        other => panic!("{other:?}"),
    }
    let world = World::new(Runtime::Bare, "./broken", &[]);
    let broken = world.folder.path().join("broken");
    std::fs::write(&broken, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    match world.launcher().await.launch(&world.context()).await {
        Err(LaunchError::Failed { reason, .. }) => {
            assert!(reason.starts_with("cannot start /") && reason.ends_with("no such file or directory"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_instance_runs_as_another_user_where_root_asks_for_it() {
    // Below a folder that everybody may enter, which that of the checkout need not be.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut world = World::in_folder(folder, Runtime::Bare, "sh", &["-c", "echo $(id -un) $(id -G); exit 3"]);
    world.process().user = Some("nobody".to_owned());
    let launched = world.launcher().await.launch(&world.context()).await;
    if nix::unistd::geteuid().is_root() {
        let mut group = launched.unwrap();
        end_of(&mut group, 0).await;
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        assert_eq!(group.log_tail(0, 1), [format!("nobody {}", nobody.gid)]);
    } else {
        assert_eq!(launched.unwrap_err().to_string(), "only root can run an instance as user `nobody`");
    }
    world.process().user = Some("nobody-of-that-name".to_owned());
    let missing = world.launcher().await.launch(&world.context()).await.unwrap_err();
    assert_eq!(missing.to_string(), "this machine has no user `nobody-of-that-name`");
}

#[tokio::test]
async fn stopping_ends_the_whole_process_group_and_asks_first() {
    let world = shell(
        "trap 'echo asked; exit 3' TERM; (trap '' TERM; echo $$; while :; do sleep 0.1; done) & echo ready; wait",
    );
    let mut group = world.launch().await;
    let log = group.instances()[0].log.clone();
    eventually("the shell is ready", || log::tail(&log, 9).contains(&"ready".to_owned())).await;
    assert_eq!(group.exits(), [None]);
    let exits = group.stop(Duration::from_secs(5)).await;
    let exit = exits[0].clone().unwrap();
    assert_eq!((exit.code, exit.signal, exit.requested), (Some(3), None, true));
    assert!(group.log_tail(0, 9).contains(&"asked".to_owned()));
    let members = || std::process::Command::new("pgrep").args(["-g", &group.instances()[0].pid.to_string()]).output();
    eventually("the group is empty", || members().is_ok_and(|out| out.stdout.is_empty())).await;
}

#[tokio::test]
async fn what_ignores_the_request_is_killed_after_the_grace() {
    let world = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");
    let mut group = world.launch().await;
    let log = group.instances()[0].log.clone();
    eventually("the shell is ready", || log::tail(&log, 9).contains(&"ready".to_owned())).await;
    let exit = group.stop(Duration::from_millis(100)).await[0].clone().unwrap();
    assert_eq!((exit.code, exit.signal, exit.requested), (None, Some(9), true));
}

#[tokio::test]
async fn a_dropped_group_leaves_no_process_and_no_cgroup() {
    let world = shell("sleep 60 & setsid sleep 60 & echo $!; wait");
    let group = world.launch().await;
    let launched = group.instances()[0].clone();
    eventually("the shell is ready", || !log::tail(&launched.log, 9).is_empty()).await;
    let escaped: u32 = group.log_tail(0, 1)[0].parse().unwrap();
    drop(group);
    assert!(!alive(launched.pid));
    if let Some(cgroup) = launched.cgroup {
        eventually("the process that left the group is gone", || !alive(escaped)).await;
        for folder in [cgroup.cpu, cgroup.cpuacct, cgroup.memory, cgroup.pids, cgroup.pressure].into_iter().flatten() {
            assert!(!folder.exists(), "{}", folder.display());
        }
    } else {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(escaped.cast_signed()), nix::sys::signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn limits_are_enforced_or_recorded_with_the_reason() {
    let size = Size { cpus: Some(0.5), memory_bytes: Some(64 << 20), nofile: Some(77), pids: Some(40), ..no_limits() };
    let world = shell("ulimit -n; ulimit -Hn; sleep 60").size(size);
    let group = world.launch().await;
    let launched = &group.instances()[0];
    let names: Vec<_> = launched.limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(names, ["cpus", "memory_bytes", "pids", "nofile"]);
    assert!(launched.limits.iter().all(|limit| limit.enforced_by.is_some() != limit.reason.is_some()));
    assert_eq!(launched.limits[3].enforced_by.as_deref(), Some("rlimit"));
    eventually("the limits are printed", || group.log_tail(0, 9) == ["77", "77"]).await;
    let Some(cgroup) = &launched.cgroup else {
        assert!(launched.limits[..3].iter().all(|limit| limit.enforced_by.is_none()));
        return;
    };
    let inside = std::fs::read_to_string(cgroup.cpu.as_ref().unwrap().join("cgroup.procs")).unwrap();
    assert!(inside.lines().any(|pid| pid == launched.pid.to_string()), "{inside}");
    assert_eq!(cgroup_of_pid(launched.pid).as_ref(), Some(cgroup));
    if launched.limits[1].enforced_by.as_deref() == Some("cgroup1 memory.limit_in_bytes") {
        let file = cgroup.memory.as_ref().unwrap().join("memory.limit_in_bytes");
        assert_eq!(std::fs::read_to_string(file).unwrap().trim(), (64 << 20).to_string());
    }
}

#[tokio::test]
async fn a_process_that_exceeds_its_memory_is_killed_and_the_record_says_so() {
    let world = World::new(Runtime::Bare, fixture().to_str().unwrap(), &["eat", "200"])
        .size(Size { memory_bytes: Some(32 << 20), ..no_limits() });
    let mut group = world.launch().await;
    if group.instances()[0].limits[0].enforced_by.is_none() {
        println!("skipped: this machine does not let the test limit memory: {:?}", group.instances()[0].limits);
        return;
    }
    let exit = end_of(&mut group, 0).await;
    assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.requested), (None, Some(9), Some(true), false));
}

#[tokio::test]
async fn an_instance_runs_only_on_the_cpus_it_was_given() {
    let world = shell("grep Cpus_allowed_list /proc/self/status");
    let mut context = world.context();
    context.cpus = vec![0];
    let mut group = world.launcher().await.launch(&context).await.unwrap();
    end_of(&mut group, 0).await;
    assert_eq!(group.log_tail(0, 1), ["Cpus_allowed_list:\t0"]);
    context.cpus = vec![4096];
    assert!(matches!(world.launcher().await.launch(&context).await, Err(LaunchError::Failed { .. })));
}

#[tokio::test]
async fn a_launched_server_can_be_reached_and_all_instances_stop() {
    let world = World::new(Runtime::Bare, fixture().to_str().unwrap(), &["listen", "{address}"]).instances(3);
    let mut group = world.launch().await;
    for launched in group.instances() {
        eventually("the server listens", || std::net::TcpStream::connect(launched.address).is_ok()).await;
    }
    assert_eq!(group.exits(), [None, None, None]);
    for exit in group.stop(Duration::from_secs(5)).await {
        let exit = exit.unwrap();
        assert_eq!((exit.signal, exit.requested), (Some(15), true));
    }
}
