//! Sizes and times on the command line: `4KiB`, `250ms`.

use std::time::Duration;

/// Parses a number of bytes, at least 1, with an optional unit (`B`, `KiB`, `MiB`); `kB` and `MB` are refused because
/// readers disagree on what they mean.
pub fn parse_size(text: &str) -> Result<usize, String> {
    match parse_size_or_zero(text)? {
        0 => Err("must be at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Like [`parse_size`], with 0 allowed.
pub fn parse_size_or_zero(text: &str) -> Result<usize, String> {
    let (digits, unit) = split(text);
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        other => return Err(format!("unknown unit `{other}` (hint: bytes, or a unit of B, KiB or MiB, such as 4KiB)")),
    };
    let number: usize =
        digits.parse().map_err(|_| format!("`{digits}` is not a whole number of bytes (hint: 4096 or 4KiB)"))?;
    match number.checked_mul(unit) {
        Some(bytes @ 0..=0x4000_0000) => Ok(bytes),
        _ => Err("must be at most 1024MiB".to_owned()),
    }
}

/// Parses a time above zero with its unit: `ms`, `s` or `min`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split(text);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "" => return Err("a time needs a unit (hint: 250ms, 2s or 5min)".to_owned()),
        other => return Err(format!("unknown unit `{other}` (hint: ms, s or min, such as 250ms)")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number (hint: 250ms)"))?;
    match number.checked_mul(unit_ms) {
        Some(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
        _ => Err("must be between 1ms and a day".to_owned()),
    }
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    (digits, text[digits.len()..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("1 MiB"), Ok(1_048_576));
        assert_eq!(parse_size("77"), Ok(77));
        assert_eq!(parse_size_or_zero("0"), Ok(0));
        for bad in ["", "KiB", "4kB", "-1", "1.5MiB", "0", "1025MiB", "99999999999999999999"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("5min"), Ok(Duration::from_secs(300)));
        for bad in ["", "5", "0s", "5h", "-1s", "99999999999999999999s", "2000000000s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_duration("5").unwrap_err().contains("hint"));
    }
}
