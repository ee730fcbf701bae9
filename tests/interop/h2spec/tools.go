//go:build tools

// Package tools pins h2spec, which judges how octroi speaks HTTP/2; nothing here is part of octroi.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
