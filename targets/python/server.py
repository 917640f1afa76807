"""Echo server on the `websockets` package, 12 or newer: every message comes back."""

import argparse
import asyncio
import signal

from websockets import serve


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="IP to listen on")
    parser.add_argument("--port", type=int, default=9003, help="port to listen on, 0: a free one")
    parser.add_argument("--state", type=int, default=0, help="bytes kept for each connection")
    options = parser.parse_args()

    async def echo(connection, path=None):
        connection.state_of_session = bytearray(b"x") * options.state
        async for message in connection:
            await connection.send(message)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    server = await serve(
        echo,
        options.address,
        options.port,
        backlog=4096,  # asyncio's default of 100 overflows in a burst of connects
        compression=None,  # the deflate state would be most of the memory of a connection
        ping_interval=None,  # the load generator keeps connections alive
        max_size=1024 * 1024,
        close_timeout=1,
    )
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {f'[{host}]' if ':' in host else host}:{port}", flush=True)
    await stop.wait()
    server.close()  # closes every connection with 1001
    try:
        await asyncio.wait_for(server.wait_closed(), 1.5)
    except (TimeoutError, asyncio.TimeoutError):
        pass


asyncio.run(main())
