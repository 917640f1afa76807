// Echo server of Bun itself: bun bun.ts PORT STATE_KIB ROUNDS
import { pbkdf2Sync } from "node:crypto";
const [port, state, rounds] = Bun.argv.slice(2).map(Number);
Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    if (rounds > 0) pbkdf2Sync("secret", "salt", rounds, 32, "sha256");
    if (server.upgrade(request, { data: Buffer.alloc(state * 1024, 1) })) return;
    return new Response("this is a WebSocket\n", { status: 426 });
  },
  websocket: { perMessageDeflate: false, message: (socket, message) => void socket.send(message) },
});
