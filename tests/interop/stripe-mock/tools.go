//go:build tools

// Package tools pins stripe-mock, Stripe's own mock of its API, which judges what octroi passes on to
// it; nothing here is part of octroi.
package tools

import _ "github.com/stripe/stripe-mock"
