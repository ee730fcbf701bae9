module octroi.dev/tests/interop/referee

go 1.25.5
