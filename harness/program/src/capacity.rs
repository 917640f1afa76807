//! What a user writes to ask for a capacity plan: messages, shares and sizes.

use std::time::Duration;

use wsceiling_analysis::capacity::{Message, PlanSize};
use wsceiling_model::matrix::units::{parse_bytes, parse_duration};
use wsceiling_model::matrix::{self, Size, names};
use wsceiling_model::platforms::Catalogue;
use wsceiling_model::record::RunHeader;

/// Reads `every 30s, 200 B`, in either order, or `none`.
///
/// # Errors
/// What is wrong with it, and what it should look like.
pub fn message(text: &str) -> Result<Message, String> {
    let like = "write `every 30s, 200 B`, or `none`";
    if text.trim() == "none" {
        return Ok(Message { every: Duration::ZERO, bytes: 0 });
    }
    let (mut every, mut bytes) = (None, None);
    for part in text.split(',').map(str::trim) {
        if let Some(time) = part.strip_prefix("every ") {
            let time = parse_duration(time.trim()).map_err(|error| format!("`{part}`: {error}; {like}"))?;
            if time.is_zero() || every.replace(time).is_some() {
                return Err(format!("`{text}`: one time above zero is needed; {like}"));
            }
        } else {
            let size = parse_bytes(part).map_err(|error| format!("`{part}`: {error}; {like}"))?;
            if size > matrix::Message::BYTES_MAX || bytes.replace(size).is_some() {
                return Err(format!("`{text}`: one size of at most 16MiB is needed; {like}"));
            }
        }
    }
    let every = every.ok_or_else(|| format!("`{text}` does not say how often; {like}"))?;
    let bytes = bytes.ok_or_else(|| format!("`{text}` does not say how long; {like}"))?;
    Ok(Message { every, bytes: bytes as u32 })
}

/// Reads `30%` or `0.3` as a share from 0 to below 1.
///
/// # Errors
/// When it is none.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, of) = text.trim().strip_suffix('%').map_or((text.trim(), 1.0), |number| (number.trim(), 100.0));
    let share = number.parse::<f64>().ok().map(|number| number / of).filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a reserve is a share from 0 % to below 100 %, like 30%".to_owned())
}

/// The sizes that a text names: a size of the matrix (`small`), limits by hand (`1cpu,512MiB,nofile=100000,price=6`), a plan of
/// the lists of prices (`hetzner/cx23`), or all plans of a provider (`hetzner/*`).
///
/// # Errors
/// What is unknown or wrong, with the nearest names.
pub fn sizes(text: &str, header: &RunHeader, catalogue: &Catalogue) -> Result<Vec<PlanSize>, String> {
    let text = text.trim();
    if let Some(size) = header.sizes.iter().find(|size| size.name == text) {
        return Ok(vec![PlanSize::of_size(header, size)]);
    }
    if text.contains('/') {
        return of_provider(text, catalogue);
    }
    if text.contains(',') || text.contains("cpu") || text.starts_with(|c: char| c.is_ascii_digit()) {
        let size = by_hand(text)?;
        return Ok(vec![PlanSize::of_size(header, &size)]);
    }
    let known: Vec<&str> = header.sizes.iter().map(|size| size.name.as_str()).collect();
    Err(format!(
        "the run has no size `{text}`; {}; limits are written `1cpu,512MiB`, plans `hetzner/cx23`",
        names::unknown_hint(text, &known, "it has")
    ))
}

/// A plan of the lists of prices, or all of a provider, with `nofile=` where it is known: descriptors are what whoever sets the
/// machine up allows.
fn of_provider(text: &str, catalogue: &Catalogue) -> Result<Vec<PlanSize>, String> {
    let (name, nofile) = match text.split_once(',').map(|(name, part)| (name.trim(), part.trim())) {
        None => (text, None),
        Some((name, part)) => match part.split_once('=') {
            Some(("nofile", count)) => (name, Some(whole(part, count)?)),
            _ => return Err(format!("`{part}`: a plan has its own CPUs, memory and price; `{name},nofile=65536` may be said")),
        },
    };
    let mut sizes = match name.strip_suffix("/*") {
        Some(provider) => provider_sizes(provider, catalogue)?,
        None => {
            let row = catalogue.plan(name).map_err(|error| error.to_string())?;
            if !catalogue.is_usable(row) {
                return Err(format!("the price of `{name}` was seen on {}: too old to plan with", row.seen));
            }
            vec![PlanSize::of_row(row)]
        }
    };
    for size in &mut sizes {
        size.size.nofile = nofile;
    }
    Ok(sizes)
}

fn provider_sizes(provider: &str, catalogue: &Catalogue) -> Result<Vec<PlanSize>, String> {
    let own = catalogue.rows().iter().filter(|row| row.provider.eq_ignore_ascii_case(provider));
    let sizes: Vec<PlanSize> = own.filter(|row| catalogue.is_usable(row)).map(PlanSize::of_row).collect();
    if sizes.is_empty() {
        let mut known: Vec<&str> = catalogue.rows().iter().map(|row| row.provider.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        return Err(format!(
            "the lists of prices have no provider `{provider}`; {}",
            names::unknown_hint(provider, &known, "they have")
        ));
    }
    Ok(sizes)
}

/// `1cpu,512MiB`, with `nofile=` and `price=` where they are known.
fn by_hand(text: &str) -> Result<Size, String> {
    let mut size = Size::unlimited(text);
    for part in text.split(',').map(str::trim) {
        let twice = match part.split_once('=') {
            Some(("nofile", count)) => size.nofile.replace(whole(part, count)?).is_some(),
            Some(("price", price)) => size.price_per_month.replace(number(part, price, Size::PRICES)?).is_some(),
            Some((name, _)) => {
                return Err(format!("`{part}`: {}", names::unknown_hint(name, &["nofile", "price"], "keys are")));
            }
            None => match part.strip_suffix("cpus").or_else(|| part.strip_suffix("cpu")) {
                Some(cpus) => size.cpus.replace(number(part, cpus.trim(), Size::CPUS)?).is_some(),
                None => size.memory_bytes.replace(memory(part)?).is_some(),
            },
        };
        if twice {
            return Err(format!("`{text}` says `{part}` and something else of the same kind"));
        }
    }
    if size.cpus.is_none() && size.memory_bytes.is_none() {
        return Err(format!("`{text}` limits neither CPU nor memory; write `1cpu,512MiB`"));
    }
    Ok(size)
}

fn number(part: &str, text: &str, allowed: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("`{part}`: a number from {} to {} is needed", allowed.start(), allowed.end()))
}

fn whole(part: &str, text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{part}`: a whole number above 0 is needed"))
}

fn memory(part: &str) -> Result<u64, String> {
    let bytes = parse_bytes(part).map_err(|error| format!("`{part}`: {error}; write `1cpu,512MiB`"))?;
    if Size::MEMORY_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("`{part}`: from 4MiB to 16TiB are possible"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_simulate::small_run;

    #[test]
    fn messages_are_read_in_either_order() {
        let expected = Message { every: Duration::from_secs(30), bytes: 200 };
        for text in ["every 30s, 200 B", "200B,every 30s", " every 30s ,200 B"] {
            assert_eq!(message(text), Ok(expected), "{text}");
        }
        assert_eq!(message("none").map(Message::per_second), Ok(0.0));
        for text in [
            "",
            "every 30s",
            "200 B",
            "every 0s, 1B",
            "every 30, 1B",
            "every 1s, every 2s, 1B",
            "every 1s, 64",
            "every 1s, 1GiB",
        ] {
            let error = message(text).unwrap_err();
            assert!(error.contains("every 30s, 200 B"), "{text}: {error}");
        }
    }

    #[test]
    fn a_share_is_written_either_way() {
        assert_eq!((share("30%"), share("0.3"), share("0%")), (Ok(0.3), Ok(0.3), Ok(0.0)));
        assert!(["100%", "1", "-1%", "x", "", "NaN"].into_iter().all(|text| share(text).is_err()));
    }

    #[test]
    fn sizes_are_those_of_the_matrix_by_hand_or_plans() {
        let (header, _) = small_run();
        let of = |text: &str| sizes(text, &header, &Catalogue::default());
        let one = |text: &str| of(text).unwrap().remove(0);
        assert_eq!(one("small").size, header.sizes[0]);
        let hand = one("0.5cpu,512MiB,nofile=1000,price=4.5");
        assert_eq!(
            (hand.size.cpus, hand.size.memory_bytes, hand.size.nofile),
            (Some(0.5), Some(512 << 20), Some(1000))
        );
        assert_eq!(hand.price.map(|price| price.per_month), Some(4.5));
        assert_eq!(one("2cpus").size.memory_bytes, None);
        assert_eq!(one("hetzner/cx23").price.unwrap().currency(), Some("EUR"));
        assert!(of("hetzner/*").unwrap().len() > 1);
        assert_eq!((one("hetzner/cx23").size.nofile, one("hetzner/cx23, nofile=65536").size.nofile), (None, Some(65_536)));
        assert!(of("hetzner/*,nofile=1000").unwrap().iter().all(|size| size.size.nofile == Some(1000)));
    }

    #[test]
    fn what_is_wrong_with_a_size_is_said_with_the_nearest_name() {
        let (header, _) = small_run();
        let error = |text: &str| sizes(text, &header, &Catalogue::default()).unwrap_err();
        for (text, says) in [
            ("smal", "did you mean `small`?"),
            ("hetzner/cx24", "hetzner/cx23"),
            ("hetzner/cx23,1cpu", "has its own CPUs"),
            ("hetzner/cx23,nofile=0", "above 0"),
            ("hetzer/*", "did you mean `hetzner`?"),
            ("0cpu,1GiB", "from 0.01 to 1024"),
            ("1cpu,512", "512MiB"),
            ("1cpu,1KiB", "from 4MiB"),
            ("1cpu,2cpu", "same kind"),
            ("1cpu,nofiles=3", "did you mean `nofile`?"),
            ("nofile=3,price=1", "neither CPU nor memory"),
            ("1cpu,price=x", "a number from 0"),
        ] {
            assert!(error(text).contains(says), "{text}: {}", error(text));
        }
    }
}
