//! One launched instance: what ran, under which limits, how it ended and what it last said.

use serde::Serialize;

use super::{Fact, Link, safe_href};
use crate::text;
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::{AppliedLimit, Exit, FrontRecord, InstanceRecord};

/// Characters of a line of a log or a command that are shown.
const LINE_CHARS: usize = 400;

/// An instance on its cell's page.
#[derive(Serialize)]
pub struct InstanceView {
    name: String,
    facts: Vec<Fact>,
    log: Option<Link>,
    log_text: Option<String>,
    tail: Vec<String>,
}

/// An instance; `root` leads from the page to the run folder.
pub fn view(instance: &InstanceRecord, root: &str) -> InstanceView {
    let mut facts = vec![Fact::new("address", text::one_line(&instance.address))];
    let mut add = |name: &str, value: Option<String>| facts.extend(value.map(|value| Fact::new(name, value)));
    let short = |text: &String| text::one_line(text).chars().take(12).collect::<String>();
    add("process", instance.pid.map(|pid| format!("pid {pid}")));
    add("container", instance.container.as_ref().map(short));
    add("image", instance.image.as_deref().map(|image| text::shorten(image, 90)));
    add("command", Some(text::shorten(&command(&instance.command), LINE_CHARS)));
    add("binary sha256", instance.binary_sha256.as_deref().map(text::one_line));
    for limit in &instance.limits {
        let (name, value) = limit_words(limit);
        add(&name, Some(value));
    }
    add("exit", Some(instance.exit.as_ref().map_or_else(|| "not known".to_owned(), exit)));
    let launch = if instance.launch == 0 { String::new() } else { format!(", relaunch {}", instance.launch) };
    let href = instance.log.as_deref().and_then(|log| safe_href(root, log));
    let log_text = instance.log.as_deref().map(text::one_line);
    InstanceView {
        name: format!("instance-{}{launch}", instance.index),
        facts,
        log: href.zip(log_text.clone()).map(|(href, text)| Link::new(href, text, "")),
        log_text,
        tail: instance.log_tail.iter().map(|line| text::shorten(line, LINE_CHARS)).collect(),
    }
}

/// A stage of the front, in the same form; `root` leads from the page to the run folder.
pub fn front(front: &FrontRecord, root: &str) -> InstanceView {
    let instance = InstanceRecord {
        index: front.index,
        launch: front.launch,
        address: front.address.clone(),
        pid: front.pid,
        container: front.container.clone(),
        image: front.image.clone(),
        command: front.command.clone(),
        binary_sha256: front.binary_sha256.clone(),
        limits: front.limits.clone(),
        exit: front.exit.clone(),
        log: front.log.clone(),
        log_tail: front.log_tail.clone(),
        log_signs: Vec::new(),
    };
    let mut view = view(&instance, root);
    view.name = view.name.replacen("instance", &format!("{}, front", front.kind), 1);
    let mut facts = vec![Fact::new("connects to", text::shorten(&front.upstreams.join(", "), LINE_CHARS))];
    let mut add = |name: &str, value: Option<String>| facts.extend(value.map(|value| Fact::new(name, value)));
    let from = (!front.sources.is_empty()).then(|| text::shorten(&front.sources.join(", "), LINE_CHARS));
    add("connects from", from);
    add("ports per pair of addresses", front.ports_per_pair.map(format::count));
    add("version", front.version.as_deref().map(text::one_line));
    add("configuration", front.config.as_deref().map(text::one_line));
    for (name, count) in &front.known_lines {
        add(&format!("log lines {name}"), Some(format::count(*count)));
    }
    view.facts.splice(1..1, facts);
    view
}

fn command(words: &[String]) -> String {
    words.iter().map(|word| text::shell(word)).collect::<Vec<_>>().join(" ")
}

fn limit_words(limit: &AppliedLimit) -> (String, String) {
    let (name, value) = match limit.name.as_str() {
        "memory_bytes" => ("memory limit".to_owned(), format::quantity(Unit::Bytes, limit.value)),
        "cpus" => {
            let cpus = format::trimmed(limit.value);
            let unit = if cpus == "1" { "cpu" } else { "cpus" };
            ("CPU limit".to_owned(), format!("{cpus} {unit}"))
        }
        "nofile" => ("descriptor limit".to_owned(), format::whole(limit.value)),
        "pids" => ("task limit".to_owned(), format::whole(limit.value)),
        other => (text::one_line(other), format::trimmed(limit.value)),
    };
    let reason = || limit.reason.as_deref().map(|reason| format!(": {}", text::one_line(reason))).unwrap_or_default();
    let how = match &limit.enforced_by {
        Some(by) => format!("enforced by {}", text::one_line(by)),
        None => format!("not enforced{}", reason()),
    };
    (name, format!("{value}, {how}"))
}

fn exit(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("killed by signal {signal}{}", signal_name(signal)),
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "ended".to_owned(),
    };
    let memory = if exit.oom_killed == Some(true) { ", out of memory" } else { "" };
    let asked = if exit.requested { ", on request" } else { ", unexpectedly" };
    format!("{how}{memory}{asked}, {} after the start", format::moment(exit.t_ms))
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_tells_who_ended_it() {
        let end = Exit { code: None, signal: Some(9), oom_killed: Some(true), requested: false, t_ms: 8_200.0 };
        assert_eq!(exit(&end), "killed by signal 9 (SIGKILL), out of memory, unexpectedly, 8.20 s after the start");
        let end = Exit { code: Some(0), signal: None, oom_killed: None, requested: true, t_ms: f64::NAN };
        assert_eq!(exit(&end), "exit code 0, on request, – after the start");
    }
}
