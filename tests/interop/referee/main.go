// A server on Go's net/http for the tests: answers each request with its target and tells, one JSON
// object a line, what it was. The first line tells its port.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var lock sync.Mutex
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		lock.Lock()
		_ = out.Encode(map[string]any{
			"id": r.Header.Get("X-Request-Id"), "method": r.Method, "target": r.RequestURI,
			"body": len(body), "broken": fault != "",
		})
		lock.Unlock()
		_, _ = io.WriteString(w, r.RequestURI)
	}
	fmt.Fprintln(os.Stderr, http.Serve(listener, http.HandlerFunc(answer)))
}
