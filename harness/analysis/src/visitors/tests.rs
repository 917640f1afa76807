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
    // A dip that was made good is none either.
    let dip = run(120, |s| (if (40..80).contains(&s) { 500 } else { 990 }, 1_000, s, 0));
    assert!(matches!(ceiling_of(&dip), VisitorsCeiling::AtLeast { connections: 990, .. }), "{:?}", ceiling_of(&dip));
}

#[test]
fn many_lost_at_once_are_a_collapse_and_visitors_that_leave_are_not() {
    let fell = run(60, |s| if s < 30 { (s as u32 * 30, 1_000, 0, 0) } else { (0, 1_000, s * 9, 870) });
    let VisitorsCeiling::Collapse { connections, lost, .. } = ceiling_of(&fell) else { panic!() };
    assert!((840..=870).contains(&connections), "{connections}");
    assert_eq!(lost, 870);
    let left = run(60, |s| if s < 30 { (900, 900, 0, 0) } else { (10, 10, 0, 0) });
    assert!(matches!(ceiling_of(&left), VisitorsCeiling::AtLeast { connections: 900, .. }));
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

#[test]
fn a_browser_whose_connects_fail_may_have_met_its_limit() {
    let counts = |most_open, failed| BrowserCounts { most_open, failed, opened: 500, ..BrowserCounts::default() };
    let met = |family, most_open, failed| browser(family, counts(most_open, failed)).limit;
    assert_eq!(met(BrowserFamily::Chromium, 5, 0), LimitMet::No);
    assert_eq!(met(BrowserFamily::Chromium, 5, 50), LimitMet::Perhaps);
    assert_eq!(met(BrowserFamily::Firefox, 200, 0), LimitMet::Yes);
    assert_eq!(met(BrowserFamily::Safari, 5, 0), LimitMet::Unknown);
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
