//! nginx as a front: `ngx_http_proxy_module`, with the headers that WebSocket needs
//! (<https://nginx.org/en/docs/http/websocket.html>) and otherwise the defaults it ships with.

use std::fmt::Write as _;

use super::log_patterns::LogPattern;
use super::proxy::{HopSettings, Proxy};
use wsceiling_model::record::KnownLine;

/// nginx.
pub struct Nginx;

impl Proxy for Nginx {
    fn program(&self) -> Option<(&'static str, &'static str)> {
        Some(("nginx", "apt-get install nginx-light, or leave this front out of the axes"))
    }

    fn config(&self, settings: &HopSettings<'_>) -> Option<String> {
        Some(config(settings))
    }

    /// `-e` keeps what goes wrong before the configuration is read out of the system's log.
    fn args(&self, settings: &HopSettings<'_>) -> Vec<String> {
        let scratch = settings.scratch.display().to_string();
        ["-e", "stderr", "-p", &scratch, "-c", settings.config].map(str::to_owned).to_vec()
    }

    fn log_patterns(&self) -> &'static [LogPattern] {
        const {
            &[
                LogPattern::containing(KnownLine::WorkerConnections, &["worker_connections are not enough"]),
                LogPattern::containing(KnownLine::NoLiveUpstreams, &["no live upstreams"]),
            ]
        }
    }
}

fn config(settings: &HopSettings<'_>) -> String {
    let front = settings.front;
    let scratch = settings.scratch.display().to_string();
    let path = |name: &str| quoted(&format!("{scratch}/{name}"));
    let mut text = String::from("# Generated for one trial.\ndaemon off;\n");
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string never fails.
        let _ = writeln!(text, "{words}");
    };
    if let Some(user) = settings.user {
        line(format_args!("user {user};"));
    }
    line(format_args!("pid {};", path("nginx.pid")));
    line(format_args!("error_log stderr error;"));
    match front.workers {
        Some(workers) => line(format_args!("worker_processes {workers};")),
        None => line(format_args!("worker_processes auto;")),
    }
    line(format_args!("events {{\n    worker_connections {};\n}}", front.worker_connections));
    line(format_args!("http {{\n    access_log off;"));
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        line(format_args!("    {kind}_temp_path {};", path(kind)));
    }
    line(format_args!(
        "    map $http_upgrade $connection_upgrade {{\n        default upgrade;\n        '' close;\n    }}"
    ));
    if settings.sources.len() > 1 {
        line(format_args!("    split_clients \"$remote_addr:$remote_port\" $source {{"));
        let share = 100.0 / settings.sources.len() as f64;
        for (index, source) in settings.sources.iter().enumerate() {
            // The last one has what is left: shares are cut to hundredths of a percent.
            let last = index + 1 == settings.sources.len();
            let share = if last { "*".to_owned() } else { format!("{share:.2}%") };
            line(format_args!("        {share} {source};"));
        }
        line(format_args!("    }}"));
    }
    line(format_args!("    upstream instances {{"));
    for upstream in settings.upstreams {
        line(format_args!("        server {upstream};"));
    }
    line(format_args!("    }}\n    server {{"));
    match front.backlog {
        Some(backlog) => line(format_args!("        listen {} backlog={backlog};", settings.listen)),
        None => line(format_args!("        listen {};", settings.listen)),
    }
    line(format_args!("        location / {{\n            proxy_pass http://instances;"));
    if settings.sources.len() > 1 {
        line(format_args!("            proxy_bind $source;"));
    }
    line(format_args!(
        "            proxy_http_version 1.1;\n            proxy_set_header Host $http_host;\n            \
         proxy_set_header Upgrade $http_upgrade;\n            proxy_set_header Connection $connection_upgrade;"
    ));
    let idle = front.idle_timeout.as_millis();
    line(format_args!("            proxy_read_timeout {idle}ms;\n            proxy_send_timeout {idle}ms;"));
    line(format_args!("        }}\n    }}\n}}"));
    text
}

/// A string of nginx's configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
