package main

import (
	"net/http"
	"time"
)

const (
	eventsPerStream = 100
	eventPause      = time.Millisecond
)

// serveEvents answers every request with a stream of events, each flushed by itself.
func serveEvents(address string) error {
	event := []byte("event: token\ndata: {\"index\":0,\"text\":\"forty-eight bytes of an answer\"}\n\n")
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		flush := http.NewResponseController(w)
		for range eventsPerStream {
			if _, err := w.Write(event); err != nil {
				return
			}
			if flush.Flush() != nil {
				return
			}
			time.Sleep(eventPause)
		}
	}))
}
