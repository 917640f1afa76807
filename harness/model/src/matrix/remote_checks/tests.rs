//! Remote targets as they are written, and what is wrong with them.

use std::path::Path;
use std::time::Duration;

use crate::matrix::{Expect, Matrix, Runtime, UrlSpread, parse, parsed};

/// A matrix with this in the table of its remote target, and this after the axis `target`.
fn with(target: &str, axes: &str) -> String {
    format!("[targets.shop]\n{target}\n[load]\nmax = 1000\n[axes]\ntarget = [\"shop\"]\n{axes}\n")
}

/// A valid matrix.
fn shop(target: &str, axes: &str) -> Matrix {
    parsed(&with(target, axes))
}

/// The faults of a matrix, as they are shown.
fn faults(text: &str) -> String {
    parse(text, Path::new("m.toml")).map_or_else(|faults| faults.render(false), |_| String::new())
}

const OWN: &str = "url = \"ws://127.0.0.1:9000/ws?room=1\"";

#[test]
fn a_remote_target_is_a_cell_of_its_own_runtime_instances_and_size() {
    let text = format!(
        "[sizes.pro]\ncpus = 2\n{}",
        with(
            &format!("{OWN}\ninstances = 2\nsize = \"pro\"\nspread = \"fill\"\nexpect = \"none\"\nsettle = \"5s\""),
            ""
        )
    );
    let matrix = parsed(&text);
    let cell = &matrix.cells[0];
    assert_eq!((cell.id.as_str(), cell.runtime, cell.instances), ("shop-remote-x2-pro", Runtime::Remote, 2));
    let remote = matrix.targets["shop"].remote.as_ref().unwrap();
    assert_eq!((remote.spread, remote.expect, remote.settle), (UrlSpread::Fill, Expect::None, Duration::from_secs(5)));
    assert_eq!(remote.urls[0].path, "/ws?room=1");
    let read: crate::matrix::Target =
        serde_json::from_str(&serde_json::to_string(&matrix.targets["shop"]).unwrap()).unwrap();
    assert_eq!(read, matrix.targets["shop"]);
}

#[test]
fn local_and_remote_targets_stand_in_one_matrix() {
    let text = format!(
        "[targets.echo.process]\ncargo = \"echo\"\n[targets.shop]\n{OWN}\n[axes]\ntarget = [\"echo\", \"shop\"]\n"
    );
    let ids: Vec<String> = parsed(&text).cells.into_iter().map(|cell| cell.id).collect();
    assert_eq!(ids, ["echo-bare-x1", "shop-remote-x1"]);
}

#[test]
fn nothing_is_sent_elsewhere_without_a_word_that_it_may_be() {
    let said = faults(&with("url = [\"ws://127.0.0.1:1\", \"wss://example.com\"]", ""));
    assert!(said.contains("`wss://example.com/` is not this machine"), "{said}");
    assert!(said.contains("authorised = true"), "{said}");
    let said = faults(&with("url = \"ws://10.0.0.1\"\nauthorised = false", ""));
    assert!(said.contains("nothing is sent there"), "{said}");
    shop("url = \"wss://example.com\"\nauthorised = true", "");
}

#[test]
fn axes_that_do_not_apply_are_faults_at_their_place() {
    for (axes, says) in [
        ("runtime = [\"remote\", \"docker\"]", "is somebody else's server and cannot run `docker`"),
        ("front = [\"none\", \"nginx\"]", "the harness puts no front before it"),
        ("instances = [1, 4]", "has 1 instance behind its URL, not 4"),
        ("size = [\"small\"]", "the harness cannot make it `small`"),
    ] {
        let said = faults(&format!("[sizes.small]\ncpus = 1\n{}", with(OWN, axes)));
        assert!(said.contains(says), "{axes}: {said}");
        // The caret is under the value of the axis.
        let line = said.lines().find(|line| line.contains('^')).unwrap_or_default();
        assert!(line.contains("cannot run"), "{axes}: {said}");
    }
    let said =
        faults("[targets.echo.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"echo\"]\nruntime = [\"remote\"]\n");
    assert!(said.contains("has no `url` and cannot be `remote`"), "{said}");
}

#[test]
fn no_more_is_asked_than_the_target_allows() {
    let said = faults(&with(&format!("{OWN}\nmax_rate = \"100/s\"\nmax_connections = 500"), ""));
    assert!(said.contains("connects at 2000/s, and target `shop` allows 100/s"), "{said}");
    assert!(said.contains("1,000 connections, and target `shop` allows 500"), "{said}");
    let storm = format!(
        "[targets.shop]\n{OWN}\n[axes]\ntarget = [\"shop\"]\n[[load.stage]]\nto = 100\nrate = \"50/s\"\n[[load.stage]]\nreconnect = \"all\"\n"
    );
    assert!(faults(&storm).contains("all connects at once"), "{}", faults(&storm));
    let jitter = storm.replace("\"all\"", "\"all\"\njitter = \"2s\"");
    assert_eq!(faults(&jitter), "");
    let churn =
        with(OWN, "scenario = [\"churn\"]").replace("max = 1000", "max = 1000\nchurn = { lifetime = \"100ms\" }");
    assert!(faults(&churn).contains("in the scenario `churn`"), "{}", faults(&churn));
}

#[test]
fn secrets_come_from_the_environment() {
    let matrix = shop(
        &format!(
            "{OWN}\ntoken = \"${{APP_TOKEN}}\"\nheaders = {{ Authorization = \"Bearer ${{T}}\", Origin = \"https://a.b\" }}"
        ),
        "",
    );
    let remote = matrix.targets["shop"].remote.as_ref().unwrap();
    assert_eq!(remote.variables().collect::<Vec<_>>(), ["T", "APP_TOKEN"]);
    for (table, says) in [
        ("token = \"abc\"", "`targets.shop.token` would stand in every record"),
        ("headers = { Cookie = \"a=b\" }", "`targets.shop.headers.Cookie` would stand in every record"),
        ("headers = { x-api-key = \"${\" }", "has no closing brace"),
        ("headers = { Upgrade = \"h2c\" }", "is set by the WebSocket handshake itself"),
        ("headers = { \"a b\" = \"c\" }", "is no name of a header"),
    ] {
        let said = faults(&with(&format!("{OWN}\n{table}"), ""));
        assert!(said.contains(says), "{table}: {said}");
    }
    let said = faults(&with("url = \"ws://me:secret@127.0.0.1\"", ""));
    assert!(said.contains("has a user and a password in it"), "{said}");
}

#[test]
fn a_platform_is_one_of_the_catalogue_and_metrics_are_read_often_enough_for_the_holds() {
    assert_eq!(
        shop(&format!("{OWN}\nplatform = \"render\""), "").targets["shop"].remote.as_ref().unwrap().platform.as_deref(),
        Some("render")
    );
    let said = faults(&with(&format!("{OWN}\nplatform = \"rendr\""), ""));
    assert!(said.contains("not in the catalogue of platforms") && said.contains("`render`"), "{said}");
    let metrics = |every: &str| {
        let source = format!(
            "[[targets.shop.metrics]]\npart = \"host\"\nprometheus = \"http://127.0.0.1:9100/metrics\"\nevery = \"{every}\""
        );
        let text = with(&format!("{OWN}\n{source}"), "").replace("max = 1000", "max = 1000\nhold = \"2s\"");
        let loaded = parse(&text, Path::new("m.toml")).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
        loaded.warnings.render(false)
    };
    assert!(metrics("1s").contains("spans fewer than three readings"), "{}", metrics("1s"));
    assert!(!metrics("500ms").contains("three readings"), "{}", metrics("500ms"));
}

#[test]
fn what_is_wrong_with_its_keys_is_said_at_once() {
    let said = faults(&with(
        "url = [\"http://127.0.0.1\", \"ws://127.0.0.1\", \"wss://127.0.0.1\"]\npath = \"/x\"\nsize = \"none\"\nfront_of = \"sho\"\n\
         tls = { cert = \"a.pem\" }\nprotocol = \"app\"\nexpect = \"any\"",
        "",
    ));
    for says in [
        "ws:// instead of http://",
        "mixes ws:// and wss://",
        "only targets without a `url` have it",
        "has one of `cert` and `key`",
        "has messages of its own",
    ] {
        assert!(said.contains(says), "{says}: {said}");
    }
    let said = faults(&with(&format!("{OWN}\nsize = \"none\"\nfront_of = \"shp\""), ""));
    assert!(said.contains("unknown size `none`") && said.contains("did you mean `shop`?"), "{said}");
    assert!(faults(&with(&format!("{OWN}\nfront_of = \"shop\""), "")).contains("its own front"));
    let local =
        "[targets.echo]\nauthorised = true\n[targets.echo.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"echo\"]\n";
    assert!(faults(local).contains("only targets with a `url` have it"), "{}", faults(local));
    assert!(faults(&with("url = []", "")).contains("has no address"));
}
