//! Ruby: Rack applications, scripts of EventMachine, Rails.

use std::collections::BTreeMap;

use crate::folder::Folder;
use crate::guess::{Kind, Port, Question, Seen, Server, Start};
use crate::source;

/// Gems that speak WebSocket, with what their sources say.
const LIBRARIES: [(&str, &str); 7] = [
    ("faye-websocket", "Faye::WebSocket"),
    ("anycable-rails", "AnyCable"),
    ("em-websocket", "EM::WebSocket"),
    ("em-websocket", "EventMachine::WebSocket"),
    ("async-websocket", "Async::WebSocket"),
    ("websocket-eventmachine-server", "WebSocket::EventMachine::Server"),
    ("sinatra-websocket", "sinatra-websocket"),
];

/// What the folder says.
pub fn find(folder: &Folder) -> Option<Server> {
    let gems = gems(folder.text("Gemfile").unwrap_or_default());
    if gems.iter().any(|gem| gem == "rails") {
        return rails(folder);
    }
    let sources = folder.sources(&["rb", "ru"]);
    let listed =
        LIBRARIES.iter().find(|(gem, _)| gems.iter().any(|name| name == gem)).map(|(gem, _)| (*gem, "Gemfile"));
    let used = || {
        LIBRARIES
            .iter()
            .find_map(|(gem, word)| sources.iter().find(|(_, text)| text.contains(word)).map(|(file, _)| (*gem, *file)))
    };
    let (library, file) = listed.or_else(used)?;
    let mut server = if folder.has("config.ru") {
        rack(folder, &gems)
    } else {
        let speaks = |text: &str| LIBRARIES.iter().any(|(_, word)| text.contains(word));
        let mut speaking = sources.iter().filter(|(_, text)| speaks(text)).map(|(file, _)| *file);
        let entry = speaking.next()?;
        let mut server = bundled(folder, "ruby", &[entry]);
        server.seen(entry, None, Seen::Entry);
        let others: Vec<String> = speaking.map(str::to_owned).collect();
        if !others.is_empty() {
            server.ask(Question::Entry { used: entry.to_owned(), others });
        }
        server
    };
    server.library = Some(library.to_owned());
    server.seen(file, None, Seen::Library(library.to_owned()));
    source::tell(&mut server, sources);
    if folder.has("Gemfile") && !folder.has("Gemfile.lock") {
        server.ask(Question::NotInstalled { command: "bundle install".to_owned() });
    }
    Some(server)
}

/// Names of the gems that a Gemfile lists.
fn gems(text: &str) -> Vec<String> {
    let gem = |line: &str| {
        let rest = line.trim_start().strip_prefix("gem ")?.trim_start_matches(['(', ' ']);
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(rest[1..].split(quote).next()?.to_owned())
    };
    text.lines().filter_map(gem).collect()
}

/// A program, by Bundler where there is a Gemfile.
fn bundled(folder: &Folder, program: &str, args: &[&str]) -> Server {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let start = if folder.has("Gemfile") {
        let args = [&["exec", program][..], args].concat();
        Start::Process { program: "bundle".to_owned(), args: owned(&args), build: Vec::new() }
    } else {
        Start::Process { program: program.to_owned(), args: owned(args), build: Vec::new() }
    };
    Server::new(Kind::Ruby, start)
}

/// A Rack application under the server that the Gemfile lists.
fn rack(folder: &Folder, gems: &[String]) -> Server {
    let has = |name: &str| gems.iter().any(|gem| gem == name);
    let (mut server, port): (Server, &[&str]) = if has("thin") && !has("puma") {
        (bundled(folder, "thin", &["-R", "config.ru", "start"]), &["-a", "{ip}", "-p", "{port}"])
    } else {
        (bundled(folder, "puma", &["config.ru"]), &["-b", "tcp://{address}"])
    };
    server.port = Port::Arguments(port.iter().map(|word| (*word).to_owned()).collect());
    server.seen("config.ru", None, Seen::Entry);
    server
}

/// Rails asks who connects for an `Origin` and a subprotocol, and needs its database: its user starts it.
fn rails(folder: &Folder) -> Option<Server> {
    let channels = folder.files.keys().find(|path| path.starts_with("app/channels/"));
    let file = folder.first(["config/cable.yml"]).or(channels.map(String::as_str))?;
    let headers = [("Origin", "http://localhost:3000"), ("Sec-WebSocket-Protocol", "actioncable-v1-json")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let command = "RAILS_ENV=production bin/rails server -b 127.0.0.1 -p 3000".to_owned();
    let mut server = Server::new(Kind::Ruby, Start::Yourself { command, headers: BTreeMap::from(headers) });
    server.library = Some("Action Cable".to_owned());
    "/cable".clone_into(&mut server.path);
    server.port = Port::Fixed(3000);
    server.seen(file, None, Seen::Library("Action Cable".to_owned()));
    // The other routes are pages; their lines stay, so that the number of this one is right.
    let mounted = |line: &str| if line.contains("ActionCable") { line.to_owned() } else { String::new() };
    let routes =
        folder.text("config/routes.rb").unwrap_or_default().lines().map(mounted).collect::<Vec<_>>().join("\n");
    source::tell(&mut server, [("config/routes.rb", routes.as_str())]);
    server.ask(Question::StartYourself);
    server.ask(Question::Origin);
    Some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    fn words(files: &[(&str, &str)]) -> String {
        find(&folder(files)).unwrap().to_string()
    }

    #[test]
    fn the_server_is_the_one_that_the_gemfile_lists() {
        let rack = ("config.ru", "run App");
        let thin = words(&[("Gemfile", "gem 'faye-websocket'\ngem 'thin'"), rack]);
        assert!(thin.ends_with("bundle exec thin -R config.ru start -a {ip} -p {port}"), "{thin}");
        let both = words(&[("Gemfile", "gem 'faye-websocket'\ngem 'thin'\ngem 'puma'"), rack]);
        assert!(both.contains("puma config.ru"), "{both}");
    }

    #[test]
    fn a_script_without_a_gemfile_is_started_by_ruby_itself() {
        let script = "EM::WebSocket.run(host: '0.0.0.0', port: 8080)";
        let found = find(&folder(&[("a.rb", script), ("b.rb", script)])).unwrap();
        assert!(found.to_string().ends_with("with em-websocket, started by: ruby a.rb"), "{found}");
        assert_eq!(found.questions, [Question::Entry { used: "a.rb".into(), others: vec!["b.rb".into()] }]);
        let locked = [("Gemfile", "gem 'em-websocket'"), ("Gemfile.lock", ""), ("a.rb", script)];
        let found = find(&folder(&locked)).unwrap();
        assert!(found.to_string().ends_with("bundle exec ruby a.rb") && found.questions.is_empty(), "{found:?}");
    }

    #[test]
    fn rails_is_told_by_its_channels_too() {
        let files = [("Gemfile", "gem 'rails'"), ("app/channels/chat_channel.rb", "")];
        assert_eq!(find(&folder(&files)).unwrap().path, "/cable");
        assert!(find(&folder(&files[..1])).is_none(), "Rails without channels");
    }
}
