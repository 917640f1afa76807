//! One line of a file.

use serde::Serialize;

/// A line with what it is in front.
#[derive(Serialize)]
struct Line<'a, T> {
    line: &'static str,
    #[serde(flatten)]
    of: &'a T,
}

/// Appends a line.
pub(super) fn write<T: Serialize>(out: &mut Vec<u8>, line: &'static str, of: &T) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, &Line { line, of })?;
    out.push(b'\n');
    Ok(())
}

/// A moment as RFC 3339, to the second.
pub(super) mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom(format!("`{}` is no time", text.escape_debug())))
    }
}
