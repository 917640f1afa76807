//! Lists of prices as JSON: a list of objects, or an object that has one (`{"plans": [...]}`).

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Map, Value};
use wsceiling_model::platforms::RowFault;

use super::import::Lines;
use super::row::{Cells, KNOWN, VULTR};

/// Reads the rows.
///
/// # Errors
/// Where the text is no JSON, or has no list.
pub fn rows(text: &str) -> Result<Lines, RowFault> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip();
    let mut lists = Vec::new();
    if cursor.takes('[') {
        lists.push(cursor.objects()?);
    } else if cursor.takes('{') {
        while !cursor.ends('}')? {
            cursor.value::<String>()?;
            if !cursor.takes(':') {
                return Err(cursor.fault("no colon after a name"));
            }
            cursor.skip();
            if cursor.takes('[') {
                lists.push(cursor.objects()?);
            } else {
                cursor.value::<IgnoredAny>()?;
            }
        }
    } else {
        return Err(cursor.fault("neither a list nor an object"));
    }
    if cursor.at < text.len() {
        return Err(cursor.fault("something follows the end"));
    }
    lists.retain(|list| !list.rows.is_empty() || !list.bad.is_empty());
    match (lists.pop(), lists.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(RowFault { line: 1, what: "it has no list of plans".to_owned() }),
        (Some(_), false) => {
            Err(RowFault { line: 1, what: "it has several lists (hint: keep the one of plans)".to_owned() })
        }
    }
}

/// A place in the text.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n', '\u{feff}']).len();
    }

    /// Goes past a character and what is empty after it, if it stands here.
    fn takes(&mut self, c: char) -> bool {
        let here = self.rest().starts_with(c);
        if here {
            self.at += c.len_utf8();
            self.skip();
        }
        here
    }

    /// Whether a list or an object ends here; else goes to its next member.
    fn ends(&mut self, bracket: char) -> Result<bool, RowFault> {
        if self.takes(bracket) {
            return Ok(true);
        }
        let opens = self.text[..self.at].trim_end().ends_with(['[', '{']);
        if opens || self.takes(',') { Ok(false) } else { Err(self.fault(&format!("neither a comma nor `{bracket}`"))) }
    }

    fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    fn fault(&self, what: &str) -> RowFault {
        RowFault { line: self.line(), what: what.to_owned() }
    }

    /// The value that stands here.
    fn value<T: DeserializeOwned>(&mut self) -> Result<T, RowFault> {
        let mut values = Deserializer::from_str(self.rest()).into_iter::<T>();
        let (value, used) = (values.next(), values.byte_offset());
        match value {
            Some(Ok(value)) => {
                self.at += used;
                self.skip();
                Ok(value)
            }
            Some(Err(error)) => {
                // The place is told by its line in the file, not by that from here.
                let what = error.to_string();
                let what = what.split(" at line ").next().unwrap_or_default().to_owned();
                Err(RowFault { line: self.line() + error.line().saturating_sub(1), what })
            }
            None => Err(self.fault("it ends too early")),
        }
    }

    /// The rows up to the end of the list; its bracket has been taken.
    fn objects(&mut self) -> Result<Lines, RowFault> {
        let mut lines = Lines::default();
        while !self.ends(']')? {
            let line = self.line();
            match self.value::<Value>()? {
                Value::Object(object) => {
                    lines.unread.extend(unread(&object));
                    lines.rows.push((line, cells(object)));
                }
                _ => lines.bad.push(RowFault { line, what: "it is no object".to_owned() }),
            }
        }
        lines.unread.sort();
        lines.unread.dedup();
        Ok(lines)
    }
}

/// Names that nobody reads.
fn unread(object: &Map<String, Value>) -> Vec<String> {
    let name = |name: &String| name.to_ascii_lowercase();
    object.keys().map(name).filter(|name| !KNOWN.contains(&name.as_str()) && name != VULTR).collect()
}

/// What has a text; lists and objects inside a row have none.
fn cells(object: Map<String, Value>) -> Cells {
    let cell = |(name, value): (String, Value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(bool) => bool.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.to_ascii_lowercase(), text))
    };
    object.into_iter().filter_map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_and_one_in_an_object_are_read_with_their_lines() {
        let rows_of = |text: &str| {
            let lines = rows(text).unwrap();
            lines.rows.iter().map(|(line, cells)| (*line, cells["plan"].clone())).collect::<Vec<_>>()
        };
        let expected = [(2, "a".to_owned()), (4, "b".to_owned())];
        assert_eq!(rows_of("[\n{\"plan\":\"a\"},\n\n {\"plan\":\"b\"}]\n"), expected);
        assert_eq!(
            rows_of("{\"meta\": {\"n\": [1, 2]}, \"plans\": [\n{\"plan\":\"a\"},\n\n{\"plan\":\"b\"}], \"n\": 3}"),
            expected
        );
    }

    #[test]
    fn cells_are_texts_and_what_is_not_read_is_known() {
        let text = r#"{"plans":[{"id":"vc2-1c-1gb","vcpu_count":1,"ram":1024,"monthly_cost":5,"locations":["ams"],"x":null}]}"#;
        let lines = rows(text).unwrap();
        let cells = &lines.rows[0].1;
        assert_eq!((cells["ram"].as_str(), cells["monthly_cost"].as_str()), ("1024", "5"));
        assert_eq!(lines.unread, ["locations", "x"]);
        assert!(!cells.contains_key("locations"));
    }

    #[test]
    fn mistakes_are_named_by_their_line() {
        let fault = |text: &str| rows(text).unwrap_err();
        assert_eq!(fault("[\n{\"plan\":\"a\"},\n{\"plan\":}]").line, 3);
        assert_eq!(fault("[\n{\"plan\":\"a\"}\n{\"plan\":\"b\"}]").line, 3);
        assert_eq!(fault("[\n{\"plan\":\"a\"},\n").line, 3);
        assert!(fault("{\"a\": 1}").what.contains("no list"));
        assert!(fault("{\"a\": [{}], \"b\": [{}]}").what.contains("several"));
        assert!(fault("<html>").what.contains("neither"));
        assert!(fault("[] x").what.contains("follows"));
        assert!(fault("").what.contains("neither"));
        assert_eq!(rows("[3]").unwrap().bad, [RowFault { line: 1, what: "it is no object".into() }]);
    }
}
