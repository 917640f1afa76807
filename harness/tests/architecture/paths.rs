//! Reads the paths that a Rust file names, from its tokens: in `use` declarations, in code and inside macros alike.
//! Comments and strings never count. Names that only a macro's expansion would show are not seen.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is named in a file: `crate::record::Sample`, `tokio::time::sleep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its words; `self` and `super` at the front are resolved to `crate`, a glob ends in `*`.
    pub words: Vec<String>,
    /// Inside a module or file named `tests`.
    pub in_tests: bool,
}

impl Named {
    /// The path as it is written in Rust.
    pub fn text(&self) -> String {
        self.words.join("::")
    }
}

/// Module path of a file relative to `src`: `run/launch/docker.rs` is `[run, launch, docker]`.
pub fn module_of(file: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        file.with_extension("").components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    if matches!(words.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        words.pop();
    }
    words
}

/// Every path that `source` names, a file at `file` relative to `src`.
pub fn named_paths(file: &Path, source: &str) -> Result<Vec<Named>, String> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{}: {error}", file.display()))?;
    let mut reader = Reader { module: module_of(file), found: Vec::new() };
    reader.read(tokens);
    Ok(reader.found)
}

struct Reader {
    /// Module that is being read, inline modules included.
    module: Vec<String>,
    found: Vec<Named>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Ident(word) if word == "use" => self.declaration(&tokens, at + 1),
                TokenTree::Ident(word) if word == "mod" => self.inline_module(&tokens, at + 1),
                TokenTree::Ident(_) => self.path(&tokens, at),
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    /// `name { ... }`: its content is read as that module. `name;` is left to the file it stands for.
    fn inline_module(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = (tokens.get(at), tokens.get(at + 1)) {
            self.module.push(name.to_string());
            self.read(body.stream());
            self.module.pop();
            return at + 2;
        }
        at
    }

    /// A path in code, from its first word. Returns the place after it.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize) -> usize {
        let mut words = Vec::new();
        while let Some(TokenTree::Ident(word)) = tokens.get(at) {
            words.push(word.to_string());
            at += 1;
            if !colons(tokens, at) {
                break;
            }
            at += 2;
        }
        if words.len() > 1 {
            self.push(&words);
        }
        at
    }

    /// The tree of a `use` declaration, up to its semicolon.
    fn declaration(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let length = tokens[at..].iter().take_while(|token| !is_punct(token, ';')).count();
        self.tree(&[], &tokens[at..at + length]);
        at + length
    }

    /// Branches of a `use` tree, separated by commas, each under `prefix`.
    fn tree(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        for branch in tokens.split(|token| is_punct(token, ',')) {
            let mut words = prefix.to_vec();
            let mut group = None;
            for token in branch {
                match token {
                    TokenTree::Ident(word) if word == "as" => break,
                    TokenTree::Ident(word) if word == "self" && !words.is_empty() => {}
                    TokenTree::Ident(word) => words.push(word.to_string()),
                    TokenTree::Punct(punct) if punct.as_char() == '*' => words.push("*".to_owned()),
                    TokenTree::Group(inner) if inner.delimiter() == Delimiter::Brace => group = Some(inner.stream()),
                    _ => {}
                }
            }
            match group {
                Some(inner) => self.tree(&words, &inner.into_iter().collect::<Vec<_>>()),
                None if words.is_empty() => {}
                None => self.push(&words),
            }
        }
    }

    fn push(&mut self, words: &[String]) {
        let up = words.iter().take_while(|word| *word == "super").count();
        let relative = up > 0 || words[0] == "self";
        let words = if relative {
            let kept = self.module.len().saturating_sub(up);
            let rest = words.iter().skip_while(|word| *word == "super" || *word == "self");
            std::iter::once("crate".to_owned())
                .chain(self.module[..kept].iter().cloned())
                .chain(rest.cloned())
                .collect()
        } else {
            words.to_vec()
        };
        let in_tests = self.module.iter().any(|word| word == "tests");
        self.found.push(Named { words, in_tests });
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|pair| pair.iter().all(|token| is_punct(token, ':')))
}
