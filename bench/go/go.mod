module octroi.dev/bench/paygate

go 1.25

require (
	github.com/mattn/go-sqlite3 v1.14.52
	gopkg.in/macaroon.v2 v2.1.0
)

require (
	golang.org/x/crypto v0.45.0 // indirect
	golang.org/x/sys v0.38.0 // indirect
)
