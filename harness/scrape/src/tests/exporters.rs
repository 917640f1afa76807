use super::*;
use std::collections::BTreeMap;
use std::process::Stdio;

use wsceiling_model::record::Metric;

/// A text of cAdvisor 0.47: two containers, one of them with the numbers of each CPU, and the sum beside them.
const CADVISOR: &str = "\
cadvisor_version_info{cadvisorVersion=\"v0.47\"} 1
container_cpu_usage_seconds_total{cpu=\"total\",id=\"/docker/a\",name=\"shop-1\"} 12.5 1800000000000
container_cpu_usage_seconds_total{cpu=\"cpu00\",id=\"/docker/a\",name=\"shop-1\"} 6.5 1800000000000
container_cpu_usage_seconds_total{cpu=\"total\",id=\"/docker/b\",name=\"db\"} 99 1800000000000
container_cpu_cfs_throttled_seconds_total{id=\"/docker/a\",name=\"shop-1\"} 0.25 1800000000000
container_memory_usage_bytes{id=\"/docker/a\",name=\"shop-1\"} 900 1800000000000
container_memory_working_set_bytes{id=\"/docker/a\",name=\"shop-1\"} 800 1800000000000
container_memory_rss{id=\"/docker/a\",name=\"shop-1\"} 500 1800000000000
container_oom_events_total{id=\"/docker/a\",name=\"shop-1\"} 1 1800000000000
container_start_time_seconds{id=\"/docker/a\",name=\"shop-1\"} 1799999000
process_open_fds 77
";

fn read(body: &str, part: Component, labels: &[(&str, &str)]) -> crate::reading::Reading {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let answer = crate::http::Answer { body: body.into(), ..crate::http::Answer::default() };
    crate::prometheus::numbers(&answer, part, &labels)
}

fn values(reading: &crate::reading::Reading) -> BTreeMap<Metric, f64> {
    reading.numbers.iter().map(|number| (number.metric, number.value)).collect()
}

#[test]
fn cadvisor_tells_of_the_container_that_the_labels_choose() {
    let reading = read(CADVISOR, Component::Instance(0), &[("name", "shop-1")]);
    let expected = [
        (Metric::CpuUsage, 12.5e6),
        (Metric::CpuThrottled, 0.25e6),
        (Metric::MemoryCurrent, 900.0),
        (Metric::MemoryAnon, 500.0),
        (Metric::OomKills, 1.0),
    ];
    assert_eq!(values(&reading), expected.into_iter().collect());
    assert_eq!((reading.started_unix_s, reading.faults), (Some(1_799_999_000.0), vec![]));
    assert_eq!(reading.numbers[0].at_unix_s, Some(1.8e9));
}

#[test]
fn several_containers_are_not_added_up() {
    let reading = read(CADVISOR, Component::Instance(0), &[]);
    let fault = &reading.faults[0];
    assert_eq!(fault.to_string(), "2 series of container_cpu_usage_seconds_total match");
    assert_eq!(fault.hint(), "add a label that chooses one: `labels = { name = ... }`, one of `db`, `shop-1`");
    assert!(!values(&reading).contains_key(&Metric::CpuUsage));
    let none = read(CADVISOR, Component::Instance(0), &[("name", "shpo")]);
    assert_eq!(none.faults[0].to_string(), "no series for labels = { name = \"shpo\" }");
}

#[test]
fn processes_of_one_server_are_added_up_and_the_fullest_has_the_descriptors() {
    let body = "process_cpu_seconds_total{pid=\"1\"} 1\nprocess_cpu_seconds_total{pid=\"2\"} 2\n\
                process_open_fds{pid=\"1\"} 10\nprocess_open_fds{pid=\"2\"} 30\n\
                process_max_fds 1.8446744073709552e+19\nprocess_start_time_seconds 1.7e9\n";
    let reading = read(body, Component::Instance(3), &[]);
    assert_eq!(values(&reading), [(Metric::CpuUsage, 3e6), (Metric::Descriptors, 30.0)].into_iter().collect());
    assert_eq!(reading.faults, [], "no limit is no number, and no fault");
}

/// A process that ends with the test.
struct Exporter(std::process::Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_real_node_exporter_tells_of_this_machine() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let program = ["prometheus-node-exporter", "node_exporter"];
    let start = |program: &&str| {
        let mut command = std::process::Command::new(program);
        command.arg(format!("--web.listen-address={address}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    };
    let Some(child) = program.iter().find_map(start) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has no prometheus-node-exporter");
        eprintln!("skipped: no prometheus-node-exporter");
        return;
    };
    let _exporter = Exporter(child);
    let url = format!("http://{address}/metrics");
    let mut told = checked(prometheus(Component::Host, &url)).await;
    for _ in 0..500 {
        if told.gives_numbers() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        told = checked(prometheus(Component::Host, &url)).await;
    }
    for metric in [
        Metric::HostIdle,
        Metric::HostBusy,
        Metric::HostSteal,
        Metric::HostMemoryAvailable,
        Metric::HostDescriptors,
        Metric::HostOomKills,
        Metric::Established,
        Metric::ListenOverflows,
        Metric::SocketsInUse,
        Metric::SocketsMemory,
    ] {
        assert!(told.found.contains_key(&metric), "{metric:?} in {told}");
    }
    let wrong = fault(prometheus(Component::Instance(0), &url)).await;
    assert!(matches!(wrong, ScrapeFault::WrongPart { .. }), "{wrong}");
    let (rows, told) = scraped(&ready(prometheus(Component::Host, &url)), no_engines(), |rows| rows.len() >= 3).await;
    assert_eq!(told.events, []);
    let busy: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.sample.values.iter().filter(|(metric, _)| *metric == Metric::HostBusy).map(|(_, us)| *us))
        .collect();
    assert!(busy.len() >= 3 && busy.is_sorted() && busy[0] > 0.0, "{busy:?}");
}
