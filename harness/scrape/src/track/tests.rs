use super::*;

/// The trial began at this second since 1970.
const EPOCH: f64 = 1_800_000_000.0;

fn track() -> Track {
    Track::new(Component::Instance(0), "prometheus http://h/metrics".into(), Duration::from_secs(1), EPOCH)
}

fn number(metric: Metric, value: f64, at_unix_s: Option<f64>) -> Number {
    Number { metric, value, at_unix_s, name: "series".into() }
}

fn cpu(value: f64) -> Reading {
    Reading { numbers: vec![number(Metric::CpuUsage, value, None)], ..Reading::default() }
}

fn at(at_unix_s: f64) -> Reading {
    Reading { numbers: vec![number(Metric::Descriptors, 5.0, Some(at_unix_s))], ..Reading::default() }
}

fn values(rows: impl AsRef<[Row]>) -> Vec<(f64, f64)> {
    rows.as_ref().iter().flat_map(|row| row.sample.values.iter().map(|(_, value)| (row.sample.t_ms, *value))).collect()
}

fn faults(track: Track) -> Vec<(String, u64, u64)> {
    let missing = |warning| match warning {
        Warning::MetricsMissing { why, times, of, .. } => (why.to_string(), times, of),
        other => panic!("{other:?}"),
    };
    track.finish().1.into_iter().map(missing).collect()
}

#[test]
fn a_counter_that_began_anew_goes_on_and_is_a_restart() {
    let mut track = track();
    for (t_ms, raw, counted) in [(0.0, 1000.0, 1000.0), (1e3, 1500.0, 1500.0), (2e3, 20.0, 1520.0), (3e3, 70.0, 1570.0)]
    {
        assert_eq!(values(track.take(cpu(raw), t_ms, t_ms)), [(t_ms, counted)]);
    }
    let (events, warnings) = track.finish();
    assert_eq!(warnings, []);
    let [Event { t_ms: 2e3, what: EventKind::Restarted { sign, .. }, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(sign.to_string(), "cpu_usage_us_total went back from 1500 to 20");
}

#[test]
fn a_new_start_time_is_a_restart_even_where_the_counter_is_higher_already() {
    let mut track = track();
    let started = |start, value| Reading { started_unix_s: Some(start), ..cpu(value) };
    assert_eq!(values(track.take(started(50.0, 10.0), 0.0, 0.0)), [(0.0, 10.0)]);
    assert_eq!(values(track.take(started(50.4, 11.0), 1.0, 1.0)), [(1.0, 11.0)], "the same start, computed anew");
    assert_eq!(values(track.take(started(99.0, 30.0), 2.0, 2.0)), [(2.0, 41.0)]);
    assert_eq!(track.events.len(), 1);
    assert_eq!(values(track.take(started(50.0, 12.0), 3.0, 3.0)), [], "two processes answer in turn");
    assert_eq!(track.events.len(), 1);
    assert_eq!(faults(track), [("several processes answer in turn (the start time jumps to and fro)".into(), 1, 4)]);
}

#[test]
fn a_small_step_back_is_left_out_and_is_no_restart() {
    let mut track = track();
    assert_eq!(values(track.take(cpu(1000.0), 0.0, 0.0)), [(0.0, 1000.0)]);
    assert_eq!(values(track.take(cpu(990.0), 1.0, 1.0)), []);
    assert_eq!(values(track.take(cpu(1010.0), 2.0, 2.0)), [(2.0, 1010.0)]);
    assert_eq!(track.events, []);
    assert_eq!(faults(track), [("cpu_usage_us_total went back by a little".into(), 1, 3)]);
}

#[test]
fn old_and_repeated_samples_are_missing() {
    let mut track = track();
    assert_eq!(values(track.take(at(EPOCH + 9.0), 1e4, 1e4)), [(9e3, 5.0)], "its own moment");
    assert_eq!(values(track.take(at(EPOCH + 9.0), 1.1e4, 1.1e4)), []);
    assert_eq!(values(track.take(at(EPOCH - 600.0), 1.2e4, 1.2e4)), []);
    assert_eq!(
        faults(track),
        [
            ("descriptors_count came again with the timestamp of before".into(), 1, 3),
            ("the numbers are 612000 ms old".into(), 1, 3)
        ]
    );
}

#[test]
fn a_clock_that_is_wrong_is_mapped_by_its_offset() {
    let with = |clock, at_unix_s| Reading { clock_unix_s: Some(clock), ..at(at_unix_s) };
    let mut behind = track();
    assert_eq!(values(behind.take(with(EPOCH - 590.0, EPOCH - 590.0), 1e4, 1e4)), [(1e4, 5.0)]);
    assert_eq!(values(behind.take(with(EPOCH - 589.0, EPOCH - 592.5), 1.1e4, 1.1e4)), [], "older than it was told");
    let mut stale = track();
    assert_eq!(values(stale.take(with(EPOCH + 10.0, EPOCH - 590.0), 1e4, 1e4)), [], "the clock is right");
    let mut ahead = track();
    assert_eq!(values(ahead.take(at(EPOCH + 40.0), 1e4, 1e4)), [(1e4, 5.0)], "nothing is known before it is so");
    assert_eq!(values(ahead.take(at(EPOCH + 41.0), 1.1e4, 1.1e4)), [(1.1e4, 5.0)]);
}

#[test]
fn an_end_and_restarts_of_an_engine_are_events_once() {
    let mut track = track();
    let exit = Exit { code: None, signal: Some(9), oom_killed: Some(true), requested: false, t_ms: 0.0 };
    let up = |restarts, started: &str| Reading {
        restarts: Some(restarts),
        started: Some(started.into()),
        ..Reading::default()
    };
    let ended = Reading { exit: Some(exit.clone()), ..up(0, "a") };
    for (t_ms, reading) in [(1.0, up(0, "a")), (2.0, ended.clone()), (3.0, ended), (4.0, up(1, "b")), (5.0, up(1, "b"))]
    {
        track.take(reading, t_ms, t_ms);
    }
    let words: Vec<String> = track.events.iter().map(|event| format!("{} {}", event.t_ms, event.what)).collect();
    let source = "prometheus http://h/metrics";
    let expected = [
        "2 the instance ended: signal 9 (killed for memory)".to_owned(),
        format!("4 restarted: the engine counts 1 restarts ({source})"),
    ];
    assert_eq!(words, expected);
}

#[test]
fn failures_are_counted_by_kind_and_the_first_is_kept() {
    let mut track = track();
    for status in [401, 403, 401] {
        track.take(Reading::failed(ScrapeFault::Unauthorised { status }), 0.0, 7.0);
    }
    track.take(Reading::failed(ScrapeFault::TooSlow { within_ms: 5 }), 0.0, 8.0);
    let expected =
        [("the answer is status 401: not let in".into(), 3, 4), ("no whole answer within 5 ms".into(), 1, 4)];
    assert_eq!(faults(track), expected);
}
