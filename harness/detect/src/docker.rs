//! A Dockerfile: the image that it describes, and the port that it says.

use crate::folder::Folder;
use crate::guess::{Kind, Port, Seen, Server, Start};

/// What the Dockerfile of a folder says; `at` is that folder, `.` the one that is looked at.
pub fn find(folder: &Folder, at: &str) -> Option<Server> {
    let file = file(at);
    let text = folder.text(&file)?;
    let mut server = Server::new(Kind::Container, Start::Build { folder: at.to_owned() });
    server.seen(&file, None, Seen::Image);
    tell_port(&mut server, &file, text);
    Some(server)
}

/// Path of the Dockerfile of a folder.
pub fn file(at: &str) -> String {
    let at = at.trim_start_matches("./").trim_end_matches('/');
    if at.is_empty() || at == "." { "Dockerfile".to_owned() } else { format!("{at}/Dockerfile") }
}

/// Gives the server the port that a Dockerfile says, if it says one.
pub fn tell_port(server: &mut Server, file: &str, text: &str) {
    if let Some((line, port)) = exposed(text) {
        server.port = Port::Fixed(port);
        server.seen(file, Some(line), Seen::Port(port));
    }
}

/// The last port that is exposed, of the last stage; a variable stands for what `ENV` or `ARG` gave it.
fn exposed(text: &str) -> Option<(usize, u16)> {
    let value_of = |name: &str| {
        text.lines().rev().find_map(|line| {
            let rest = instruction(line, "ENV").or_else(|| instruction(line, "ARG"))?;
            rest.split_whitespace()
                .find_map(|pair| Some(pair.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
                .or_else(|| {
                    let (first, value) = rest.split_once(char::is_whitespace)?;
                    (first == name).then(|| value.trim().to_owned())
                })
        })
    };
    let port = |word: &str| {
        let word = word.split('/').next()?;
        match word.strip_prefix('$') {
            None => word.parse().ok(),
            Some(name) => value_of(name.trim_matches(['{', '}']).split(":-").next()?)?.trim_matches('"').parse().ok(),
        }
    };
    let exposing = (1..).zip(text.lines()).filter_map(|(at, line)| {
        let port = instruction(line, "EXPOSE")?.split_whitespace().find_map(port)?;
        Some((at, port))
    });
    exposing.last().or_else(|| {
        let line = text.lines().position(|line| instruction(line, "ENV").is_some_and(|rest| rest.starts_with("PORT")));
        Some((line? + 1, value_of("PORT")?.trim_matches('"').parse().ok()?))
    })
}

/// What follows an instruction.
fn instruction<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (first, rest) = line.trim_start().split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(name).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposed_port_of_the_last_stage_counts() {
        assert_eq!(exposed("FROM a\nEXPOSE 1111\nFROM b\nexpose 9000/tcp 9001"), Some((4, 9000)));
        assert_eq!(exposed("ENV PORT=3000 A=b\nEXPOSE ${PORT}"), Some((2, 3000)));
        assert_eq!(exposed("ENV PORT 3000"), Some((1, 3000)));
        assert_eq!(exposed("ARG P=70000\nEXPOSE $P"), None);
        assert_eq!(exposed("# EXPOSE 80\nRUN x"), None);
        assert_eq!(exposed("ENV PORT=1\nENV PORT=\"3000\"\nEXPOSE ${PORT:-2}"), Some((3, 3000)), "the last one holds");
        assert_eq!(exposed("ARG P=3000\nEXPOSE $P"), Some((2, 3000)));
    }

    #[test]
    fn a_dockerfile_stands_in_the_folder_that_is_built() {
        for (at, path) in
            [(".", "Dockerfile"), ("./", "Dockerfile"), ("./a/b/", "a/b/Dockerfile"), ("a", "a/Dockerfile")]
        {
            assert_eq!(file(at), path);
        }
    }
}
