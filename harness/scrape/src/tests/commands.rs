use super::*;
use crate::command::parse;
use proptest::prelude::*;
use wsceiling_model::record::Metric;

fn command(script: &str) -> MetricSource {
    let command = ["sh", "-c", script].map(str::to_owned).into();
    source(Component::Instance(0), Reads::Command { command })
}

#[tokio::test]
async fn a_program_that_goes_on_gives_a_row_a_line() {
    let script = "for i in 1 2 3; do echo '{\"cpu_usage_us_total\": '$i', \"descriptors_count\": null}'; sleep 0.1; done; sleep 60";
    let (rows, told) = scraped(&ready(command(script)), no_engines(), |rows| rows.len() >= 3).await;
    let values: Vec<_> = rows.iter().flat_map(|row| row.sample.values.clone()).collect();
    assert_eq!(values, [(Metric::CpuUsage, 1.0), (Metric::CpuUsage, 2.0), (Metric::CpuUsage, 3.0)]);
    assert_eq!(&*rows[0].sources[0].1, "command sh cpu_usage_us_total");
    assert_eq!(told, Scraped::default());
}

#[tokio::test]
async fn a_program_that_prints_one_line_is_started_again() {
    let (rows, told) =
        scraped(&ready(command("echo '{\"pids_count\": '$$'}'")), no_engines(), |rows| rows.len() >= 3).await;
    assert_ne!(rows[0].sample.values, rows[1].sample.values, "another process");
    assert_eq!(told, Scraped::default());
}

#[tokio::test]
async fn a_program_that_dies_prints_garbage_or_does_not_start_is_told() {
    let words = async |script: &str| fault(command(script)).await.to_string();
    assert_eq!(words("exit 3").await, "the command ended with exit status: 3");
    assert_eq!(words("kill -9 $$").await, "the command ended with signal: 9 (SIGKILL)");
    assert_eq!(words("true").await, "the command ended with no line printed");
    assert_eq!(words("echo garbage").await, "line 1 cannot be read: no JSON object");
    assert_eq!(words("echo '{\"t\": \"now\"}'").await, "line 1 cannot be read: `t` is no number of seconds");
    assert_eq!(words("echo '{\"cpu_usage\": 1}'").await, "`cpu_usage` is no name of a number");
    assert_eq!(words("echo '{\"pids_count\": \"x\"}'").await, "pids_count is a text");
    assert_eq!(words("head -c 100000 /dev/zero").await, "the answer is longer than 65536 bytes");
    let reads = Reads::Command { command: vec!["./no-such-program".into()] };
    let absent = fault(source(Component::Host, reads)).await;
    assert!(matches!(absent, ScrapeFault::NotStarted { .. }), "{absent}");
    let silent =
        MetricSource { every: Duration::from_millis(10), within: Duration::from_millis(20), ..command("sleep 60") };
    assert_eq!(fault(silent).await, ScrapeFault::TooSlow { within_ms: 50 });
}

#[tokio::test]
async fn good_numbers_beside_bad_ones_count_and_a_death_later_is_a_warning() {
    let script = "echo '{\"pids_count\": 4, \"nonsense\": 1, \"memory_anon_bytes\": -1}'; sleep 0.05; exit 2";
    let (rows, told) = scraped(&ready(command(script)), no_engines(), |rows| rows.len() >= 2).await;
    assert_eq!(rows[0].sample.values, [(Metric::Pids, 4.0)]);
    let whys = whys(&told.warnings);
    for why in ["`nonsense` is no name of a number", "memory_anon_bytes is -1", "the command ended with exit status: 2"]
    {
        assert!(whys.iter().any(|it| it == why), "{why} in {whys:?}");
    }
}

#[tokio::test]
async fn what_a_script_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > '{}'; echo '{{\"pids_count\": 1}}'; wait", file.display());
    scraped(&ready(command(&script)), no_engines(), |rows| !rows.is_empty()).await;
    let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    for _ in 0..500 {
        if !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} lives on");
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in "\\PC{0,200}") {
        let _ = parse(&line);
    }

    #[test]
    fn no_number_that_is_none_gets_through(value in any::<f64>(), name in "[a-z_]{1,20}") {
        let reading = parse(&format!("{{\"pids_count\": {value}, \"{name}\": 1e999}}"));
        prop_assert!(reading.numbers.iter().all(|number| number.value.is_finite() && number.value >= 0.0));
    }
}
