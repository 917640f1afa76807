//! Scripts of manifests, taken apart where they are one plain command.

use std::collections::BTreeMap;

/// A plain command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Variables that stand before it.
    pub env: BTreeMap<String, String>,
    /// The program and its arguments.
    pub words: Vec<String>,
}

/// Takes a script apart; `None`: it needs a shell.
pub fn split(script: &str) -> Option<Command> {
    let mut words = words(script)?;
    if words.first().is_some_and(|word| word == "cross-env") {
        words.remove(0);
    }
    let mut env = BTreeMap::new();
    while let Some((name, value)) = words.first().and_then(|word| word.split_once('=')) {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !is_name {
            break;
        }
        env.insert(name.to_owned(), value.to_owned());
        words.remove(0);
    }
    (!words.is_empty()).then_some(Command { env, words })
}

/// The words of a script without anything that only a shell understands.
fn words(script: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in script.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (Some(_), '$' | '`' | '\\')
            | (None, '&' | '|' | ';' | '<' | '>' | '$' | '`' | '\\' | '(' | ')' | '*' | '?' | '~' | '#') => {
                return None;
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_command_has_variables_a_program_and_arguments() {
        let command = split("NODE_ENV=production node --max-old-space-size=64 'my server.js'").unwrap();
        assert_eq!(command.env["NODE_ENV"], "production");
        assert_eq!(command.words, ["node", "--max-old-space-size=64", "my server.js"]);
        assert_eq!(split("cross-env A=b tsx src/a.ts").unwrap().words, ["tsx", "src/a.ts"]);
        assert_eq!(split("a.b=c d").unwrap().words, ["a.b=c", "d"], "no name of a variable");
    }

    #[test]
    fn what_needs_a_shell_is_left_to_one() {
        for script in [
            "npm run build && node .",
            "node . | tee log",
            "node $FILE",
            "node \"$FILE\"",
            "node 'a",
            "node *",
            "",
            "A=b",
        ] {
            assert_eq!(split(script), None, "{script}");
        }
    }
}
