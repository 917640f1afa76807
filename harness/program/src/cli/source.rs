//! Where the matrix of `plan` and `matrix` comes from: a file, or the address of a server that runs already.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::load::parse_url;
use super::{USAGE, color_stderr, load_matrix};
use crate::prices;
use wsceiling_generator::load::options::{parse_duration, parse_rate};
use wsceiling_generator::load::resolve::{self, SocketTarget};
use wsceiling_model::matrix::units::format_duration;
use wsceiling_model::matrix::{Expect, Matrix, is_loopback, names, parse_with};
use wsceiling_model::url::Url;

/// Longest time that a server may take to take a connection before the run.
const TRY_WITHIN: Duration = Duration::from_secs(3);
/// The default load of a server of this machine, and of one elsewhere: connections, and connects per second.
const HERE: (u32, f64) = (16_000, 1000.0);
const ELSEWHERE: (u32, f64) = (2000, 100.0);
/// What a remote target allows unless the matrix says otherwise.
const MOST: (u32, f64) = (20_000, 2000.0);
/// Name of the matrix in the messages about it, and in the run folder.
const NAME: &str = "matrix.toml";

#[derive(Debug, Args)]
pub(super) struct Source {
    /// The matrix file
    #[arg(value_name = "FILE", required_unless_present = "urls")]
    file: Option<PathBuf>,
    /// In the place of a file: the address of a server that runs already; several share the connections
    #[arg(long = "url", value_name = "URL", value_parser = parse_url, conflicts_with = "file", help_heading = URL)]
    urls: Vec<Url>,
    /// You may load this server: needed for every address that is not this machine's loopback
    #[arg(long, conflicts_with = "file", help_heading = URL)]
    authorised: bool,
    /// Most connections [default: 16000, elsewhere 2000]
    #[arg(long, value_name = "N", conflicts_with = "file", value_parser = clap::value_parser!(u32).range(10..=10_000_000), help_heading = URL)]
    max: Option<u32>,
    /// Connects per second [default: 1000/s, elsewhere 100/s]
    #[arg(long, value_name = "N/s", conflicts_with = "file", value_parser = parse_rate, help_heading = URL)]
    rate: Option<f64>,
    /// Time to hold each step, measured
    #[arg(long, value_name = "DUR", default_value = "2s", conflicts_with = "file", value_parser = parse_duration, help_heading = URL)]
    hold: Duration,
    /// Trials [default: 3]
    #[arg(long, value_name = "N", conflicts_with = "file", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = URL)]
    repeats: Option<u32>,
    /// What counts as an answer [default: none, so pings are sent and their pongs count]
    #[arg(long, conflicts_with = "file", value_parser = expects(), help_heading = URL)]
    expect: Option<Expect>,
}

/// Heading of the options that make a matrix of an address.
const URL: &str = "A server that runs already";

/// Every kind of answer, by its word.
fn expects() -> impl TypedValueParser<Value = Expect> {
    let words = PossibleValuesParser::new(Expect::ALL.iter().map(|expect| expect.name()));
    words.try_map(|word| word.parse::<Expect>())
}

/// The matrix, and the file that it is from; `None`: it was made here.
pub(super) type Loaded = (Matrix, Option<PathBuf>);

impl Source {
    /// Loads or makes the matrix, or prints what is wrong with it.
    pub(super) fn load(&self) -> Result<Loaded, u8> {
        if let Some(file) = &self.file {
            return Ok((load_matrix(file)?, Some(file.clone())));
        }
        let text = self.text().map_err(|error| {
            eprintln!("error: {error:#}");
            USAGE
        })?;
        let loaded = parse_with(&text, Path::new(NAME), &prices::catalogue(None)).map_err(|faults| {
            eprintln!("{}", faults.render(color_stderr()));
            USAGE
        })?;
        Ok((loaded.matrix, None))
    }

    /// The text of the matrix of an address. The same options make the same text, so that a run can be resumed.
    fn text(&self) -> Result<String> {
        for url in &self.urls {
            self.check(url)?;
        }
        let here = self.urls.iter().all(is_loopback);
        let (max, rate) = if here { HERE } else { ELSEWHERE };
        let (max, rate) = (self.max.unwrap_or(max), self.rate.unwrap_or(rate));
        let name = self.urls.first().map(|url| format!("{}-{}", url.host, url.port)).unwrap_or_default();
        let name = names::safe_name(&name).unwrap_or_else(|| "server".to_owned());
        let urls =
            self.urls.iter().map(|url| format!("\"{}\"", url.to_string().replace('\\', "\\\\").replace('"', "\\\"")));
        let urls = urls.collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "# The matrix of a server that runs already, as `--url` makes it.\n# To run it again, or with more: wsceiling \
             matrix {NAME}\n\n[run]\nname = \"{name}\"\nrepeats = {}\n\n[load]\nstep = {}\nrate = \"{rate}/s\"\nhold = \
             \"{}\"\nmax = {max}\nnarrow = 1\nmessage = {{ every = \"5s\" }}\n\n[targets.server]\nurl = [{urls}]\nexpect = \
             \"{}\"\n",
            self.repeats.unwrap_or(3),
            max.div_ceil(8),
            format_duration(self.hold),
            self.expect.unwrap_or(Expect::None)
        );
        if self.authorised {
            text.push_str("authorised = true\n");
        }
        if max > MOST.0 {
            let _ = writeln!(text, "max_connections = {max}");
        }
        if rate > MOST.1 {
            let _ = writeln!(text, "max_rate = \"{rate}/s\"");
        }
        text.push_str("\n[axes]\ntarget = [\"server\"]\n");
        Ok(text)
    }

    /// What can be wrong with an address, said in the words of the command line.
    fn check(&self, url: &Url) -> Result<()> {
        if url.socket.is_some() {
            bail!("{url} is a unix-domain socket (hint: `wsceiling load` takes one, or let a matrix start the server)");
        }
        if url.basic.is_some() {
            bail!(
                "{url} has a user and a password, which the record would show (hint: write a matrix with `headers`, \
                 docs/remote.md)"
            );
        }
        if !self.authorised && !is_loopback(url) {
            bail!(
                "{url} is not this machine, and nobody says that you may load it (hint: load only servers that are yours, or \
                 whose owner agreed: then add --authorised)"
            );
        }
        if let Some(other) = self.urls.first().filter(|first| first.secure != url.secure) {
            bail!("{other} and {url}: one has TLS and one has not (hint: measure each by itself)");
        }
        Ok(())
    }

    /// Whether each server of an address is there, before a run is made of it: a name without an address, or a port on which
    /// nobody listens, is a mistake of the command line and no result.
    pub(super) async fn reach(&self) -> Result<()> {
        for url in &self.urls {
            let found = resolve::lookup(url).await.map_err(|error| {
                anyhow!("{error:#} (hint: check the name in --url, and the resolver of this machine)")
            })?;
            if let Some(other) = found.iter().find(|it| !self.authorised && !it.ip().is_loopback()) {
                bail!(
                    "{url} leads to {}, which is not this machine, and nobody says that you may load it (hint: --authorised)",
                    other.ip()
                );
            }
            let addresses = resolve::addresses(url, TRY_WITHIN).await?;
            let mut why = Vec::new();
            for address in addresses.iter().filter(|it| it.used) {
                let SocketTarget::Tcp(socket) = address.address else { continue };
                match tokio::time::timeout(TRY_WITHIN, tokio::net::TcpStream::connect(socket)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => why.push(format!("{socket}: {error}")),
                    Err(_) => why.push(format!("{socket}: no answer within {TRY_WITHIN:?}")),
                }
            }
            if !why.is_empty() {
                bail!(
                    "nothing takes connections at {url} ({}) (hint: start the server first, or check host and port)",
                    why.join(", ")
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        source: Source,
    }

    fn source(words: &[&str]) -> Source {
        Line::try_parse_from(std::iter::once(&"x").chain(words)).unwrap().source
    }

    fn wrong(words: &[&str]) -> String {
        source(words).text().unwrap_err().to_string()
    }

    #[test]
    fn an_address_becomes_a_matrix_of_one_cell_with_an_end() {
        let (matrix, file) = source(&["--url", "ws://localhost:3000/chat?room=1"]).load().unwrap();
        assert_eq!(file, None);
        assert_eq!(matrix.run.name, "localhost-3000");
        assert_eq!(matrix.cells.iter().map(|cell| cell.id.as_str()).collect::<Vec<_>>(), ["server-remote-x1"]);
        let remote = matrix.targets["server"].remote.as_ref().unwrap();
        assert_eq!((remote.urls[0].path.as_str(), remote.expect), ("/chat?room=1", Expect::None));
        assert_eq!((matrix.load.step, matrix.load.max, matrix.run.repeats), (2000, 16_000, 3));
    }

    #[test]
    fn options_change_it_and_raise_the_caps_of_the_target() {
        let words =
            ["--url", "wss://a.example", "--url", "wss://b.example", "--authorised", "--max", "50000", "--rate"];
        let (matrix, _) =
            source(&[&words[..], &["5000/s", "--repeats", "1", "--expect", "echo"]].concat()).load().unwrap();
        let remote = matrix.targets["server"].remote.as_ref().unwrap();
        assert_eq!((remote.urls.len(), remote.expect, remote.authorised), (2, Expect::Echo, true));
        assert_eq!((remote.max_connections, remote.max_rate, matrix.run.repeats), (50_000, 5000.0, 1));
        let (gentle, _) = source(&["--url", "wss://a.example", "--authorised"]).load().unwrap();
        assert_eq!((gentle.load.max, gentle.load.rate), (2000, 100.0));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_with_what_to_do() {
        assert!(wrong(&["--url", "ws://example.com"]).contains("add --authorised"));
        assert!(wrong(&["--url", "ws://u:p@localhost"]).contains("`headers`"));
        assert!(wrong(&["--url", "ws+unix:///a.sock"]).contains("unix-domain socket"));
        assert!(wrong(&["--url", "ws://localhost", "--url", "wss://localhost"]).contains("one has TLS"));
        let refused =
            |words: &[&str]| Line::try_parse_from(std::iter::once(&"x").chain(words)).unwrap_err().to_string();
        assert!(refused(&["m.toml", "--url", "ws://localhost"]).contains("cannot be used with"));
        assert!(refused(&["m.toml", "--max", "100"]).contains("cannot be used with"));
        assert!(refused(&["--url", "http://localhost"]).contains("ws:// instead of http://"));
        assert!(refused(&[]).contains("<FILE>"));
    }
}
