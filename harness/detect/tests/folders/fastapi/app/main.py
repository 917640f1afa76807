from fastapi import FastAPI, WebSocket

app = FastAPI(title="feed")


@app.get("/items/{item_id}")
async def item(item_id: int):
    return {"item": item_id}


@app.websocket("/ws/{client_id}")
async def feed(websocket: WebSocket, client_id: int):
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())
