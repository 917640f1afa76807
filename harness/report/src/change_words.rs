//! The words for what became of a number: the same in tables, on pages, in annotations and in files for programs.

use std::collections::BTreeMap;

use super::text::one_line;
use wsceiling_analysis::{Change, Judgement, Quantity, Silence};
use wsceiling_model::format::{self, Unit};

/// A number in words, and its unit.
pub const fn number(quantity: Quantity) -> (&'static str, Unit) {
    match quantity {
        Quantity::Ceiling => ("connections held", Unit::Count),
        Quantity::Memory => ("memory per connection", Unit::Bytes),
        Quantity::Cpu => ("CPU per connection", Unit::Microcores),
        Quantity::OpeningCpu => ("CPU per opening", Unit::Micros),
        Quantity::IdleCpu => ("CPU per idle connection", Unit::Microcores),
        Quantity::MessageCpu => ("CPU per message", Unit::Micros),
    }
}

/// A judgement in words.
pub const fn judgement(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NotMeasured => "not measured",
        Judgement::CannotKnow => "cannot know",
        Judgement::Same => "same",
        Judgement::NotConfirmed => "not confirmed",
        Judgement::ConfirmedBetter => "confirmed better",
        Judgement::ConfirmedWorse => "confirmed worse",
    }
}

/// A judgement in files for programs, as JSON has it.
pub const fn slug(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NotMeasured => "not-measured",
        Judgement::CannotKnow => "cannot-know",
        Judgement::Same => "same",
        Judgement::NotConfirmed => "not-confirmed",
        Judgement::ConfirmedBetter => "confirmed-better",
        Judgement::ConfirmedWorse => "confirmed-worse",
    }
}

/// Class of a judgement on a page.
pub const fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::ConfirmedWorse => "fail",
        Judgement::ConfirmedBetter => "pass",
        _ => "",
    }
}

/// Why nothing can be said of a number.
pub fn silence(why: Silence) -> String {
    let words = match why {
        Silence::TooFewTrials { needed } => {
            return format!("too few trials, {} of each cell are needed", format::count(u64::from(needed)));
        }
        Silence::AtLeast => "no ceiling was met on either side",
        Silence::OtherMachine => "the machines are of different classes",
        Silence::OtherLoad => "the loads differ",
        Silence::OtherLimits => "the limits differ",
        Silence::OtherFront => "the fronts differ",
        Silence::PartOfCpu => "part of the CPU per connection",
        Silence::NotAsked => "not asked for",
        Silence::DiffersFromItself => "the base differs from itself in this run",
    };
    words.to_owned()
}

/// `confirmed worse, p 0.0012`; `cannot know: the loads differ`.
pub fn judged(change: &Change) -> String {
    let word = judgement(change.judgement);
    match (change.judgement, change.why, change.p) {
        (Judgement::CannotKnow, Some(Silence::PartOfCpu | Silence::NotAsked), _) => {
            change.why.map(silence).unwrap_or_default()
        }
        (Judgement::CannotKnow, Some(why), _) => format!("{word}: {}", silence(why)),
        (Judgement::ConfirmedWorse | Judgement::ConfirmedBetter | Judgement::NotConfirmed, _, Some(p)) => {
            format!("{word}, p {}", p_value(p))
        }
        _ => word.to_owned(),
    }
}

/// A p-value: two digits, never 0.
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        format::UNKNOWN.to_owned()
    } else if p < 0.0001 {
        "below 0.0001".to_owned()
    } else if p < 0.01 {
        format!("{p:.4}")
    } else {
        format!("{p:.2}")
    }
}

/// A value of a side: `at least 8,000`, `7.85 KiB`, or a dash.
pub fn value(quantity: Quantity, value: Option<f64>, at_least: bool) -> String {
    let text = value.map_or_else(|| format::UNKNOWN.to_owned(), |value| format::quantity(number(quantity).1, value));
    if at_least && value.is_some() { format!("at least {text}") } else { text }
}

/// Both sides of a change.
pub fn sides(change: &Change) -> [String; 2] {
    [
        value(change.quantity, change.before, change.before_at_least),
        value(change.quantity, change.after, change.after_at_least),
    ]
}

/// `+12.3 %`, with a true minus and no sign on nothing; a dash where it is not known.
pub fn percent(ratio: Option<f64>) -> String {
    let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) else { return format::UNKNOWN.to_owned() };
    let text = format!("{:+.1} %", ratio * 100.0);
    if text == "+0.0 %" || text == "-0.0 %" { "0 %".to_owned() } else { text.replace('-', "−") }
}

/// The smallest change that could have been confirmed: `5.3 %`.
pub fn provable(change: &Change) -> String {
    let known = change.provable.filter(|share| share.is_finite());
    known.map_or_else(|| format::UNKNOWN.to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// `memory per connection 7.85 KiB → 12.1 KiB (+53.6 %)`.
pub fn sentence(change: &Change) -> String {
    let [before, after] = sides(change);
    format!("{} {before} → {after} ({})", number(change.quantity).0, percent(change.ratio))
}

/// Why how many numbers could not be judged, a line each: `8 numbers: the loads differ`.
pub fn silences<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for why in changes.filter(|change| change.judgement == Judgement::CannotKnow).filter_map(|change| change.why) {
        if !matches!(why, Silence::PartOfCpu | Silence::NotAsked) {
            *counts.entry(silence(why)).or_default() += 1;
        }
    }
    let line = |(why, count): (String, u64)| format!("{}: {why}", format::counted(count, "number", "numbers"));
    counts.into_iter().map(line).collect()
}

/// `default of 2026-11-24 03:56:16 UTC`, from `<start> <name>`.
pub fn run(started_and_name: &str) -> String {
    let line = one_line(started_and_name);
    line.split_once(' ').map_or_else(|| line.clone(), |(time, name)| format!("{name} of {}", super::text::time(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_slugs_are_the_same_words() {
        for one in [
            Judgement::NotMeasured,
            Judgement::CannotKnow,
            Judgement::Same,
            Judgement::NotConfirmed,
            Judgement::ConfirmedBetter,
            Judgement::ConfirmedWorse,
        ] {
            assert_eq!(judgement(one).replace(' ', "-"), slug(one));
        }
    }

    #[test]
    fn a_change_of_nothing_has_no_sign() {
        assert_eq!(percent(Some(0.0)), "0 %");
        assert_eq!(percent(Some(-0.0001)), "0 %");
        assert_eq!(percent(Some(-0.123)), "−12.3 %");
        assert_eq!(percent(Some(1.5)), "+150.0 %");
        assert_eq!([percent(None), percent(Some(f64::NAN))], [format::UNKNOWN, format::UNKNOWN]);
    }

    #[test]
    fn a_p_value_is_never_nothing() {
        assert_eq!([1e-9, 0.0012, 0.043, 1.0].map(p_value), ["below 0.0001", "0.0012", "0.04", "1.00"]);
    }
}
