//go:build tools

// Package lnd pins the node that the test network runs; nothing here is part of octroi.
package lnd

import _ "github.com/lightningnetwork/lnd/cmd/lnd"
