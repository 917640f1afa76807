#!/usr/bin/env bun
// The app of ../PROTOCOL.md on Bun's own server: token, rooms, presence, history, limits, metrics.
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { Rooms } from "./rooms";
import { counters, Session, type Socket } from "./session";

const text = (value: string) => ({ type: "string" as const, default: value });

const { values } = parseArgs({
  args: Bun.argv.slice(2),
  options: {
    address: text("127.0.0.1:9006"),
    token: text("secret"),
    connections: text("0"),
    history: text("20"),
    "history-bytes": text("64KiB"),
    rooms: text("10000"),
    "rooms-per-connection": text("16"),
    "presence-every": text("250ms"),
    idle: text("120s"),
    rate: text("100"),
    burst: text("200"),
    strikes: text("20"),
    queue: text("128"),
    "max-message": text("16KiB"),
    state: text("16KiB"),
    drain: text("1500ms"),
  },
});

type Name = keyof typeof values;

/** A number with one of these units behind it. */
function number(name: Name, units: Record<string, number> = { "": 1 }): number {
  const [, digits, unit] = /^([0-9.]+)([A-Za-z]*)$/.exec(values[name]) ?? [];
  const value = Number(digits) * (units[unit ?? ""] ?? NaN);
  if (!Number.isFinite(value)) {
    const hint = Object.keys(units).filter(Boolean).join(", ");
    console.error(`--${name} ${values[name]}: not a number${hint && ` with one of the units ${hint}`}`);
    process.exit(2);
  }
  return value;
}

const BYTES = { "": 1, KiB: 1024, MiB: 1024 * 1024 };
const TIME = { ms: 1, s: 1000 };

const options = {
  token: values.token,
  connections: number("connections"),
  roomsPerConnection: number("rooms-per-connection"),
  idle: number("idle", TIME),
  rate: number("rate"),
  burst: number("burst"),
  strikes: number("strikes"),
  queue: number("queue"),
  maxMessage: number("max-message", BYTES),
  state: number("state", BYTES),
};
export type Options = typeof options;

const rooms = new Rooms({
  rooms: number("rooms"),
  history: number("history"),
  historyBytes: number("history-bytes", BYTES),
  presenceEvery: number("presence-every", TIME),
});
const sockets = new Set<Socket>();
const refused = { "bad-request": 0, "not-found": 0, unauthorized: 0, "connection-limit": 0 };

function refuse(reason: keyof typeof refused, status: number, words: string, headers: Record<string, string> = {}) {
  refused[reason] += 1;
  return page(words, status, headers);
}

/** A connection that was no upgrade ends with its answer. */
function page(words: string, status = 200, headers: Record<string, string> = {}) {
  return new Response(words, { status, headers: { "content-type": "text/plain", connection: "close", ...headers } });
}

function isAllowed(request: Request, url: URL): boolean {
  const { token } = options;
  return token === "" || url.searchParams.get("token") === token ||
    request.headers.get("authorization") === `Bearer ${token}`;
}

/** Numbers of the process, by the names that Prometheus's own clients have. */
function ofProcess(): [string, string, number][] {
  const { user, system } = process.cpuUsage();
  return [
    ["process_cpu_seconds_total", "counter", (user + system) / 1e6],
    ["process_resident_memory_bytes", "gauge", process.memoryUsage.rss()],
    ["process_start_time_seconds", "gauge", performance.timeOrigin / 1000],
    ["process_open_fds", "gauge", readdirSync("/proc/self/fd").length],
  ];
}

function metrics(): string {
  const own = Object.entries(counters).map(([name, value]) => [`app_${name}`, "counter", value] as const);
  const all = [
    ["app_connections", "gauge", sockets.size] as const,
    ["app_rooms", "gauge", rooms.count] as const,
    ...own,
    ...ofProcess(),
  ];
  const reasons = Object.entries(refused).map(([reason, count]) =>
    `app_upgrades_refused_total{reason="${reason}"} ${count}\n`
  );
  return all.map(([name, kind, value]) => `# TYPE ${name} ${kind}\n${name} ${value}\n`).join("") +
    `# TYPE app_upgrades_refused_total counter\n${reasons.join("")}`;
}

const [, host, port] = /^\[?([^\]]*)\]?:([0-9]+)$/.exec(values.address) ?? [];
if (!host) {
  console.error(`--address ${values.address}: not IP:PORT`);
  process.exit(2);
}

const server = Bun.serve<Session>({
  hostname: host,
  port: Number(port),
  fetch(request, server) {
    if (request.method !== "GET") return page("only GET\n", 405, { allow: "GET" });
    const url = new URL(request.url);
    if (url.pathname === "/healthz") return page("ok\n");
    if (url.pathname === "/metrics") return page(metrics());
    if (url.pathname !== "/ws") return refuse("not-found", 404, "there is /ws, /healthz and /metrics\n");
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refuse("bad-request", 426, "this is a WebSocket\n", { upgrade: "websocket" });
    }
    if (!isAllowed(request, url)) {
      return refuse("unauthorized", 401, "no valid token\n", { "www-authenticate": "Bearer" });
    }
    if (options.connections > 0 && sockets.size >= options.connections) {
      return refuse("connection-limit", 503, "too many connections\n");
    }
    if (server.upgrade(request, { data: new Session(options, rooms) })) return;
    return refuse("bad-request", 400, "a malformed upgrade\n");
  },
  websocket: {
    // Longer than a message may be, so that this server says itself why it closes.
    maxPayloadLength: 1024 * 1024,
    perMessageDeflate: false,
    // The app has its own, and sends no pings.
    idleTimeout: 0,
    sendPings: false,
    open(socket) {
      sockets.add(socket);
      socket.data.open(socket);
    },
    close(socket) {
      sockets.delete(socket);
      socket.data.close();
    },
    message: (socket, message) => socket.data.receive(message),
    ping: (socket) => socket.data.ping(),
    pong: (socket) => void (socket.data.heard = Date.now()),
    drain: (socket) => socket.data.drain(),
  },
});

setInterval(() => {
  const since = Date.now() - options.idle;
  for (const { data } of sockets) {
    if (data.heard > since || data.ended) continue;
    counters.idle_closed_total += 1;
    data.end(4000, "idle");
  }
}, Math.min(1000, options.idle / 10)).unref();

const at = server.hostname.includes(":") ? `[${server.hostname}]` : server.hostname;
console.log(`listening on ${at}:${server.port}`);

const within = number("drain", TIME);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    server.stop();
    for (const { data } of sockets) data.end(1001, "server is shutting down");
    const started = Date.now();
    setInterval(() => {
      if (sockets.size === 0 || Date.now() - started > within) process.exit(0);
    }, 20);
  });
}
