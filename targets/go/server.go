// Echo server on gorilla/websocket 1.5: every message comes back.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const maxMessage = 1024 * 1024

var (
	open    sync.Map
	running sync.WaitGroup
)

func echo(upgrader *websocket.Upgrader) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		socket, err := upgrader.Upgrade(answer, request, nil)
		if err != nil {
			return // it has been answered
		}
		running.Add(1)
		defer running.Done()
		open.Store(socket, nil)
		defer open.Delete(socket)
		defer socket.Close()
		socket.SetReadLimit(maxMessage)
		for {
			kind, data, err := socket.ReadMessage()
			if err != nil || socket.WriteMessage(kind, data) != nil {
				return
			}
		}
	}
}

// Closes every connection with 1001 and waits a moment for them to end.
func drain() {
	frame := websocket.FormatCloseMessage(websocket.CloseGoingAway, "server is shutting down")
	open.Range(func(socket, _ any) bool {
		socket.(*websocket.Conn).WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
		return true
	})
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(1500 * time.Millisecond):
	}
}

func main() {
	address := flag.String("address", "127.0.0.1", "IP to listen on")
	port := flag.String("port", "9007", "port to listen on, 0: a free one")
	buffer := flag.Int("buffer", 0, "bytes of the buffers of a connection; 0: the library keeps the 4 KiB ones of net/http")
	pool := flag.Bool("pool", false, "connections share write buffers, and have one only while they write")
	flag.Parse()
	upgrader := websocket.Upgrader{
		ReadBufferSize:  *buffer,
		WriteBufferSize: *buffer,
		CheckOrigin:     func(*http.Request) bool { return true },
	}
	if *pool {
		upgrader.WriteBufferPool = &sync.Pool{}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(*address, *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot listen:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	server := http.Server{Handler: echo(&upgrader), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	<-stop
	listener.Close()
	drain()
}
