const express = require('express');
const http = require('http');
const { WebSocketServer } = require('ws');

const app = express();
app.use(express.static('public'));
app.get('/health', (req, res) => res.send('ok'));

const server = http.createServer(app);
const wss = new WebSocketServer({ server, path: '/chat' });

wss.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const client of wss.clients) client.send(data.toString());
  });
});

const port = process.env.PORT || 3000;
server.listen(port, () => console.log(`listening on ${port}`));
