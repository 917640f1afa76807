use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use wsceiling_model::record::{EventKind, Metric};

const HOST: Component = Component::Host;
const INSTANCE: Component = Component::Instance(0);

#[tokio::test]
async fn each_way_of_not_answering_is_told_apart() {
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (ok("text/html", "<!doctype html><title>Login</title>"), "what comes is HTML, not metrics"),
        (text("<html></html>\n"), "what comes is HTML, not metrics"),
        (ok("application/json", "{}"), "what comes is JSON, not metrics"),
        (status("401 Unauthorized"), "the answer is status 401: not let in"),
        (status("403 Forbidden"), "the answer is status 403: not let in"),
        (status("503 Service Unavailable"), "the answer is status 503"),
        (
            status("302 Found\r\nLocation: https://me:pass@sso.example/login?ticket=secret"),
            "the answer is status 302: moved to https://sso.example/login",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nprocess_open_fds 5\n".to_vec(),
            "the answer broke off after 19 bytes",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nprocess_open_fds 5\nprocess_max".to_vec(), "the answer broke off after 30 bytes"),
        (ok("application/openmetrics-text", "process_open_fds 5\n"), "the answer broke off after 19 bytes"),
        (text("process_open_fds five\n"), "line 1 cannot be read: what stands for the number is none"),
        (text("my_own_series 5\n"), "1 series came, and none of them is known here"),
        (text(""), "0 series came, and none of them is known here"),
        (text("process_open_fds NaN\n"), "descriptors_count is NaN"),
        (text("process_cpu_seconds_total +Inf\n"), "cpu_usage_us_total is inf"),
        (text("process_open_fds -3\n"), "descriptors_count is -3"),
        (text("process_open_fds 5\nprocess_open_fds 6\n"), "the series process_open_fds is there twice"),
        (text("node_filefd_allocated 5\n"), "the numbers are those of a machine, not of instance-0"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "what comes is no HTTP, not metrics"),
        (Vec::new(), "the connection failed"),
    ];
    for (answer, said) in cases {
        let told = answer.clone();
        let url = server(move |_| answer.clone()).await;
        let fault = fault(prometheus(INSTANCE, &url)).await;
        assert!(fault.to_string().starts_with(said), "{fault} for {}", String::from_utf8_lossy(&told));
        assert!(!fault.hint().is_empty());
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_a_name_that_is_none() {
    let refused = fault(prometheus(HOST, "http://127.0.0.1:1/metrics")).await;
    assert_eq!(refused, ScrapeFault::Refused { address: "127.0.0.1:1".into() });
    let unknown = fault(prometheus(HOST, "http://no-such-host.invalid/metrics")).await;
    assert_eq!(unknown, ScrapeFault::NotResolved { host: "no-such-host.invalid".into() });
}

#[tokio::test]
async fn an_endless_body_is_bounded_and_a_slow_one_ends() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend(b"process_open_fds_and_more 5\n".repeat(700_000));
    let url = server(move |_| endless.clone()).await;
    let large = MetricSource { within: Duration::from_secs(60), ..prometheus(INSTANCE, &url) };
    assert_eq!(fault(large).await, ScrapeFault::TooLarge { limit_bytes: 16 << 20 });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let slow = MetricSource { within: Duration::from_millis(50), ..prometheus(INSTANCE, &url) };
    assert_eq!(fault(slow).await, ScrapeFault::TooSlow { within_ms: 50 });
    drop(listener);
}

#[tokio::test]
async fn parts_that_are_mixed_up_are_told_and_an_exporters_own_process_is_nobodys() {
    let of_exporter =
        "node_exporter_build_info 1\nnode_filefd_allocated 900\nprocess_open_fds 9\nprocess_cpu_seconds_total 1\n";
    let url = server(move |_| text(of_exporter)).await;
    let wrong = fault(prometheus(INSTANCE, &url)).await;
    assert_eq!(wrong.to_string(), "the numbers are those of a machine, not of instance-0");
    let right = checked(prometheus(HOST, &url)).await;
    assert_eq!(
        right.found.into_iter().collect::<Vec<_>>(),
        [(Metric::HostDescriptors, "node_filefd_allocated".into())]
    );
    let url = server(|_| text("process_open_fds 9\nhaproxy_process_current_connections 7\n")).await;
    let wrong = fault(prometheus(HOST, &url)).await;
    assert_eq!(wrong.to_string(), "the numbers are those of a process and a proxy, not of host");
    let front = checked(prometheus(Component::Front(0), &url)).await;
    assert_eq!(front.found.into_keys().collect::<Vec<_>>(), [Metric::Descriptors, Metric::FrontConnections]);
}

#[tokio::test]
async fn samples_that_are_ten_minutes_old_or_come_again_are_missing() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let url =
        server(move |_| text(&format!("process_open_fds 5 {}\nprocess_max_fds 9 {}\n", now - 600_000, now + 60_000)))
            .await;
    let looked = Arc::new(AtomicU32::new(0));
    let looks = Arc::clone(&looked);
    let (rows, told) =
        scraped(&ready(prometheus(INSTANCE, &url)), no_engines(), move |_| looks.fetch_add(1, Ordering::Relaxed) > 40)
            .await;
    assert!(rows.iter().flat_map(|row| &row.sample.values).all(|(metric, _)| *metric == Metric::DescriptorLimit));
    assert_eq!(rows.len(), 1, "the same sample counts once: {rows:?}");
    let whys = whys(&told.warnings);
    assert!(whys.iter().any(|why| why.contains(" ms old")), "{whys:?}");
    assert!(whys.iter().any(|why| why == "descriptors_limit came again with the timestamp of before"), "{whys:?}");
}

#[tokio::test]
async fn a_counter_goes_on_over_a_restart_and_numbers_name_their_source() {
    let url = server(|number| {
        let (start, seconds) = if number < 2 { (1000, 50 + number) } else { (2000, number - 2) };
        text(&format!("process_cpu_seconds_total {seconds}\nprocess_start_time_seconds {start}\nprocess_open_fds 7\n"))
    })
    .await;
    let with_secrets = url.replace("/metrics", "/metrics?token=${TOKEN}");
    let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let sources = prepare_with(&[prometheus(INSTANCE, &with_secrets)], Path::new("."), variable).unwrap();
    assert!(!format!("{sources:?}").contains("s3cret"));
    let (rows, told) = scraped(&sources, no_engines(), |rows| rows.len() >= 4).await;
    let cpu: Vec<f64> = rows.iter().map(|row| row.sample.values[0].1 / 1e6).take(4).collect();
    assert_eq!(cpu, [50.0, 51.0, 51.0, 52.0]);
    assert!(rows.windows(2).all(|two| two[0].sample.t_ms < two[1].sample.t_ms));
    let expected = format!("prometheus {url} process_cpu_seconds_total");
    assert_eq!(rows[0].sources[0], (Metric::CpuUsage, expected.as_str().into()));
    let [event] = &told.events[..] else { panic!("{told:?}") };
    assert!(matches!(event.what, EventKind::Restarted { .. }) && event.component == Some(INSTANCE));
    assert_eq!(told.warnings, []);
}

#[tokio::test]
async fn an_exporter_that_dies_leaves_numbers_missing_and_counts_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&text("process_open_fds 7\n")).await;
    });
    let sources = ready(prometheus(INSTANCE, &url));
    let looked = AtomicU32::new(0);
    let (rows, told) = scraped(&sources, no_engines(), |_| looked.fetch_add(1, Ordering::Relaxed) > 50).await;
    assert_eq!(rows.len(), 1);
    let [Warning::MetricsMissing { why: ScrapeFault::Refused { .. }, times, of, .. }] = &told.warnings[..] else {
        panic!("{told:?}")
    };
    assert!(*times >= 1 && *of == times + 1);
}

#[test]
fn a_missing_variable_is_named_before_anything_is_sent() {
    let mut source = prometheus(HOST, "http://h/metrics");
    source.headers.insert("Authorization".into(), Template::new("Bearer ${FLY_API_TOKEN}").unwrap());
    let faults = prepare_with(&[source.clone(), source.clone()], Path::new("."), |_| None).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert_eq!(
        faults[0].to_string(),
        "prometheus http://h/metrics needs the variable `FLY_API_TOKEN`, which is not set (hint: `export FLY_API_TOKEN=...` before the run)"
    );
    let newline = prepare_with(&[source], Path::new("."), |_| Some("s3cret\n".into())).unwrap_err();
    assert!(newline[0].to_string().contains("`Authorization` holds what no header can"));
    assert!(!format!("{newline:?}").contains("s3cret"));
}
