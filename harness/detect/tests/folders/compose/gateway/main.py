import websockets
