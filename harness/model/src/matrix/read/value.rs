//! Values: one small parser a kind, each with its bounds and the words for what is wrong; and the bounds that several
//! tables share.

use std::time::Duration;

use toml::de::DeValue;

use super::problem::{Parsed, Problem};
use crate::format;
use crate::keyword::Keyword;
use crate::matrix::names;
use crate::matrix::units::{self, UnitError};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// Most connections of a cell.
pub(super) const MOST_CONNECTIONS: u32 = 10_000_000;
/// Most steps of a staircase, or stages; each one is a row with four histograms.
pub(super) const MOST_STEPS: u32 = 1000;

/// A whole number within bounds.
pub(super) fn integer(least: u64, most: u64) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    move |value| {
        let number = value.as_integer().ok_or_else(|| Problem::wrong_type("a whole number", value))?;
        let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = parsed.and_then(|number| u64::try_from(number).ok()).filter(|n| (least..=most).contains(n));
        fits.ok_or_else(|| out_of_bounds(&number.to_string(), &format::count(least), &format::count(most)))
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Parsed<bool> {
    value.as_bool().ok_or_else(|| Problem::wrong_type("true or false", value))
}

/// [`integer`] for bounds that fit 32 bits.
pub(super) fn integer32(least: u32, most: u32) -> impl Fn(&DeValue<'_>) -> Parsed<u32> {
    move |value| integer(least as u64, most as u64)(value).map(|number| number as u32)
}

/// A number, with or without decimals, within bounds.
pub(super) fn number(least: f64, most: f64) -> impl Fn(&DeValue<'_>) -> Parsed<f64> {
    move |value| {
        let text = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            _ => return Err(Problem::wrong_type("a number", value)),
        };
        let fits = text.parse().ok().filter(|number: &f64| (least..=most).contains(number));
        fits.ok_or_else(|| out_of_bounds(&text, &least.to_string(), &most.to_string()))
    }
}

fn out_of_bounds(found: &str, least: &str, most: &str) -> Problem {
    Problem::new(format!("is {found}, out of bounds")).label(format!("from {least} to {most}"))
}

/// Any string without NUL, which neither a process nor a URL could take.
pub(super) fn text(value: &DeValue<'_>) -> Parsed<String> {
    let text = value.as_str().ok_or_else(|| Problem::wrong_type("a string", value))?;
    if text.contains('\0') {
        return Err(Problem::new("contains a NUL character").hint("remove `\\u0000`"));
    }
    Ok(text.to_owned())
}

/// A string with something in it.
pub(super) fn filled_text(value: &DeValue<'_>) -> Parsed<String> {
    let text = text(value)?;
    if text.trim().is_empty() { Err(Problem::new("is empty").label("something has to stand here")) } else { Ok(text) }
}

/// A name that is safe in ids and file names.
pub(super) fn name(value: &DeValue<'_>) -> Parsed<String> {
    let name = text(value)?;
    match names::unsafe_name(&name) {
        Some(why) => Err(Problem::new("is not a safe name").label(why).hint(name_hint(&name))),
        None => Ok(name),
    }
}

/// A repository of a registry, without a tag.
pub(super) fn registry(value: &DeValue<'_>) -> Parsed<String> {
    let text = text(value)?;
    if units::is_registry(&text) {
        return Ok(text);
    }
    let problem = Problem::new(format!("is no repository of a registry: `{}`", text.escape_debug()));
    Err(problem.label("HOST[:PORT]/NAME").hint(units::REGISTRY_HINT))
}

/// How to write a name, with a proposal.
pub(super) fn name_hint(name: &str) -> String {
    let proposal = names::safe_name(name).map_or_else(String::new, |safe| format!(", for example `{safe}`"));
    format!("use at most {} of `a-z 0-9 . _ -`, a letter or digit first{proposal}", names::LONGEST)
}

/// A duration within bounds.
pub(super) fn duration(least: Duration, most: Duration) -> impl Fn(&DeValue<'_>) -> Parsed<Duration> {
    move |value| {
        let text = unit_text(value, "a duration", "s\"", units::DURATION_HINT)?;
        let duration = units::parse_duration(text).map_err(|error| wrong_unit(&error, "a duration", text))?;
        if (least..=most).contains(&duration) {
            return Ok(duration);
        }
        Err(out_of_bounds(text, &units::format_duration(least), &units::format_duration(most)))
    }
}

/// A size in bytes within bounds: a string with a unit, or plain bytes.
pub(super) fn bytes(least: u64, most: u64) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    move |value| {
        let (bytes, found) = if let Some(plain) = value.as_integer() {
            let plain = plain.to_string();
            (plain.parse().ok(), plain)
        } else {
            let text = value.as_str().ok_or_else(|| Problem::wrong_type("a size", value).hint(units::BYTES_HINT))?;
            let bytes = units::parse_bytes(text).map_err(|error| wrong_unit(&error, "a size", text))?;
            (Some(bytes), text.to_owned())
        };
        let fits = bytes.filter(|bytes| (least..=most).contains(bytes));
        fits.ok_or_else(|| out_of_bounds(&found, &units::format_bytes(least), &units::format_bytes(most)))
    }
}

/// A rate per second within bounds.
pub(super) fn rate(least: f64, most: f64) -> impl Fn(&DeValue<'_>) -> Parsed<f64> {
    move |value| {
        let text = unit_text(value, "a rate", "/s\"", units::RATE_HINT)?;
        let rate = units::parse_rate(text).map_err(|error| wrong_unit(&error, "a rate", text))?;
        if (least..=most).contains(&rate) {
            return Ok(rate);
        }
        Err(out_of_bounds(text, &units::format_rate(least), &units::format_rate(most)))
    }
}

/// The string of a value with a unit; a bare number gets the proposal to add `ending`.
fn unit_text<'v>(value: &'v DeValue<'_>, what: &str, ending: &str, hint: &str) -> Parsed<&'v str> {
    let with_unit = |number: String| format!("add the unit: \"{number}{ending}");
    let hint = match value {
        DeValue::String(text) => return Ok(text),
        DeValue::Integer(number) => with_unit(number.to_string()),
        DeValue::Float(number) => with_unit(number.to_string()),
        _ => hint.to_owned(),
    };
    Err(Problem::wrong_type(what, value).hint(hint))
}

fn wrong_unit(error: &UnitError, what: &str, text: &str) -> Problem {
    let general = match what {
        "a duration" => units::DURATION_HINT,
        "a size" => units::BYTES_HINT,
        _ => units::RATE_HINT,
    };
    // `512M` and `512mb` are common elsewhere; what was meant is known well enough to say it.
    let letters = text.trim().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let meant = match (what, letters.trim().to_lowercase().as_str()) {
        ("a size", "k" | "kb" | "kib" | "ki") => Some("KiB"),
        ("a size", "m" | "mb" | "mib" | "mi") => Some("MiB"),
        ("a size", "g" | "gb" | "gib" | "gi") => Some("GiB"),
        ("a size", "t" | "tb" | "tib" | "ti") => Some("TiB"),
        _ => None,
    };
    let number = &text.trim()[..text.trim().len() - letters.len()];
    let hint = meant.map_or_else(|| general.to_owned(), |unit| format!("write \"{number}{unit}\""));
    Problem::new(format!("is not {what}")).label(error.to_string()).hint(hint)
}

/// One of a few words.
pub(super) fn one_of<T: Keyword>(value: &DeValue<'_>) -> Parsed<T> {
    let known: Vec<&str> = T::KEYWORDS.iter().map(|one| one.keyword()).collect();
    let text = value.as_str().ok_or_else(|| {
        Problem::wrong_type("a string", value).hint(format!("one of {}", names::listed(known.iter().copied())))
    })?;
    T::KEYWORDS.iter().copied().find(|one| one.keyword() == text).ok_or_else(|| {
        let problem = Problem::new(format!("cannot be `{text}`")).label("not known");
        problem.hint(names::unknown_hint(text, &known, "known are"))
    })
}
