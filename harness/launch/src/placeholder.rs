//! Placeholders in the arguments and the environment of a target.

use std::net::SocketAddr;
use std::path::Path;

/// What the placeholders of one instance stand for.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    /// Address that the instance listens on: `{address}`, `{ip}`, `{port}`.
    pub listen: SocketAddr,
    /// Index of the instance: `{instance}`.
    pub instance: u32,
    /// Path of the unix-domain socket that it listens on instead: `{socket}`.
    pub socket: Option<&'a Path>,
}

impl Placeholders<'_> {
    /// The text with every placeholder replaced, in one pass. Any other text in braces stays as it is.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let known = rest.find('}').and_then(|close| Some((self.value(&rest[1..close])?, close)));
            if let Some((value, close)) = known {
                out.push_str(&value);
                rest = &rest[close + 1..];
            } else {
                out.push('{');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "address" => Some(self.listen.to_string()),
            "ip" => Some(self.listen.ip().to_string()),
            "port" => Some(self.listen.port().to_string()),
            "instance" => Some(self.instance.to_string()),
            "socket" => self.socket.map(|path| path.display().to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_placeholders_are_replaced_and_other_braces_stay() {
        let placeholders = Placeholders { listen: "127.0.0.1:9001".parse().unwrap(), instance: 3, socket: None };
        let cases = [
            ("--port={port}", "--port=9001"),
            ("{address} {ip}#{instance}", "127.0.0.1:9001 127.0.0.1#3"),
            (r#"{"port": {port}}"#, r#"{"port": 9001}"#),
            ("{unknown} {", "{unknown} {"),
            ("{{port}}", "{9001}"),
            ("ä{port}ö", "ä9001ö"),
            ("", ""),
        ];
        let socket = Placeholders { socket: Some(Path::new("/tmp/s")), ..placeholders };
        assert_eq!(socket.fill("unix:{socket}"), "unix:/tmp/s");
        assert_eq!(placeholders.fill("unix:{socket}"), "unix:{socket}");
        for (text, expected) in cases {
            assert_eq!(placeholders.fill(text), expected, "{text}");
        }
    }
}
