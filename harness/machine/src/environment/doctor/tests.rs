use super::*;
use crate::environment::MachineFacts;
use crate::environment::hierarchy::CgroupVersion;

fn good() -> Inputs {
    let machine = MachineFacts {
        nofile_soft: Some(1024),
        nofile_hard: Some(1_048_576),
        nr_open: Some(1_048_576),
        file_max: Some(1 << 40),
        port_range: (32_768, 60_999),
        reserved_ports: vec![],
        memory_bytes: Some(32 << 30),
        memory_available_bytes: Some(28 << 30),
        cores: Some(8),
        cores_usable: Some(8),
        somaxconn: Some(4096),
        conntrack_max: Some(262_144),
        tcp_mem_pages: Some([381_000, 508_000, 762_000]),
        page_bytes: 4096,
        epoll_watches: Some(5_491_511),
        pid_max: Some(4_194_304),
        threads_max: Some(192_728),
        max_map_count: Some(65_530),
        cgroup: CgroupVersion::V2,
    };
    let noise = Noise { interrupted_ratio: 0.001, longest_us: 84.0, steal_ratio: Some(0.0), others_ratio: Some(0.012) };
    Inputs {
        machine,
        cgroup: CgroupProbe::Writable,
        noise: Some(noise),
        conntrack_count: Some(120),
        time_wait: Some(3),
        loopback_sources: true,
        clocksource: Some("tsc".to_owned()),
        governor: Some("performance".to_owned()),
    }
}

fn up() -> EngineStatus {
    let cgroup_driver = Some("systemd".to_owned());
    EngineStatus::Up { server: "27.3.1".to_owned(), api: "1.47".to_owned(), cgroup_driver }
}

fn bad() -> (Inputs, EngineStatus) {
    let mut inputs = good();
    inputs.machine.nofile_hard = Some(256);
    inputs.machine.port_range = (50_000, 59_999);
    inputs.machine.memory_available_bytes = Some(200 << 20);
    inputs.machine.cores_usable = Some(1);
    inputs.machine.somaxconn = Some(128);
    inputs.machine.conntrack_max = Some(4000);
    inputs.machine.tcp_mem_pages = Some([5000, 8000, 12_000]);
    inputs.machine.epoll_watches = Some(2000);
    inputs.machine.pid_max = Some(1000);
    inputs.cgroup = CgroupProbe::Denied {
        folder: "/sys/fs/cgroup".to_owned(),
        error: "Permission denied (os error 13)".to_owned(),
    };
    inputs.noise =
        Some(Noise { interrupted_ratio: 0.3, longest_us: 24_000.0, steal_ratio: Some(0.2), others_ratio: None });
    inputs.time_wait = Some(28_000);
    inputs.loopback_sources = false;
    inputs.clocksource = Some("hpet".to_owned());
    inputs.governor = Some("powersave".to_owned());
    let reason = "no engine answers at /var/run/docker.sock".to_owned();
    (inputs, EngineStatus::Down { reason, hint: "start docker, or set DOCKER_HOST".to_owned() })
}

#[test]
fn a_good_machine_has_nothing_to_say() {
    let doctor = diagnose(&good(), &up());
    assert_eq!(doctor.count(Level::Ok), doctor.findings.len());
    assert!(doctor.findings.iter().all(|finding| finding.hint.is_none()));
    insta::assert_snapshot!(render_text(&doctor, false));
}

#[test]
fn a_bad_machine_is_told_what_it_means_and_what_to_do() {
    let (inputs, engine) = bad();
    let doctor = diagnose(&inputs, &engine);
    assert!(doctor.has_problem());
    assert!(doctor.findings.iter().all(|finding| finding.level > Level::Ok && finding.hint.is_some()));
    insta::assert_snapshot!(render_text(&doctor, false));
}

#[test]
fn what_cannot_be_read_is_a_note_and_not_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = Inputs::measure(&crate::environment::kernel::Kernel::at(folder.path()));
    inputs.noise = None;
    let doctor = diagnose(&inputs, &up());
    assert!(!doctor.has_problem());
    insta::assert_snapshot!(render_text(&doctor, false));
}

#[test]
fn colours_change_no_word() {
    let (inputs, engine) = bad();
    let doctor = diagnose(&inputs, &engine);
    let mut plain = String::new();
    let mut rest = render_text(&doctor, true);
    assert!(rest.contains("\u{1b}[1;31m"));
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = behind.split_once('m').unwrap().1.to_owned();
    }
    plain.push_str(&rest);
    assert_eq!(plain, render_text(&doctor, false));
}

#[test]
fn scripts_read_the_same_findings() {
    let json = serde_json::to_value(diagnose(&good(), &up())).unwrap();
    assert_eq!(json["findings"][0]["name"], "engine");
    assert_eq!(json["findings"][0]["level"], "ok");
    assert_eq!(json["findings"][0]["hint"], serde_json::Value::Null);
}
