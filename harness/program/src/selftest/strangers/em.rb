# Echo server on em-websocket: ruby em.rb PORT STATE_KIB ROUNDS
require 'em-websocket'
require 'openssl'

port, state, rounds = ARGV.map(&:to_i)
kept = {}
EM.epoll
EM.run do
  EM::WebSocket.start(host: '127.0.0.1', port: port) do |socket|
    socket.onopen do
      kept[socket] = 'x' * (state * 1024)
      OpenSSL::PKCS5.pbkdf2_hmac('secret', 'salt', rounds, 32, 'sha256') if rounds > 0
    end
    socket.onmessage { |message| socket.send(message) }
    socket.onbinary { |message| socket.send_binary(message) }
    socket.onclose { kept.delete(socket) }
  end
end
