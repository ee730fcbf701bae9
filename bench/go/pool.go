package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
)

// Pool hands out invoices that were made beforehand. The benchmark fills it from a file and, because
// it measures what an answer costs and not what a node costs, begins anew at the end, with hashes of
// their own, so that each challenge stays a row of its own.
type Pool struct {
	invoices []invoice
	next     atomic.Uint64
}

type invoice struct {
	hash paymentHash
	text string
	msat int64
}

func loadPool(path string) (*Pool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pool := new(Pool)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var one struct {
			Hash   string `json:"hash"`
			Bolt11 string `json:"bolt11"`
			Msat   int64  `json:"amount_msat"`
		}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		made := invoice{text: one.Bolt11, msat: one.Msat}
		if n, err := hex.Decode(made.hash[:], []byte(one.Hash)); err != nil || n != 32 {
			return nil, fmt.Errorf("%s: hash: not 64 hex digits", path)
		}
		pool.invoices = append(pool.invoices, made)
	}
	if len(pool.invoices) == 0 {
		return nil, fmt.Errorf("%s: no invoices", path)
	}
	return pool, lines.Err()
}

// Take never waits.
func (p *Pool) Take() invoice {
	number := p.next.Add(1) - 1
	taken := p.invoices[number%uint64(len(p.invoices))]
	if round := number / uint64(len(p.invoices)); round > 0 {
		binary.BigEndian.PutUint64(taken.hash[:], binary.BigEndian.Uint64(taken.hash[:])^round)
	}
	return taken
}
