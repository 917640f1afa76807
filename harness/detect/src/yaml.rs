//! The little of YAML that compose files need: mappings and lists in blocks, by indentation, with plain or quoted values. Lists
//! and mappings in brackets are taken apart one level deep; anchors, tags and texts of several lines are not followed.

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    indent: usize,
    /// Without the dash of an item.
    text: String,
    item: bool,
}

/// A node: what stands at a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The value on the line of the key, without quotes.
    pub value: String,
    /// Mapping below it.
    pub keys: Vec<(String, Node)>,
    /// List below it.
    pub items: Vec<Node>,
}

impl Node {
    /// What stands at a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The value at a key, where it is a plain one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|node| node.value.as_str()).filter(|value| !value.is_empty())
    }

    /// All texts of a list, in blocks or in brackets.
    pub fn list(&self) -> Vec<String> {
        let inline = self.value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inline = inline.into_iter().flat_map(|inside| inside.split(',')).map(|part| unquoted(part.trim()));
        let items = self.items.iter().map(|item| item.value.clone());
        inline.chain(items).filter(|text| !text.is_empty()).collect()
    }
}

/// Reads a document.
pub fn parse(text: &str) -> Node {
    let lines: Vec<Line> = text.lines().filter_map(line).collect();
    let mut at = 0;
    block(&lines, &mut at, 0)
}

fn line(text: &str) -> Option<Line> {
    let text = without_comment(text).trim_end();
    let inner = text.trim_start();
    if inner.is_empty() || inner == "---" || inner == "..." {
        return None;
    }
    let indent = text.len() - inner.len();
    match inner.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        Some(rest) => Some(Line { indent, text: rest.trim_start().to_owned(), item: true }),
        None => Some(Line { indent, text: inner.to_owned(), item: false }),
    }
}

/// The line before a `#` that stands outside of quotes and after a space.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return &line[..at],
            _ => {}
        }
        before = c;
    }
    line
}

/// All lines from `at` on that are indented by `indent` or more.
fn block(lines: &[Line], at: &mut usize, indent: usize) -> Node {
    let mut node = Node::default();
    while let Some(line) = lines.get(*at).filter(|line| line.indent >= indent) {
        *at += 1;
        if line.item {
            let mut item = entry(&line.text).map_or_else(
                || Node { value: unquoted(&line.text), ..Node::default() },
                |(key, value)| Node { keys: vec![(key, Node { value, ..Node::default() })], ..Node::default() },
            );
            item.keys.extend(block(lines, at, line.indent + 1).keys);
            node.items.push(item);
        } else if let Some((key, value)) = entry(&line.text) {
            // Items may stand as far left as their key.
            let next = lines.get(*at).filter(|next| next.item && next.indent == line.indent);
            let mut below = match next {
                Some(_) => items_at(lines, at, line.indent),
                None => block(lines, at, line.indent + 1),
            };
            below.value = value;
            node.keys.push((key, below));
        }
    }
    node
}

fn items_at(lines: &[Line], at: &mut usize, indent: usize) -> Node {
    let end = lines[*at..].iter().position(|line| line.indent < indent || (line.indent == indent && !line.item));
    let end = end.map_or(lines.len(), |length| *at + length);
    let node = block(&lines[..end], at, indent);
    *at = end;
    node
}

/// `key: value`, also without a value.
fn entry(text: &str) -> Option<(String, String)> {
    let (key, value) = match text.strip_suffix(':') {
        Some(key) if !key.contains(": ") => (key, ""),
        _ => text.split_once(": ")?,
    };
    if key.starts_with(['"', '\'']) && !key.ends_with(['"', '\'']) {
        return None;
    }
    Some((unquoted(key.trim()), unquoted(value.trim())))
}

fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_and_lists_in_blocks_are_read() {
        let node = parse(
            "# all\nservices:\n  web: # the site\n    image: \"nginx:1 # not a comment\"\n    ports:\n    - \"80:80\"\n    - target: 8080\n      published: 1\n  chat:\n    build: ./chat\n    environment:\n      - PORT=3000\n    expose: [ \"3000\", 3001 ]\n",
        );
        let services = node.get("services").unwrap();
        let web = services.get("web").unwrap();
        assert_eq!(web.text("image"), Some("nginx:1 # not a comment"));
        let ports = web.get("ports").unwrap();
        assert_eq!(ports.items[0].value, "80:80");
        assert_eq!((ports.items[1].text("target"), ports.items[1].text("published")), (Some("8080"), Some("1")));
        let chat = services.get("chat").unwrap();
        assert_eq!(chat.text("build"), Some("./chat"));
        assert_eq!(chat.get("environment").unwrap().list(), ["PORT=3000"]);
        assert_eq!(chat.get("expose").unwrap().list(), ["3000", "3001"]);
    }

    #[test]
    fn anything_else_is_read_without_harm() {
        for text in
            ["", ":", "-", "- -", "{a: [", "\t- x", "a: |\n  b\n c", "'a: b", "a:\n- b\n- c\nd: e", "---\n...\n"]
        {
            let _ = parse(text);
        }
        let node = parse("a:\n- b\n- c\nd: e");
        assert_eq!((node.get("a").unwrap().list(), node.text("d")), (vec!["b".to_owned(), "c".to_owned()], Some("e")));
    }
}
