use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::haproxy::Haproxy;
use super::nginx::Nginx;
use super::proxy::{HopSettings, Proxy as _};
use super::relay::{Relay, balancer};
use wsceiling_model::matrix::{Front, FrontKind, Spread};
use wsceiling_model::record::HopKind;

fn settings<'a>(front: &'a Front, upstreams: &'a [SocketAddr], sources: &'a [IpAddr]) -> HopSettings<'a> {
    HopSettings {
        kind: HopKind::Proxy(front.kind),
        front,
        listen: "127.0.0.1:8000".parse().unwrap(),
        upstreams,
        sources,
        ports: None,
        config: "/logs/x.conf",
        scratch: Path::new("/run/a \"b\""),
        stats: None,
        user: None,
    }
}

fn upstreams() -> Vec<SocketAddr> {
    vec!["127.0.0.1:9000".parse().unwrap(), "127.0.0.1:9001".parse().unwrap()]
}

fn sources() -> Vec<IpAddr> {
    ["127.2.0.1", "127.2.0.2", "127.2.0.3"].map(|address| address.parse().unwrap()).to_vec()
}

fn nginx(settings: &HopSettings<'_>) -> String {
    Nginx.config(settings).unwrap()
}

fn haproxy(settings: &HopSettings<'_>) -> String {
    Haproxy.config(settings).unwrap()
}

#[test]
fn nginx_as_it_ships() {
    let (front, upstreams) = (Front::new("nginx", FrontKind::Nginx), upstreams());
    insta::assert_snapshot!(nginx(&settings(&front, &upstreams, &[])));
    let args = Nginx.args(&settings(&front, &upstreams, &[]));
    assert_eq!(args, ["-e", "stderr", "-p", "/run/a \"b\"", "-c", "/logs/x.conf"]);
}

#[test]
fn nginx_with_every_setting() {
    let front = Front {
        workers: Some(3),
        worker_connections: 200,
        backlog: Some(64),
        idle_timeout: Duration::from_secs(3),
        ..Front::new("nginx", FrontKind::Nginx)
    };
    let (upstreams, sources) = (upstreams(), sources());
    insta::assert_snapshot!(nginx(&HopSettings { user: Some("root"), ..settings(&front, &upstreams, &sources) }));
}

#[test]
fn haproxy_as_it_ships() {
    let (front, upstreams) = (Front::new("haproxy", FrontKind::Haproxy), upstreams());
    insta::assert_snapshot!(haproxy(&settings(&front, &upstreams, &[])));
    assert_eq!(Haproxy.args(&settings(&front, &upstreams, &[])), ["-db", "-f", "/logs/x.conf"]);
}

#[test]
fn haproxy_with_every_setting() {
    let front = Front {
        workers: Some(2),
        maxconn: Some(150),
        frontend_maxconn: Some(120),
        server_maxconn: Some(50),
        queue_timeout: Duration::from_millis(1500),
        backlog: Some(64),
        ..Front::new("haproxy", FrontKind::Haproxy)
    };
    let (upstreams, sources) = (upstreams(), sources());
    let settings = HopSettings {
        ports: Some((40_000, 40_199)),
        stats: Some("127.0.0.1:8001".parse().unwrap()),
        ..settings(&front, &upstreams, &sources[..2])
    };
    insta::assert_snapshot!(haproxy(&settings));
    let alone = HopSettings { sources: &[], ..settings };
    assert!(haproxy(&alone).contains("server server-0 127.0.0.1:9000 maxconn 50 source 127.0.0.1:40000-40199"));
}

#[test]
fn the_relay_is_told_everything() {
    let (upstreams, sources) = (upstreams(), sources());
    let front = Front { backlog: Some(9), ..Front::new("edge", FrontKind::Relay) };
    let settings = HopSettings { ports: Some((40_000, 40_199)), ..settings(&front, &upstreams, &sources[..1]) };
    let expected = "relay --name relay --listen 127.0.0.1:8000 --to 127.0.0.1:9000 --to 127.0.0.1:9001 \
                    --source 127.2.0.1 --ports 40000-40199 --backlog 9";
    assert_eq!(Relay.args(&settings).join(" "), expected);
    let balancer = balancer(&front);
    assert_eq!((balancer.kind, balancer.ports, balancer.spread), (FrontKind::Relay, None, Spread::Direct));
    assert!(balancer.sources > 1);
}
