//! YAML, as texts: a compose file means what is written, so `1.20` and `080` are no numbers.

use saphyr::{Yaml, YamlLoader};
use saphyr_parser::Parser;

use crate::folder::Folder;
use crate::guess::Unread;

/// A node: what stands at a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The text, where it is one.
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

    /// All texts of a list.
    pub fn list(&self) -> Vec<String> {
        self.items.iter().map(|item| item.value.clone()).filter(|text| !text.is_empty()).collect()
    }

    fn of(yaml: &Yaml<'_>) -> Self {
        match yaml {
            Yaml::Representation(text, ..) => Self { value: text.to_string(), ..Self::default() },
            Yaml::Sequence(items) => Self { items: items.iter().map(Self::of).collect(), ..Self::default() },
            Yaml::Mapping(mapping) => {
                let mut keys: Vec<_> =
                    mapping.iter().map(|(key, below)| (Self::of(key).value, Self::of(below))).collect();
                // What is merged in (`<<: *common`) gives way to what stands here.
                let merged = keys.iter().find(|(key, _)| key == "<<").map(|(_, below)| below.keys.clone());
                keys.retain(|(key, _)| key != "<<");
                for (key, below) in merged.into_iter().flatten() {
                    if !keys.iter().any(|(own, _)| *own == key) {
                        keys.push((key, below));
                    }
                }
                Self { keys, ..Self::default() }
            }
            Yaml::Tagged(_, inner) => Self::of(inner),
            Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => Self::default(),
        }
    }
}

/// The first document of a file; what is wrong with it goes to `unread`.
pub fn file(folder: &Folder, file: &str, unread: &mut Vec<Unread>) -> Option<Node> {
    match parse(folder.text(file)?) {
        Ok(node) => Some(node),
        Err(why) => {
            unread.push(Unread { file: file.to_owned(), why });
            None
        }
    }
}

fn parse(text: &str) -> Result<Node, String> {
    let mut loader = YamlLoader::<Yaml<'_>>::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, false).map_err(|error| error.to_string())?;
    if let Some(error) = loader.error() {
        return Err(error.to_string());
    }
    Ok(loader.into_documents().first().map(Node::of).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_and_lists_in_blocks_are_read() {
        let node = parse(
            "# all\nservices:\n  web: # the site\n    image: \"nginx:1 # not a comment\"\n    ports:\n    - \"80:80\"\n    - target: 8080\n      published: 1\n  chat:\n    build: ./chat\n    environment:\n      - PORT=3000\n    expose: [ \"3000\", 3001 ]\n",
        )
        .unwrap();
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
    fn texts_stay_as_they_are_written_and_what_is_merged_gives_way() {
        assert_eq!(parse("p: !override ['80']").unwrap().get("p").unwrap().list(), ["80"]);
        let node = parse("c: &c {v: 1.20, w: 080}\na:\n  <<: *c\n  w: own\n").unwrap();
        let merged = node.get("a").unwrap();
        assert_eq!((merged.text("v"), merged.text("w"), merged.keys.len()), (Some("1.20"), Some("own"), 2));
    }

    #[test]
    fn anything_else_is_refused_with_its_place_or_is_empty() {
        assert_eq!(parse(""), Ok(Node::default()));
        assert!(parse("a: [b\nc: d").unwrap_err().contains("line 2"), "{:?}", parse("a: [b\nc: d"));
        for text in [":", "-", "- -", "{a: [", "\t- x", "a: |\n  b\n c", "'a: b", "---\n...\n"] {
            let _ = parse(text);
        }
        let lines: Vec<_> = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]", n - 1)).collect();
        assert!(parse(&format!("a0: &a0 x\n{}", lines.join("\n"))).is_err(), "what grows without end");
    }
}
