//! Timeouts that a platform documents and that the load is too short to show: a warning, with what would show them.

use std::time::Duration;

use super::diagnostics::Diagnostic;
use super::is_loopback;
use super::read::{Sink, Wire};
use super::units::format_duration;
use super::{Cell, Load};
use crate::platforms::{self, LimitKind, PlatformLimit, PlatformRecord};

/// Tenths of a timeout for which connections must live, to be seen to end by it.
const TENTHS: f64 = 11.0;

/// Warns of the shortest timeout, once for each target that is in a cell and not on this machine, where a stand-in has times of
/// its own.
pub(super) fn timeouts(wire: &Wire, cells: &[Cell], today: &str, sink: &Sink) {
    for (name, described) in &wire.targets {
        let (Some(remote), Some(places)) = (&described.target.remote, &described.places) else { continue };
        let (Some(platform), Some(place)) = (&remote.platform, &places.platform) else { continue };
        let used = cells.iter().any(|cell| cell.target == *name);
        if !used || remote.urls.iter().all(is_loopback) {
            continue;
        }
        let rows = platforms::rows([platform.as_str()]);
        let Some((row, limit)) = shortest_unseen(&rows, &wire.load, today) else { continue };
        let takes = format_duration(Duration::from_secs(wire.load.shortest().as_secs().max(1)));
        let documented = format_duration(Duration::from_secs_f64(limit.value));
        let (what, title) = (limit.kind.noun(), &row.title);
        let warning = Diagnostic::new(format!(
            "{title} documents {what} of {documented}, which a load of {takes} as it is cannot show"
        ));
        let stay = format_duration(Duration::from_secs((limit.value * TENTHS / 10.0).ceil() as u64));
        let hint = format!(
            "keep a few connections for longer, half of them silent: `long = {{ stay = \"{stay}\" }}` in [load]"
        );
        sink.warn(warning.at(place.clone()).hint(hint));
    }
}

/// The shortest documented timeout that no connection of the load, or beside it, can meet.
fn shortest_unseen<'r>(
    rows: &'r [PlatformRecord],
    load: &Load,
    today: &str,
) -> Option<(&'r PlatformRecord, &'r PlatformLimit)> {
    let of_kind = |kind| rows.iter().flat_map(move |row| row.limits_of(kind, today).map(move |limit| (row, limit)));
    let all = of_kind(LimitKind::Lifetime).chain(of_kind(LimitKind::IdleTimeout));
    let unseen = all.filter(|(_, limit)| !is_seen(limit, load));
    unseen.min_by(|(_, one), (_, other)| one.value.total_cmp(&other.value))
}

/// Whether connections live for so long, or are silent for so long.
fn is_seen(limit: &PlatformLimit, load: &Load) -> bool {
    let lives = load.shortest();
    let beside = load.long.filter(|long| long.connections > 0);
    let kept = beside.map_or(Duration::ZERO, |long| lives.saturating_add(long.stay));
    let longest = match limit.kind {
        LimitKind::IdleTimeout => {
            let silent = if beside.is_some_and(|long| long.sides().1 > 0) { kept } else { Duration::ZERO };
            silent.max(load.message.every.min(lives))
        }
        _ => kept.max(lives),
    };
    longest.as_secs_f64() >= limit.value
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::matrix::parse_with;
    use crate::platforms::Catalogue;

    fn warned(target: &str, load: &str) -> String {
        let text = format!(
            "[run]\ntrial_within = \"3h\"\n[load]\nstep = 500\nmax = 1000\nrate = \"100/s\"\n{load}\n[targets.shop]\n{target}\n\
             [axes]\ntarget = [\"shop\"]\n"
        );
        let loaded = parse_with(&text, Path::new("m.toml"), &Catalogue::on("2026-11-25"));
        loaded.unwrap_or_else(|faults| panic!("{}", faults.render(false))).warnings.render(false)
    }

    const RUN: &str = "url = \"wss://shop.example/\"\nauthorised = true\nplatform = \"cloud-run\"";
    const ALB: &str = "url = \"wss://shop.example/\"\nauthorised = true\nplatform = \"aws-alb\"";

    #[test]
    fn a_documented_timeout_that_the_load_cannot_show_is_told_with_what_would() {
        let said = warned(RUN, "");
        assert!(said.contains("documents a lifetime of 5m, which a load of"), "{said}");
        assert!(said.contains("long = { stay = \"5m30s\" }"), "{said}");
        assert!(!warned(RUN, "long = { stay = \"70m\" }").contains("cannot show"));
        // The shortest is seen, the longest is not.
        assert!(warned(RUN, "long = { stay = \"6m\" }").contains("a lifetime of 1h"));
    }

    #[test]
    fn an_idle_timeout_is_shown_by_who_is_silent_for_long() {
        assert!(warned(ALB, "").contains("an idle timeout of 1m"), "{}", warned(ALB, ""));
        assert!(warned(ALB, "long = { stay = \"2m\", silent = 0.0 }").contains("an idle timeout of 1m"));
        assert!(!warned(ALB, "long = { stay = \"2m\" }").contains("cannot show"));
        assert!(!warned(ALB, "hold = \"2m\"\nmessage = { every = \"90s\" }").contains("cannot show"));
    }

    #[test]
    fn a_stand_in_on_this_machine_has_times_of_its_own() {
        assert!(!warned("url = \"ws://127.0.0.1:8300/\"\nplatform = \"aws-alb\"", "").contains("cannot show"));
    }
}
