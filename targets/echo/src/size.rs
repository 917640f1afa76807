//! Sizes on the command line: `4096`, `4KiB`, `1MiB`.

/// Parses a number of bytes with an optional unit (`B`, `KiB`, `MiB`); `kB` and `MB` are refused because readers
/// disagree on what they mean.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        other => return Err(format!("unknown unit `{other}` (hint: bytes, or a unit of B, KiB or MiB, such as 4KiB)")),
    };
    let number: usize =
        digits.parse().map_err(|_| format!("`{digits}` is not a whole number of bytes (hint: 4096 or 4KiB)"))?;
    match number.checked_mul(unit) {
        Some(bytes @ 1..=0x4000_0000) => Ok(bytes),
        _ => Err("must be between 1 byte and 1024MiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("4 KiB"), Ok(4096));
        assert_eq!(parse_size("1MiB"), Ok(1_048_576));
        assert_eq!(parse_size("1024MiB"), Ok(1_073_741_824));
        assert_eq!(parse_size("77"), Ok(77));
        assert_eq!(parse_size("77B"), Ok(77));
    }

    #[test]
    fn other_text_is_refused_with_a_hint() {
        for bad in ["", "KiB", "4kB", "-1", "1.5MiB", "0", "1025MiB", "99999999999999999999"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert!(parse_size("4kB").unwrap_err().contains("hint"));
    }
}
