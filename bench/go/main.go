// paygate is what octroi is measured against: a payment gateway as a Go team would write it, around
// net/http and httputil.ReverseProxy, with the macaroon and SQLite modules that Go programs use. It
// does the same work over the same formats and keys as octroi (L402 tokens, Payment charges, both
// kinds of challenges, durable single use, a row for each challenge handed out), so that one
// credential opens both.
//
//	paygate CONFIG.json        serve
//	paygate sse ADDRESS        the upstream of the event stream case
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Config is the whole configuration; the benchmark writes it.
type Config struct {
	Listen       string    `json:"listen"`
	TLSCert      string    `json:"tls_cert"`
	TLSKey       string    `json:"tls_key"`
	Realm        string    `json:"realm"`
	Upstream     string    `json:"upstream"`
	Events       string    `json:"events"` // upstream of /free/sse
	Secret       string    `json:"secret_file"`
	L402Key      string    `json:"l402_key_file"`
	Database     string    `json:"database"`
	Invoices     string    `json:"invoices"`
	ChallengeTTL int       `json:"challenge_ttl_seconds"`
	TokenTTL     int       `json:"token_ttl_seconds"`
	Services     []Service `json:"services"`
}

// Service is a path prefix and what it costs. The prefix is cut off for the upstream.
type Service struct {
	Name    string `json:"name"`
	Prefix  string `json:"prefix"`
	Price   int64  `json:"price_sat"` // 0: free
	L402    bool   `json:"l402"`
	Payment bool   `json:"payment"`
}

func readConfig(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	config := new(Config)
	if err := json.Unmarshal(raw, config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

func readSecret(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	secret := []byte(strings.TrimSuffix(string(raw), "\n"))
	if len(secret) < 32 {
		return nil, fmt.Errorf("%s: a key needs at least 32 bytes", path)
	}
	return secret, nil
}

func serve(path string) error {
	config, err := readConfig(path)
	if err != nil {
		return err
	}
	gate, err := newGate(config)
	if err != nil {
		return err
	}
	defer gate.store.Close()

	server := &http.Server{
		Addr:              config.Listen,
		Handler:           gate,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Minute,
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		server.Close()
	}()
	if config.TLSCert != "" {
		err = server.ListenAndServeTLS(config.TLSCert, config.TLSKey)
	} else {
		err = server.ListenAndServe()
	}
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "sse":
		err = serveEvents(os.Args[2])
	case len(os.Args) == 2:
		err = serve(os.Args[1])
	default:
		err = fmt.Errorf("usage: paygate CONFIG.json | paygate sse ADDRESS")
	}
	if err != nil {
		log.Fatal(err)
	}
}
