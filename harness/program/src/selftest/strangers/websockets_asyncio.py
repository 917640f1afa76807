"""Echo server on `websockets`: python3 websockets_asyncio.py PORT STATE_KIB ROUNDS"""
import asyncio
import hashlib
import sys

import websockets

port, state, rounds = map(int, sys.argv[1:4])


async def echo(socket, path=None):
    kept = b"x" * (state * 1024)
    if rounds:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", rounds)
    async for message in socket:
        await socket.send(message)
    del kept


async def main():
    async with websockets.serve(echo, "127.0.0.1", port, compression=None, ping_interval=None):
        await asyncio.Future()


asyncio.run(main())
