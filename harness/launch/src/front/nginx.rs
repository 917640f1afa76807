//! nginx as a front: `ngx_http_proxy_module`, with the headers that WebSocket needs
//! (<https://nginx.org/en/docs/http/websocket.html>) and otherwise the defaults it ships with.

use std::fmt::Write as _;

use super::Setup;

/// The configuration.
pub(super) fn config(setup: &Setup<'_>) -> String {
    let front = setup.front;
    let scratch = setup.scratch.display().to_string();
    let path = |name: &str| quoted(&format!("{scratch}/{name}"));
    let mut text = String::from("# Generated for one trial.\ndaemon off;\n");
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string never fails.
        let _ = writeln!(text, "{words}");
    };
    if let Some(user) = setup.user {
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
    if setup.sources.len() > 1 {
        line(format_args!("    split_clients \"$remote_addr:$remote_port\" $source {{"));
        let share = 100.0 / setup.sources.len() as f64;
        for (index, source) in setup.sources.iter().enumerate() {
            // The last one has what is left: shares are cut to hundredths of a percent.
            let last = index + 1 == setup.sources.len();
            let share = if last { "*".to_owned() } else { format!("{share:.2}%") };
            line(format_args!("        {share} {source};"));
        }
        line(format_args!("    }}"));
    }
    line(format_args!("    upstream instances {{"));
    for upstream in setup.upstreams {
        line(format_args!("        server {upstream};"));
    }
    line(format_args!("    }}\n    server {{"));
    match front.backlog {
        Some(backlog) => line(format_args!("        listen {} backlog={backlog};", setup.listen)),
        None => line(format_args!("        listen {};", setup.listen)),
    }
    line(format_args!("        location / {{\n            proxy_pass http://instances;"));
    if setup.sources.len() > 1 {
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

/// The arguments; `-e` keeps what goes wrong before the configuration is read out of the system's log.
pub(super) fn args(config: &str, setup: &Setup<'_>) -> Vec<String> {
    ["-e", "stderr", "-p", &setup.scratch.display().to_string(), "-c", config].map(str::to_owned).to_vec()
}

/// A string of nginx's configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
