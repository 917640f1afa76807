//! Files that describe a project.

use serde_json::Value;

use crate::folder::Folder;
use crate::guess::Unread;

/// A JSON file; what is wrong with it goes to `unread`.
pub fn json(folder: &Folder, file: &str, unread: &mut Vec<Unread>) -> Option<Value> {
    let text = folder.text(file)?;
    // A mark at the start, as some editors leave it, is no part of the document.
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(value) => Some(value),
        Err(error) => {
            unread.push(Unread { file: file.to_owned(), why: error.to_string() });
            None
        }
    }
}

/// A JSON file that may have comments and commas at the end, as `deno.jsonc`. What cannot be read then is none.
pub fn jsonc(text: &str) -> Option<Value> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match (quoted, c, rest.peek()) {
            (true, '\\', _) => {
                plain.push(c);
                plain.extend(rest.next());
            }
            (_, '"', _) => {
                quoted = !quoted;
                plain.push(c);
            }
            (false, '/', Some('/')) => while rest.next_if(|c| *c != '\n').is_some() {},
            (false, '/', Some('*')) => {
                let mut last = ' ';
                for c in rest.by_ref().skip(1) {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            _ => plain.push(c),
        }
    }
    let plain = without_last_commas(&plain);
    serde_json::from_str(&plain).ok()
}

/// Commas before a closing bracket, outside of strings.
fn without_last_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if !quoted && matches!(c, '}' | ']') {
            let kept = out.trim_end().trim_end_matches(',').len();
            if out.trim_end().ends_with(',') {
                out.truncate(kept);
            }
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        out.push(c);
    }
    out
}

/// A TOML file; what is wrong with it goes to `unread`.
pub fn toml(folder: &Folder, file: &str, unread: &mut Vec<Unread>) -> Option<toml::Table> {
    match folder.text(file)?.parse::<toml::Table>() {
        Ok(table) => Some(table),
        Err(error) => {
            let line = error.span().map(|span| {
                let text = folder.text(file).unwrap_or_default();
                text.get(..span.start).unwrap_or_default().matches('\n').count() + 1
            });
            let place = line.map_or_else(String::new, |line| format!(" at line {line}"));
            unread.push(Unread { file: file.to_owned(), why: format!("{}{place}", error.message()) });
            None
        }
    }
}

/// The keys of an object at a path of keys.
pub fn keys<'v>(value: &'v Value, path: &str) -> Vec<&'v str> {
    let object = value.pointer(path).and_then(Value::as_object);
    object.map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    #[test]
    fn a_broken_file_is_named_with_its_place() {
        let mut unread = Vec::new();
        let folder = folder(&[("package.json", "{\n  \"name\": oops\n}"), ("Cargo.toml", "[package]\nname = \n")]);
        assert_eq!(json(&folder, "package.json", &mut unread), None);
        assert_eq!(toml(&folder, "Cargo.toml", &mut unread), None);
        assert!(unread[0].why.contains("line 2"), "{unread:?}");
        assert!(unread[1].why.contains("at line 2"), "{unread:?}");
        assert_eq!(json(&folder, "composer.json", &mut unread), None);
        assert_eq!(unread.len(), 2, "a file that is not there is no fault");
        let marked = self::folder(&[("package.json", "\u{feff}{}")]);
        assert_eq!(
            json(&marked, "package.json", &mut unread),
            Some(serde_json::json!({})),
            "a mark at the start is none"
        );
    }

    #[test]
    fn comments_and_last_commas_are_no_fault_of_deno() {
        let text = "{ // tasks\n \"tasks\": { \"start\": \"deno run http://x/*.ts, }\", /* one */ },\n}";
        let value = jsonc(text).unwrap();
        assert_eq!(value["tasks"]["start"], "deno run http://x/*.ts, }");
        assert!(jsonc("{").is_none());
    }
}
