// Echo server on the `ws` package, 8 or newer: every message comes back.
'use strict';

const { parseArgs } = require('node:util');

// Debian's package `node-ws` is not on the path of a Node.js that came from elsewhere.
function load() {
  try {
    return require('ws');
  } catch {
    return require('/usr/share/nodejs/ws');
  }
}

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '9004' },
    state: { type: 'string', default: '0' }, // bytes kept for each connection
  },
});

const server = new (load().WebSocketServer)({
  host: options.address,
  port: Number(options.port),
  backlog: 4096, // the default of 511 overflows in a burst of connects
  perMessageDeflate: false,
  maxPayload: 1024 * 1024,
});

server.on('listening', () => {
  const { address, port } = server.address();
  console.log(`listening on ${address.includes(':') ? `[${address}]` : address}:${port}`);
});

server.on('error', (error) => {
  console.error(`cannot listen: ${error.message}`);
  process.exit(1);
});

server.on('connection', (socket) => {
  socket.state = Buffer.alloc(Number(options.state), 1);
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => {}); // the connection is closed by the library
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    for (const socket of server.clients) socket.close(1001, 'server is shutting down');
    setTimeout(() => process.exit(0), 1500).unref();
  });
}
