// Echo server on `ws`: node node.js PORT STATE_KIB ROUNDS
'use strict';
const { pbkdf2Sync } = require('crypto');
function load() {
  try { return require('ws'); } catch { return require('/usr/share/nodejs/ws'); }
}
const [port, state, rounds] = process.argv.slice(2).map(Number);
const server = new (load().WebSocketServer)({ host: '127.0.0.1', port, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.state = Buffer.alloc(state * 1024, 1);
  if (rounds > 0) pbkdf2Sync('secret', 'salt', rounds, 32, 'sha256');
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => {});
});
