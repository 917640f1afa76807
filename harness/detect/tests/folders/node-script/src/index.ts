import Fastify from 'fastify'
import websocket from '@fastify/websocket'

const app = Fastify()
await app.register(websocket)
app.get('/', async () => 'hello')
app.get('/updates', { websocket: true }, (socket) => {
  socket.on('message', () => socket.send('hi'))
})
await app.listen({ host: '0.0.0.0', port: 4000 })
