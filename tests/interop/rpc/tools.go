//go:build tools

// Package tools pins the programs that judge how octroi carries gRPC and Connect; nothing here is
// part of octroi.
package tools

import (
	_ "connectrpc.com/conformance/cmd/connectconformance"
	_ "connectrpc.com/conformance/cmd/grpcserver"
	_ "connectrpc.com/conformance/cmd/referenceserver"
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
)
