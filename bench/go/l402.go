package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/macaroon.v2"
)

const (
	rootLabel  = "octroi/l402/root/1"
	keyIDLabel = "octroi/l402/key-id/1"
	keyIDSize  = 8
	location   = "lsat"
)

type paymentHash [32]byte
type tokenID [32]byte

// l402Scheme sells and verifies L402 tokens: macaroons that the preimage of an invoice activates.
type l402Scheme struct {
	key          []byte
	keyID        []byte // how a token says which key it was made under
	store        *Store
	pool         *Pool
	challengeTTL time.Duration
	tokenTTL     time.Duration
	known        sync.Map // tokenID: shown before, so that its invoice need not be looked up again
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func (s *l402Scheme) root(id tokenID) []byte { return mac(s.key, []byte(rootLabel), id[:]) }

func keyIDOf(key []byte) []byte { return mac(key, []byte(keyIDLabel))[:keyIDSize] }

func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding.DecodeString(text)
	}
	return base64.RawStdEncoding.DecodeString(text)
}

func parseIdentifier(raw []byte) (hash paymentHash, id tokenID, err error) {
	if len(raw) != 66 || binary.BigEndian.Uint16(raw) != 0 {
		return hash, id, errors.New("not an L402 identifier")
	}
	copy(hash[:], raw[2:34])
	copy(id[:], raw[34:])
	return hash, id, nil
}

// verify takes `<macaroon>:<preimage>`.
func (s *l402Scheme) verify(ctx context.Context, service *Service, credential string) (*grant, *refusal) {
	encoded, preimageHex, found := strings.Cut(credential, ":")
	if !found {
		return nil, malformedCredential
	}
	raw, err := decodeBase64(encoded)
	if err != nil {
		return nil, malformedCredential
	}
	preimage, err := hex.DecodeString(preimageHex)
	if err != nil || len(preimage) != 32 {
		return nil, malformedCredential
	}
	var token macaroon.Macaroon
	if err := token.UnmarshalBinary(raw); err != nil {
		return nil, malformedCredential
	}
	hash, id, err := parseIdentifier(token.Id())
	if err != nil {
		return nil, malformedCredential
	}
	if sum := sha256.Sum256(preimage); !hmac.Equal(sum[:], hash[:]) {
		return nil, verificationFailed
	}
	if !bytes.Equal(id[:keyIDSize], s.keyID) {
		return nil, verificationFailed
	}
	check := caveatCheck{service: service.Name, now: time.Now().Unix()}
	if err := token.Verify(s.root(id), check.one, nil); err != nil || !check.opens {
		return nil, verificationFailed
	}
	if _, seen := s.known.Load(id); !seen {
		switch err := s.store.ClaimToken(ctx, hash, id, service.Name); {
		case errors.Is(err, errUnknownHash), errors.Is(err, errSpent):
			return nil, verificationFailed
		case err != nil:
			return nil, storeUnavailable
		}
		s.known.Store(id, struct{}{})
	}
	return &grant{hash: hash}, nil
}

// caveatCheck judges the conditions of a token against one request. A condition may be repeated;
// a later one must not widen an earlier one, so each of them has to hold.
type caveatCheck struct {
	service string
	now     int64
	opens   bool
}

func (c *caveatCheck) one(caveat string) error {
	name, value, found := strings.Cut(caveat, "=")
	if !found {
		return nil
	}
	switch name {
	case "services":
		c.opens = false
		for _, item := range strings.Split(value, ",") {
			service, tier, _ := strings.Cut(item, ":")
			if _, err := strconv.ParseUint(tier, 10, 8); err != nil {
				return errors.New("services: not a tier")
			}
			c.opens = c.opens || service == c.service
		}
		if !c.opens {
			return errors.New("services: not this one")
		}
	case c.service + "_valid_until":
		end, err := strconv.ParseInt(value, 10, 64)
		if err != nil || c.now >= end {
			return errors.New("expired")
		}
	case c.service + "_rule":
		if value != "default" {
			return errors.New("another price rule")
		}
	}
	return nil
}

// offer mints a macaroon over an invoice of the pool.
func (s *l402Scheme) offer(service *Service, request string) (string, error) {
	invoice := s.pool.Take()
	var id tokenID
	copy(id[:], s.keyID)
	rand.Read(id[keyIDSize:])

	identifier := make([]byte, 2, 66)
	identifier = append(identifier, invoice.hash[:]...)
	identifier = append(identifier, id[:]...)
	token, err := macaroon.New(s.root(id), identifier, location, macaroon.V2)
	if err != nil {
		return "", err
	}
	now := time.Now()
	for _, caveat := range []string{
		"services=" + service.Name + ":0",
		service.Name + "_rule=default",
		service.Name + "_valid_until=" + strconv.FormatInt(now.Add(s.tokenTTL).Unix(), 10),
	} {
		if err := token.AddFirstPartyCaveat([]byte(caveat)); err != nil {
			return "", err
		}
	}
	raw, err := token.MarshalBinary()
	if err != nil {
		return "", err
	}
	s.store.HandedOut(row{hash: invoice.hash, kind: "l402", service: service.Name, amount: invoice.msat,
		token: &id, request: request, created: now, expires: now.Add(s.challengeTTL)})
	encoded := base64.StdEncoding.EncodeToString(raw)
	return fmt.Sprintf(`macaroon="%s", invoice="%s", version="0", token="%s"`, encoded, invoice.text, encoded), nil
}
