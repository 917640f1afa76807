// Echo server on gorilla/websocket: gorilla PORT STATE_KIB ROUNDS
package main

import (
	"crypto/sha256"
	"net/http"
	"os"
	"runtime"
	"strconv"

	"github.com/gorilla/websocket"
)

func main() {
	state, _ := strconv.Atoi(os.Args[2])
	rounds, _ := strconv.Atoi(os.Args[3])
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		kept := make([]byte, state*1024)
		for i := range kept {
			kept[i] = 1
		}
		sum := sha256.Sum256(nil)
		for i := 0; i < rounds; i++ {
			sum = sha256.Sum256(sum[:])
		}
		socket, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer socket.Close()
		for {
			kind, data, err := socket.ReadMessage()
			if err != nil || socket.WriteMessage(kind, data) != nil {
				runtime.KeepAlive(kept)
				return
			}
		}
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
