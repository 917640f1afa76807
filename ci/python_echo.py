"""Echo server on Python's websockets, for the CI matrix: python_echo.py IP PORT."""

import asyncio
import sys

import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    async with websockets.serve(echo, sys.argv[1], int(sys.argv[2])):
        await asyncio.Future()


asyncio.run(main())
