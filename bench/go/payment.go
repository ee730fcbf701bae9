package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

const bindingLabel = "octroi/binding/1"

// paymentScheme offers and verifies charges of the Payment scheme over Lightning. Challenges are not
// stored: the id is an HMAC over what was asked, under a key that only this place can derive.
type paymentScheme struct {
	key   []byte
	realm string
	store *Store
	pool  *Pool
	ttl   time.Duration
}

type challenge struct {
	ID      string `json:"id"`
	Realm   string `json:"realm"`
	Method  string `json:"method"`
	Intent  string `json:"intent"`
	Request string `json:"request"`
	Expires string `json:"expires"`
	Digest  string `json:"digest"`
	Opaque  string `json:"opaque"`
}

// The members stand in the order of RFC 8785, and nothing in them needs HTML escapes.
type chargeRequest struct {
	Amount        string `json:"amount"`
	Currency      string `json:"currency"`
	MethodDetails struct {
		Invoice     string `json:"invoice"`
		Network     string `json:"network,omitempty"`
		PaymentHash string `json:"paymentHash"`
	} `json:"methodDetails"`
}

func unknownChallenge(detail string) *refusal {
	return &refusal{402, problems + "lightning/unknown-challenge", detail}
}

func canonical(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// id binds a challenge to the service, method and path it is issued for.
func (s *paymentScheme) id(service, method, path string, c *challenge) string {
	if method == "HEAD" {
		method = "GET"
	}
	derive := hmac.New(sha256.New, s.key)
	for _, field := range []string{bindingLabel, "payment", service, method, "path:" + path} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		derive.Write(length[:])
		derive.Write([]byte(field))
	}
	slots := strings.Join([]string{c.Realm, c.Method, c.Intent, c.Request, c.Expires, c.Digest, c.Opaque}, "|")
	return base64.RawURLEncoding.EncodeToString(mac(derive.Sum(nil), []byte(slots)))
}

func (s *paymentScheme) verify(service *Service, method, path, encoded string) (*grant, *refusal) {
	raw, err := decodeBase64(encoded)
	if err != nil {
		return nil, malformedCredential
	}
	var shown struct {
		Challenge challenge `json:"challenge"`
		Payload   struct {
			Preimage string `json:"preimage"`
		} `json:"payload"`
	}
	if json.Unmarshal(raw, &shown) != nil {
		return nil, malformedCredential
	}
	c := &shown.Challenge
	if c.Method != "lightning" {
		return nil, &refusal{400, problems + "method-unsupported", "this service takes the payment method lightning"}
	}
	if c.Intent != "charge" || c.Realm != s.realm ||
		!hmac.Equal([]byte(s.id(service.Name, method, path, c)), []byte(c.ID)) {
		return nil, unknownChallenge("this challenge was not issued for this service, method and path")
	}
	expires, err := time.Parse(time.RFC3339, c.Expires)
	if err != nil {
		return nil, unknownChallenge("the challenge has no expiry")
	}
	if !time.Now().Before(expires) {
		return nil, &refusal{402, problems + "lightning/expired-invoice", "the challenge has expired"}
	}
	asked, err := base64.RawURLEncoding.DecodeString(c.Request)
	if err != nil {
		return nil, unknownChallenge("the challenge is not one of ours")
	}
	var request chargeRequest
	if json.Unmarshal(asked, &request) != nil || request.Currency != "sat" {
		return nil, unknownChallenge("the challenge is not one of ours")
	}
	wanted, err := hex.DecodeString(request.MethodDetails.PaymentHash)
	if err != nil || len(wanted) != 32 {
		return nil, unknownChallenge("the challenge is not one of ours")
	}
	preimage, err := hex.DecodeString(shown.Payload.Preimage)
	if err != nil || len(preimage) != 32 || strings.ToLower(shown.Payload.Preimage) != shown.Payload.Preimage {
		return nil, &refusal{402, problems + "lightning/malformed-credential", "payload.preimage: must be 64 lower-case hex digits"}
	}
	if sum := sha256.Sum256(preimage); !hmac.Equal(sum[:], wanted) {
		return nil, &refusal{402, problems + "lightning/invalid-preimage", "the preimage is not that of this challenge's invoice"}
	}
	granted := &grant{challengeID: c.ID, charge: true}
	copy(granted.hash[:], wanted)
	return granted, nil
}

func (s *paymentScheme) consume(ctx context.Context, service *Service, g *grant, credential string) *refusal {
	err := s.store.Consume(ctx, g.hash, service.Name, g.challengeID, sha256.Sum256([]byte(credential)))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSpent):
		return unknownChallenge("this payment was already used; pay a fresh challenge")
	case errors.Is(err, errUnknownHash):
		return unknownChallenge("this node made no such invoice; pay a fresh challenge")
	}
	return storeUnavailable
}

func (s *paymentScheme) offer(service *Service, method, path, requestID string) (line, id string, err error) {
	invoice := s.pool.Take()
	now := time.Now()
	request := chargeRequest{Amount: strconv.FormatInt(service.Price, 10), Currency: "sat"}
	request.MethodDetails.Invoice = invoice.text
	request.MethodDetails.Network = "regtest"
	request.MethodDetails.PaymentHash = hex.EncodeToString(invoice.hash[:])
	asked, err := canonical(&request)
	if err != nil {
		return "", "", err
	}
	expires := now.Add(s.ttl)
	c := challenge{
		Realm:   s.realm,
		Method:  "lightning",
		Intent:  "charge",
		Request: base64.RawURLEncoding.EncodeToString(asked),
		Expires: expires.UTC().Format(time.RFC3339),
	}
	c.ID = s.id(service.Name, method, path, &c)
	s.store.HandedOut(row{hash: invoice.hash, kind: "mpp_charge", service: service.Name, amount: invoice.msat,
		challenge: c.ID, request: requestID, created: now, expires: expires})
	var b strings.Builder
	b.Grow(256 + len(c.Request))
	for _, param := range [][2]string{{`Payment id="`, c.ID}, {`", realm="`, c.Realm}, {`", method="`, c.Method},
		{`", intent="`, c.Intent}, {`", request="`, c.Request}, {`", expires="`, c.Expires}} {
		b.WriteString(param[0])
		b.WriteString(param[1])
	}
	b.WriteByte('"')
	return b.String(), c.ID, nil
}

func receipt(g *grant) string {
	out, _ := canonical(&struct {
		ChallengeID string `json:"challengeId"`
		Method      string `json:"method"`
		Reference   string `json:"reference"`
		Status      string `json:"status"`
		Timestamp   string `json:"timestamp"`
	}{g.challengeID, "lightning", hex.EncodeToString(g.hash[:]), "success", time.Now().UTC().Format(time.RFC3339)})
	return base64.RawURLEncoding.EncodeToString(out)
}

type grantKey struct{}

func withGrant(ctx context.Context, g *grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

func grantOf(ctx context.Context) *grant {
	g, _ := ctx.Value(grantKey{}).(*grant)
	return g
}
