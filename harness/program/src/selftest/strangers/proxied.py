"""A proxy with a limit of its own before threads.py: python3 proxied.py PORT PROXY LIMIT

The proxies are nginx, caddy and envoy; what the limit is stands in each configuration.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

port, proxy, limit = sys.argv[1:4]
folder = tempfile.mkdtemp(prefix="proxied-")
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    behind = free.getsockname()[1]

NGINX = f"""daemon off; pid {folder}/pid; worker_processes 1; error_log stderr;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  limit_conn_zone $server_name zone=number:1m;
  limit_req_zone $server_name zone=rate:1m rate={limit}r/s;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    server_name all;
    LIMIT;
    location / {{
      proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_read_timeout 1h;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}"""
CADDY = f"""{{
  admin off
  auto_https off
  storage file_system {folder}
}}
http://127.0.0.1:{port} {{
  reverse_proxy 127.0.0.1:{behind}
}}
"""
TYPE = "type.googleapis.com/envoy.extensions"
ENVOY = f"""overload_manager:
  resource_monitors:
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      '@type': {TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: {limit}
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': {TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          upgrade_configs: [{{ upgrade_type: websocket }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ '@type': {TYPE}.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: behind, timeout: 0s }} }}]
  clusters:
  - name: behind
    connect_timeout: 5s
    circuit_breakers: {{ thresholds: [{{ max_connections: 8192, max_pending_requests: 8192, max_requests: 8192 }}] }}
    load_assignment:
      cluster_name: behind
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {behind} }} }} }}
"""
CONFIGS = {
    "nginx-number": NGINX.replace("LIMIT", f"limit_conn number {limit}"),
    "nginx-rate": NGINX.replace("LIMIT", "limit_req zone=rate burst=10 nodelay"),
    "caddy": CADDY,
    "envoy": ENVOY,
}
COMMANDS = {
    "nginx": ["nginx", "-e", "stderr", "-p", folder, "-c"],
    "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config"],
    "envoy": ["envoy", "--concurrency", "1", "--log-level", "warn", "--use-dynamic-base-id", "-c"],
}

config = os.path.join(folder, "config.yaml")
with open(config, "w") as file:
    file.write(CONFIGS[proxy])
threads = os.path.join(os.path.dirname(os.path.abspath(__file__)), "threads.py")
server = subprocess.Popen([sys.executable, threads, str(behind), "0", "0"])
for _ in range(100):
    with socket.socket() as there:
        if there.connect_ex(("127.0.0.1", behind)) == 0:
            break
    time.sleep(0.05)
front = subprocess.Popen(COMMANDS[proxy.split("-")[0]] + [config])


def stop(*_):
    for process in (front, server):
        process.terminate()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
code = front.wait()
server.kill()
shutil.rmtree(folder, ignore_errors=True)
sys.exit(code)
