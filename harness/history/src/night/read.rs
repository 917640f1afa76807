//! Reading a file. What cannot be believed is named and left out; the rest stays.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CellLine, Experiment, Fault, Header, Night, SCHEMA, Selftest, What, check};

/// Reads the bytes of a file. `file` is its path inside the history; `now` is the moment past which no run can have begun.
/// `None`: the file as a whole says nothing.
pub fn read(file: &str, bytes: &[u8], now: Timestamp) -> (Option<Night>, Vec<Fault>) {
    let mut reading = Reading { file, now, faults: Vec::new(), night: None, seen: BTreeSet::new() };
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let result = match line.strip_suffix(b"\n") {
            None => Err(What::Torn),
            Some(line) if number == 1 => reading.header(line),
            Some(line) => reading.line(line),
        };
        if let Err(what) = result {
            reading.fault(Some(number), what);
        }
        if reading.night.is_none() {
            break;
        }
    }
    if reading.night.is_none() && reading.faults.is_empty() {
        reading.fault(None, What::NoHeader);
    }
    (reading.night, reading.faults)
}

struct Reading<'a> {
    file: &'a str,
    now: Timestamp,
    faults: Vec<Fault>,
    night: Option<Night>,
    seen: BTreeSet<String>,
}

impl Reading<'_> {
    fn fault(&mut self, line: Option<usize>, what: What) {
        self.faults.push(Fault { file: self.file.to_owned(), line, what });
    }

    fn header(&mut self, line: &[u8]) -> Result<(), What> {
        let (kind, value) = parsed(line)?;
        if kind != "night" {
            return Err(What::NoHeader);
        }
        // The version comes first, so that a later one is named as such and not as an unknown key.
        if let Ok(Version { schema, wsceiling }) = Version::deserialize(&value)
            && schema > u64::from(SCHEMA)
        {
            return Err(What::Newer { schema, wsceiling });
        }
        let header: Header = typed(value)?;
        check::header(&header, self.now).map_err(What::Impossible)?;
        let night = Night { header, cells: Vec::new(), selftests: Vec::new(), experiments: Vec::new() };
        let name = night.file_name();
        if name != self.file {
            return Err(What::Name(name));
        }
        self.night = Some(night);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), What> {
        let (kind, value) = parsed(line)?;
        let Some(night) = &mut self.night else { return Ok(()) };
        match kind.as_str() {
            "cell" => {
                let cell: CellLine = typed(value)?;
                check::cell(&cell).map_err(What::Impossible)?;
                if !self.seen.insert(cell.id.clone()) {
                    return Err(What::Twice(cell.id));
                }
                night.cells.push(cell);
            }
            "selftest" => {
                let selftest: Selftest = typed(value)?;
                check::selftest(&selftest).map_err(What::Impossible)?;
                night.selftests.push(selftest);
            }
            "experiment" => {
                let experiment: Experiment = typed(value)?;
                check::experiment(&experiment).map_err(What::Impossible)?;
                night.experiments.push(experiment);
            }
            "night" => return Err(What::Foreign("the file has two headers".into())),
            other => return Err(What::Foreign(format!("`{}` is no kind of line", other.escape_debug()))),
        }
        Ok(())
    }
}

/// The version of a file, whatever else its header has.
#[derive(Deserialize)]
struct Version {
    schema: u64,
    wsceiling: Option<String>,
}

/// What a line is, and the rest of it.
fn parsed(line: &[u8]) -> Result<(String, Value), What> {
    let foreign = |why: &str| What::Foreign(why.to_owned());
    let value: Value = serde_json::from_slice(line).map_err(|error| What::Foreign(error.to_string()))?;
    let Value::Object(mut object) = value else { return Err(foreign("it is no JSON object")) };
    match object.remove("line") {
        Some(Value::String(kind)) => Ok((kind, Value::Object(object))),
        _ => Err(foreign("its key `line` is missing")),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, What> {
    serde_json::from_value(value).map_err(|error| What::Foreign(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::night;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-29T03:00:00Z".parse().unwrap()
    }

    fn text() -> String {
        String::from_utf8(night().to_bytes().unwrap()).unwrap()
    }

    fn read_text(text: &str) -> (Option<Night>, Vec<String>) {
        let (night, faults) = read(&night().file_name(), text.as_bytes(), now());
        (night, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_was_written_is_read() {
        let (read, faults) = read_text(&text());
        assert_eq!((read, faults), (Some(night()), Vec::new()));
    }

    #[test]
    fn a_torn_or_foreign_line_is_named_and_the_rest_stays() {
        let whole = text();
        let torn = format!("{whole}{{\"line\":\"cell\",\"id\":\"app");
        let (read, faults) = read_text(&torn);
        assert_eq!(read, Some(night()));
        let file = night().file_name();
        assert_eq!(faults, [format!("{file}:3: the line is torn: it has no end")]);
        for (line, word) in [
            ("no json", "expected"),
            ("[1]", "no JSON object"),
            ("{}", "`line` is missing"),
            (r#"{"line":"gossip"}"#, "`gossip` is no kind of line"),
            (r#"{"line":"cell"}"#, "missing field"),
            (whole.lines().next().unwrap(), "two headers"),
            (whole.lines().nth(1).unwrap(), "a second line of cell `echo-bare-x1-small`"),
        ] {
            let (read, faults) = read_text(&format!("{whole}{line}\n"));
            assert_eq!(read, Some(night()), "{line}");
            assert!(faults.len() == 1 && faults[0].contains(":3: ") && faults[0].contains(word), "{line}: {faults:?}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_measured_are_rejected() {
        for (from, to, word) in [
            ("\"memory\":7300.5,\"cpu\":11.8,\"opening\":55.25", "\"memory\":-3.0", "`memory` is -3"),
            ("\"ceiling\":4010.0", "\"ceiling\":NaN", "expected"),
            ("\"ceiling\":4010.0", "\"ceiling\":1e999", "number out of range"),
            ("\"ceiling\":4010.0", "\"ceiling\":1e300", "`ceiling` is 1"),
            ("\"confidence\":0.85", "\"confidence\":1.5", "`confidence` is 1.5"),
            ("\"first_bad\":4200", "\"first_bad\":3000", "4000 connections were held and 3000 were too many"),
            ("\"id\":\"echo-bare-x1-small\"", "\"id\":\"../echo\"", "`id` is `../echo`"),
            ("\"cause\":\"memory-limit\"", "\"cause\":\"gremlins\"", "unknown variant"),
            ("\"outcome\":\"ceiling\"", "\"outcome\":\"ceiling\",\"mood\":1", "unknown field `mood`"),
        ] {
            let whole = text();
            assert!(whole.contains(from), "{from}");
            let (read, faults) = read_text(&whole.replacen(from, to, 1));
            assert!(read.unwrap().cells.is_empty(), "{to}");
            assert!(faults.len() == 1 && faults[0].contains(":2: ") && faults[0].contains(word), "{to}: {faults:?}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_believed_takes_the_file_with_it() {
        for (from, to, word) in [
            ("2026-11-29T02:17:05Z", "2026-12-01T02:17:05Z", "has not come yet"),
            ("2026-11-29T02:17:05Z", "yesterday", "`yesterday` is no time"),
            ("\"run\":\"4711\"", "\"run\":\"4712\"", "by its header it would be called runs/2026/11/"),
            ("\"run\":\"4711\"", "\"run\":\"../4711\"", "`run` is `../4711`"),
            ("https://example.org/job/4711", "javascript:alert(1)", "no https address"),
            ("\"commit\":\"0123456789abcdef\"", "\"commit\":\"HEAD\"", "`commit` is `HEAD`"),
            ("\"line\":\"night\"", "\"line\":\"cell\"", "the file has no header"),
        ] {
            let (read, faults) = read_text(&text().replacen(from, to, 1));
            assert_eq!(read, None, "{to}");
            assert!(faults.len() == 1 && faults[0].contains(":1: ") && faults[0].contains(word), "{to}: {faults:?}");
        }
        assert_eq!(read_text("").0, None);
        assert!(read_text("").1[0].contains("the file has no header"));
    }

    #[test]
    fn a_later_schema_is_named_by_the_version_that_reads_it() {
        let later = text().replacen(
            "\"schema\":1,\"wsceiling\":\"0.1.0\"",
            "\"schema\":2,\"wsceiling\":\"0.9.0\",\"new\":{}",
            1,
        );
        let (read, faults) = read_text(&later);
        assert_eq!(read, None);
        assert!(faults[0].ends_with("its schema is 2: it needs wsceiling >= 0.9.0"), "{faults:?}");
    }
}
