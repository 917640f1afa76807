//go:build ignore
// +build ignore

package main

import (
	"flag"

	"github.com/gorilla/websocket"
)

var addr = flag.String("addr", "localhost:8080", "http service address")

func main() {
	flag.Parse()
	_, _, _ = websocket.DefaultDialer.Dial("ws://"+*addr+"/echo", nil)
}
