//go:build tools

// Package btcd pins the chain that the test network runs; nothing here is part of octroi. It is a
// module of its own because lnd needs an older btcd with packages that this one has moved.
package btcd

import (
	_ "github.com/btcsuite/btcd"
	_ "github.com/btcsuite/btcd/cmd/btcctl"
)
