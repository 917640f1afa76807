// Echo server on Bun's own server: every message comes back.
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  args: Bun.argv.slice(2),
  options: {
    address: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "9005" },
  },
});

const sockets = new Set<Bun.ServerWebSocket<undefined>>();

const server = Bun.serve({
  hostname: options.address,
  port: Number(options.port),
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("this is a WebSocket\n", { status: 426, headers: { Upgrade: "websocket" } });
  },
  websocket: {
    maxPayloadLength: 1024 * 1024,
    perMessageDeflate: false,
    open: (socket) => void sockets.add(socket),
    close: (socket) => void sockets.delete(socket),
    message: (socket, message) => void socket.send(message),
  },
});

console.log(`listening on ${server.hostname.includes(":") ? `[${server.hostname}]` : server.hostname}:${server.port}`);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    server.stop();
    for (const socket of sockets) socket.close(1001, "server is shutting down");
    const started = Date.now();
    setInterval(() => {
      if (sockets.size === 0 || Date.now() - started > 1500) process.exit(0);
    }, 20);
  });
}
