//! Pressure stall information (`Documentation/accounting/psi.rst`).

use crate::environment::parse::{lines, words};

/// Percent of the last 10 s in which `some` or all (`full`) tasks waited.
pub(super) fn avg10(text: &[u8], who: &str) -> Option<f64> {
    let mut line = lines(text).map(words).find_map(|mut words| (words.next()? == who.as_bytes()).then_some(words))?;
    let value = line.find_map(|word| word.strip_prefix(b"avg10="))?;
    let value: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (0.0..=100.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_named_line() {
        let text = b"some avg10=1.50 avg60=0.96 avg300=1.36 total=23763405\nfull avg10=0.25 avg60=0 total=0\n";
        assert_eq!(avg10(text, "some"), Some(1.5));
        assert_eq!(avg10(text, "full"), Some(0.25));
        assert_eq!(avg10(b"some avg10=NaN", "some"), None);
        assert_eq!(avg10(b"some", "some"), None);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = avg10(&text, "some");
        }
    }
}
