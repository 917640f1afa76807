use super::*;
use wsceiling_model::record::Cause;
use wsceiling_model::visitors::{GeneratorTick, ServerRow, Setting, VISITORS_FORMAT};

fn header() -> VisitorsHeader {
    VisitorsHeader {
        format: VISITORS_FORMAT,
        wsceiling: "0".into(),
        started: "2026-11-24T04:00:48Z".into(),
        name: "visitors".into(),
        target: "ws://shop.example/".parse().unwrap(),
        sites: Vec::new(),
        setting: Setting { goal: 1_000, per_visitor: 5, rate_per_s: 100.0, message: None, generator: 0 },
        byte_budget: 1,
        poll_ms: 5_000,
        valid_ms: 14_000,
        silent_ms: 18_000,
        sources: vec!["prometheus http://shop.example/metrics".into()],
    }
}

/// A tick a second; `open`, `granted`, failures and losses by second.
fn run(seconds: u64, at: impl Fn(u64) -> (u32, u32, u64, u64)) -> Vec<VisitorsLine> {
    let tick = |second| {
        let (open, granted, failed, lost) = at(second);
        VisitorsLine::Tick(Tick { t_ms: second * 1_000, goal: 1_000, granted, open, failed, lost, ..Tick::default() })
    };
    (0..seconds).map(tick).collect()
}

fn ceiling_of(lines: &[VisitorsLine]) -> VisitorsCeiling {
    visitors(&header(), lines).ceiling
}

#[test]
fn a_reached_goal_is_at_least() {
    let held = run(60, |s| ((s as u32 * 50).min(1_000), (s as u32 * 50 + 100).min(1_000), s / 10, 0));
    let at_least = |connections, because| VisitorsCeiling::AtLeast { connections, because };
    assert_eq!(ceiling_of(&held), at_least(1_000, LoadEnd::Goal));
    let few = run(60, |s| ((s as u32 * 50).min(300), (s as u32 * 50).min(300), 0, 0));
    assert_eq!(ceiling_of(&few), at_least(300, LoadEnd::Visitors));
    let early = run(10, |s| (s as u32 * 50, 1_000, 0, 0));
    assert_eq!(ceiling_of(&early), at_least(450, LoadEnd::Time));
    assert_eq!(ceiling_of(&[]), VisitorsCeiling::Nothing);
}

#[test]
fn connections_that_stay_below_what_is_granted_while_connects_fail_are_a_plateau() {
    let full = run(90, |s| ((s as u32 * 50).min(700), (s as u32 * 50 + 50).min(1_000), s.saturating_sub(14) * 20, 0));
    let VisitorsCeiling::Plateau { connections, granted, from_ms, .. } = ceiling_of(&full) else { panic!() };
    assert_eq!((connections, granted, from_ms), (700, 1_000, 14_000));
    // Visitors tell late that they closed: what comes after the end is no part of it.
    let mut ended = full.clone();
    ended.extend((90..100).map(|second| {
        VisitorsLine::Tick(Tick { t_ms: second * 1_000, granted: 100, open: 700, failed: 1_520, ..Tick::default() })
    }));
    assert_eq!(ceiling_of(&ended), ceiling_of(&full));
    assert_eq!(visitors(&header(), &ended).peak.map(|peak| peak.t_ms), Some(14_000));
    // Visitors that are slow to open are none.
    let slow = run(90, |s| ((s as u32 * 10).min(900), 1_000, 0, 0));
    assert!(matches!(ceiling_of(&slow), VisitorsCeiling::AtLeast { connections: 890, .. }));
    // Nor is what is short for less than 25 seconds, what failed at first only, or what goes up and down.
    let at_least = VisitorsCeiling::AtLeast { connections: 700, because: LoadEnd::Time };
    let brief = |seconds| run(seconds, |s| ((s as u32 * 350).min(700), 1_000, s * 20, 0));
    assert_eq!(ceiling_of(&brief(25)), at_least);
    assert!(matches!(ceiling_of(&brief(26)), VisitorsCeiling::Plateau { connections: 700, .. }));
    assert_eq!(ceiling_of(&run(90, |s| (700, 1_000, s.min(10) * 20, 0))), at_least);
    let unsteady = run(90, |s| (if s % 3 == 0 { 600 } else { 700 }, 1_000, s * 20, 0));
    assert_eq!(ceiling_of(&unsteady), at_least);
    let nearly = run(90, |s| (if s == 80 { 720 } else { 700 }, 1_000, s * 20, 0));
    assert!(matches!(ceiling_of(&nearly), VisitorsCeiling::Plateau { connections: 700, .. }), "the median");
    // A dip that was made good is none either.
    let dip = run(120, |s| (if (40..80).contains(&s) { 500 } else { 990 }, 1_000, s, 0));
    assert!(matches!(ceiling_of(&dip), VisitorsCeiling::AtLeast { connections: 990, .. }), "{:?}", ceiling_of(&dip));
}

/// A minute of ticks that are as this one says, by second.
fn minute(at: impl Fn(u64) -> Tick) -> Vec<VisitorsLine> {
    (0..60).map(|second| VisitorsLine::Tick(Tick { t_ms: second * 1_000, ..at(second) })).collect()
}

#[test]
fn a_plateau_needs_a_goal_missing_connections_and_any_kind_of_trouble() {
    let short = Tick { goal: 1_000, granted: 1_000, open: 700, ..Tick::default() };
    let is_plateau = |at: &dyn Fn(u64) -> Tick| matches!(ceiling_of(&minute(at)), VisitorsCeiling::Plateau { .. });
    assert!(is_plateau(&|s| Tick { failed: s, ..short }));
    assert!(is_plateau(&|s| Tick { stuck: s, ..short }));
    assert!(is_plateau(&|s| Tick { lost: s, ..short }), "what is opened is lost again");
    assert!(!is_plateau(&|s| Tick { failed: s, goal: 0, ..short }), "paused");
    assert!(!is_plateau(&|s| Tick { failed: s, unknown: 300, ..short }), "nobody knows of the others");
    // A server that lets nobody in holds nothing, which is a ceiling, too.
    let none = minute(|s| Tick { failed: s * 9, open: 0, ..short });
    assert!(matches!(ceiling_of(&none), VisitorsCeiling::Plateau { connections: 0, .. }), "{:?}", ceiling_of(&none));
    let untried = minute(|_| Tick { open: 0, ..short });
    let found = visitors(&header(), &untried);
    assert_eq!((found.ceiling, found.peak), (VisitorsCeiling::Nothing, None));
}

#[test]
fn of_two_ceilings_the_one_with_more_connections_counts() {
    let open = |s| if s < 40 { 700 } else { 400 };
    let plateaus = run(90, |s| (open(s), if (40..45).contains(&s) { 400 } else { 1_000 }, s * 20, 0));
    assert!(matches!(ceiling_of(&plateaus), VisitorsCeiling::Plateau { connections: 700, to_ms: 39_000, .. }));
    let fell_twice = run(60, |s| match s {
        0..20 => (900, 1_000, 0, 0),
        20..35 => (0, 1_000, 0, 900),
        35..45 => (500, 1_000, 0, 900),
        _ => (0, 1_000, 0, 1_400),
    });
    let found = ceiling_of(&fell_twice);
    assert!(matches!(found, VisitorsCeiling::Collapse { connections: 900, lost: 900, from_ms: 19_000 }), "{found:?}");
}

#[test]
fn many_lost_at_once_are_a_collapse_and_visitors_that_leave_are_not() {
    let fell = run(60, |s| if s < 30 { (s as u32 * 30, 1_000, 0, 0) } else { (0, 1_000, s * 9, 870) });
    let VisitorsCeiling::Collapse { connections, lost, .. } = ceiling_of(&fell) else { panic!() };
    assert!((840..=870).contains(&connections), "{connections}");
    assert_eq!(lost, 870);
    let left = run(60, |s| if s < 30 { (900, 900, 0, 0) } else { (10, 10, 0, 0) });
    assert!(matches!(ceiling_of(&left), VisitorsCeiling::AtLeast { connections: 900, .. }));
    // Reports tell of it within ten seconds, and not all need to be lost.
    let told_late = run(60, |s| {
        let lost = s.saturating_sub(29).min(6) * 100;
        (900 - lost as u32, 1_000, 0, lost)
    });
    let VisitorsCeiling::Collapse { connections, lost, from_ms } = ceiling_of(&told_late) else { panic!() };
    assert_eq!((connections, lost, from_ms), (900, 600, 29_000));
    // What is lost and opened again is none, also where visitors leave later.
    let churn = run(60, |s| (if s < 50 { 900 } else { 10 }, 900, 0, s.min(30) * 25));
    assert!(
        matches!(ceiling_of(&churn), VisitorsCeiling::AtLeast { connections: 900, .. }),
        "{:?}",
        ceiling_of(&churn)
    );
}

fn row(second: u64, values: &[(Metric, f64)]) -> VisitorsLine {
    let values = values.iter().map(|(metric, value)| (metric.name().to_owned(), *value)).collect();
    VisitorsLine::Server(ServerRow { t_ms: second as f64 * 1e3, component: Component::Instance(0), values })
}

#[test]
fn a_cause_is_taken_from_the_server_alone() {
    let mut lines = run(90, |s| ((s as u32 * 50).min(700), 1_000, s * 20, 0));
    assert!(visitors(&header(), &lines).signs.is_empty());
    for second in 0..90 {
        let used = (second as f64 * 50.0).min(700.0) + 12.0;
        lines.push(row(second, &[(Metric::Descriptors, used), (Metric::DescriptorLimit, 712.0)]));
    }
    let found = visitors(&header(), &lines);
    let [sign] = &found.signs[..] else { panic!("{:?}", found.signs) };
    assert_eq!(sign.cause, Cause::ServerDescriptors);
    assert_eq!(sign.kind, SignKind::Full { metric: Metric::Descriptors, used: 712.0, limit: 712.0 });
    assert_eq!((found.counted.len(), found.counted[0].points.len()), (1, 90));
    // Without a ceiling a full table is no sign of one.
    let mut held = run(30, |_| (1_000, 1_000, 0, 0));
    held.push(row(5, &[(Metric::Descriptors, 712.0), (Metric::DescriptorLimit, 712.0)]));
    assert!(visitors(&header(), &held).signs.is_empty());
}

#[test]
fn a_counter_of_trouble_counts_around_the_ceiling_only() {
    let early = [(0.0, 0.0), (1e3, 5.0), (50e3, 5.0)];
    let late = [(0.0, 0.0), (45e3, 0.0), (50e3, 7.0), (51e3, 0.0)];
    let series =
        |points: &[(f64, f64)]| BTreeMap::from([((Component::Host, Metric::ListenOverflows), points.to_vec())]);
    assert!(signs::signs(&series(&early), Some(50_000)).is_empty());
    let kind = SignKind::Rose { metric: Metric::ListenOverflows, by: 7.0 };
    let sign = Sign { cause: Cause::AcceptQueue, component: Component::Host, kind };
    assert_eq!(signs::signs(&series(&late), Some(50_000)), [sign]);
}

/// A number of a component over time.
type Numbers<'a> = (Component, Metric, &'a [(f64, f64)]);

/// Numbers of the server that show by themselves, around a ceiling at 50 s.
fn shown(numbers: &[Numbers<'_>]) -> Vec<Sign> {
    let series = numbers.iter().map(|(component, metric, points)| ((*component, *metric), points.to_vec()));
    signs::signs(&series.collect(), Some(50_000))
}

#[test]
fn a_limit_that_is_nearly_used_up_is_a_sign_and_a_front_has_limits_of_its_own() {
    let used = |component, metric, limit, used: f64, of: f64| {
        shown(&[(component, metric, &[(10e3, of), (40e3, used), (50e3, 1.0)]), (component, limit, &[(40e3, of)])])
    };
    let (instance, front) = (Component::Instance(0), Component::Front(0));
    let of_instance = |n, of| used(instance, Metric::Descriptors, Metric::DescriptorLimit, n, of);
    assert_eq!(of_instance(985.0, 1_000.0)[0].cause, Cause::ServerDescriptors);
    assert_eq!(of_instance(970.0, 1_000.0), [], "full long before is no sign");
    assert_eq!(of_instance(0.0, 0.0), [], "no limit");
    for (metric, limit) in [
        (Metric::Descriptors, Metric::DescriptorLimit),
        (Metric::FrontConnections, Metric::FrontConnectionsLimit),
        (Metric::FrontSessions, Metric::FrontSessionsLimit),
    ] {
        let found = used(front, metric, limit, 100.0, 100.0);
        assert_eq!((found.len(), found[0].cause), (1, Cause::ProxyCap), "{metric:?}");
    }
}

#[test]
fn a_machine_that_is_busy_around_the_ceiling_is_a_sign() {
    let busy = |busy: &[(f64, f64)], idle: &[(f64, f64)]| {
        shown(&[(Component::Host, Metric::HostBusy, busy), (Component::Host, Metric::HostIdle, idle)])
    };
    let sign = |share| Sign { cause: Cause::CpuSaturated, component: Component::Host, kind: SignKind::Busy { share } };
    let full = [(40e3, 0.0), (45e3, 96.0), (50e3, 106.0)];
    assert_eq!(busy(&full, &[(40e3, 0.0), (45e3, 4.0), (50e3, 94.0)]), [sign(0.96)], "the busiest time counts");
    assert_eq!(busy(&full, &[(40e3, 0.0), (45e3, 64.0), (50e3, 94.0)]), [], "60 % are not all");
    assert_eq!(busy(&full, &[(40e3, 9.0), (45e3, 4.0), (50e3, 94.0)]), [], "a counter that fell says nothing");
    assert_eq!(busy(&[(0.0, 0.0), (5e3, 99.0)], &[(0.0, 0.0), (5e3, 1.0)]), [], "it was long before");
}

#[test]
fn signs_come_up_to_half_a_minute_early_and_are_listed_as_causes_are_judged() {
    let rose = [(0.0, 0.0), (21e3, 1.0), (50e3, 1.0)];
    let host = Component::Host;
    let of = Component::Instance(1);
    let full = [(of, Metric::Descriptors, &[(40e3, 9.0)][..]), (of, Metric::DescriptorLimit, &[(40e3, 9.0)])];
    let found = shown(&[full[0], full[1], (host, Metric::ReqQFullDrops, &rose), (of, Metric::OomKills, &rose)]);
    let causes: Vec<Cause> = found.iter().map(|sign| sign.cause).collect();
    assert_eq!(causes, [Cause::MemoryLimit, Cause::ServerDescriptors, Cause::SynQueue]);
}

#[test]
fn a_collapse_has_signs_too_and_numbers_that_are_none_are_left_out() {
    let mut lines = run(60, |s| if s < 30 { (900, 1_000, 0, 0) } else { (0, 1_000, 0, 900) });
    lines.push(row(30, &[(Metric::OomKills, 0.0), (Metric::Descriptors, f64::NAN)]));
    lines.push(row(31, &[(Metric::OomKills, 1.0), (Metric::Established, 900.0)]));
    let found = visitors(&header(), &lines);
    assert_eq!(found.signs.iter().map(|sign| sign.cause).collect::<Vec<_>>(), [Cause::MemoryLimit]);
    assert_eq!(found.counted.iter().map(|series| series.metric).collect::<Vec<_>>(), [Metric::Established]);
    assert!(found.has_metrics);
    lines.retain(
        |line| !matches!(line, VisitorsLine::Server(row) if row.values.contains_key(Metric::Established.name())),
    );
    assert_eq!(visitors(&VisitorsHeader { sources: Vec::new(), ..header() }, &lines).counted, [], "no number is none");
    assert!(!visitors(&VisitorsHeader { sources: Vec::new(), ..header() }, &lines).has_metrics);
}

#[test]
fn the_last_summary_and_connections_before_descriptors_count() {
    let summary = |left| VisitorsLine::Summary(Summary { left, ..Summary::default() });
    let mut lines = vec![summary(1), summary(2)];
    lines.push(row(1, &[(Metric::Descriptors, 12.0), (Metric::Established, 7.0)]));
    let found = visitors(&header(), &lines);
    assert_eq!(found.summary.left, 2);
    assert_eq!(found.counted.iter().map(|series| series.points.clone()).collect::<Vec<_>>(), [[(1e3, 7.0)]]);
}

#[test]
fn a_browser_whose_connects_fail_may_have_met_its_limit() {
    let counts = |most_open, failed| BrowserCounts { most_open, failed, opened: 500, ..BrowserCounts::default() };
    let met = |family, most_open, failed| browser(family, counts(most_open, failed)).limit;
    assert_eq!(met(BrowserFamily::Chromium, 5, 0), LimitMet::No);
    assert_eq!(met(BrowserFamily::Chromium, 5, 50), LimitMet::Perhaps);
    assert_eq!(met(BrowserFamily::Firefox, 200, 0), LimitMet::Yes);
    assert_eq!(met(BrowserFamily::Safari, 5, 0), LimitMet::Unknown);
    assert_eq!(met(BrowserFamily::Chromium, 255, 0), LimitMet::Yes, "to one host it allows one less than in all");
    assert_eq!(met(BrowserFamily::Chromium, 5, 5), LimitMet::No, "one in a hundred may fail for anything");
    let stuck = BrowserCounts { stuck: 50, ..counts(5, 0) };
    assert_eq!(browser(BrowserFamily::Chromium, stuck).limit, LimitMet::Perhaps);
}

/// The generator at a second: goal, granted, open, failed, lost.
fn beside(lines: &mut [VisitorsLine], at: impl Fn(u64) -> (u32, u32, u32, u64, u64)) {
    for line in lines {
        let VisitorsLine::Tick(tick) = line else { continue };
        let (goal, granted, open, failed, lost) = at(tick.t_ms / 1_000);
        tick.generator = Some(GeneratorTick { goal, granted, open, failed, lost });
    }
}

#[test]
fn the_server_holds_the_connections_of_visitors_and_generator_together() {
    // Visitors have all they want; the generator meets the limit.
    let mut lines = run(90, |_| (1_000, 1_000, 0, 0));
    beside(&mut lines, |s| (500, 500, (s as u32 * 50).min(200), s * 10, 0));
    let found = visitors(&header(), &lines);
    let VisitorsCeiling::Plateau { connections, granted, from_ms, .. } = found.ceiling else { panic!("{found:?}") };
    assert_eq!((connections, granted, from_ms), (1_200, 1_500, 3_000));
    assert!(found.has_generator && found.peak.is_some_and(|peak| peak.open == 1_200));
    assert!(found.ticks.iter().all(|tick| tick.open == 1_000), "what is shown of the visitors is theirs alone");
    // Visitors cannot be had, and the generator's connects do not fail.
    let mut few = run(90, |_| (300, 300, 0, 0));
    beside(&mut few, |_| (500, 500, 500, 0, 0));
    let at_least = |connections, because| VisitorsCeiling::AtLeast { connections, because };
    assert_eq!(ceiling_of(&few), at_least(800, LoadEnd::Visitors));
    // What both wanted.
    let mut all = run(90, |_| (1_000, 1_000, 0, 0));
    beside(&mut all, |s| (500, (s as u32 * 50).min(500), (s as u32 * 50).min(500), 0, 0));
    assert_eq!(ceiling_of(&all), at_least(1_500, LoadEnd::Goal));
    assert_eq!(ceiling_of(&all[..5]), at_least(1_200, LoadEnd::Time), "the generator was not done");
}

#[test]
fn what_the_generator_loses_is_a_collapse_and_what_it_closes_is_not() {
    let of_generator = |lost: u64| {
        let mut lines = run(60, |s| if s < 30 { (100, 100, 0, 0) } else { (0, 100, s, 100) });
        beside(&mut lines, |s| if s < 30 { (900, 900, 900, 0, 0) } else { (900, 900, 0, 0, lost) });
        ceiling_of(&lines)
    };
    let fell = of_generator(900);
    assert!(matches!(fell, VisitorsCeiling::Collapse { connections: 1_000, lost: 1_000, .. }), "{fell:?}");
    assert!(matches!(of_generator(0), VisitorsCeiling::AtLeast { connections: 1_000, .. }), "100 of 1,000 are few");
}
