"""Echo server with a thread for each connection, without a library: python3 threads.py PORT STATE_KIB ROUNDS"""
import base64
import hashlib
import socketserver
import struct
import sys
import threading

port, state, rounds = map(int, sys.argv[1:4])
threading.stack_size(256 * 1024)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.serve()
        except (OSError, struct.error, ValueError):
            pass

    def serve(self):
        key = None
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            key = value.strip() if name.lower() == b"sec-websocket-key" else key
        kept = b"x" * (state * 1024)
        number = 0
        for turn in range(rounds):  # work of the interpreter, so one thread at a time
            number = (number ^ turn) * 31 & 0xFFFFFFFF
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while True:
            first, length = struct.unpack("!BB", self.rfile.read(2))
            length &= 0x7F
            if length > 125:
                form, size = ("!H", 2) if length == 126 else ("!Q", 8)
                (length,) = struct.unpack(form, self.rfile.read(size))
            mask = self.rfile.read(4)
            data = self.rfile.read(length)
            many = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(many, "big")).to_bytes(length, "big")
            code = first & 0x0F
            first = first & 0xF0 | (10 if code == 9 else code)
            if code != 10:
                form = struct.pack("!BB", first, length) if length < 126 else struct.pack("!BBH", first, 126, length)
                self.wfile.write(form + data)
            if code == 8:
                return kept


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


Server(("127.0.0.1", port), Connection).serve_forever()
