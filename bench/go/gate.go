package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// A refusal is why a credential was not accepted, as a problem document tells it.
type refusal struct {
	status int
	kind   string
	detail string
}

const problems = "https://paymentauth.org/problems/"

var (
	paymentRequired = &refusal{402, problems + "payment-required",
		"pay one of the challenges in WWW-Authenticate and repeat the request with its proof"}
	malformedCredential = &refusal{402, problems + "malformed-credential", "the credential cannot be read"}
	verificationFailed  = &refusal{402, problems + "verification-failed",
		"the token or its preimage does not verify; buy a new one"}
	storeUnavailable = &refusal{503, problems + "internal-payment-error", "the payment cannot be recorded now"}
)

// A grant is an accepted proof of payment. Charges carry what is told after the answer.
type grant struct {
	hash        paymentHash
	challengeID string
	charge      bool
}

// Gate routes, judges, asks for payment and relays.
type Gate struct {
	config   *Config
	services []Service
	l402     *l402Scheme
	payment  *paymentScheme
	store    *Store
	proxy    *httputil.ReverseProxy
	events   *httputil.ReverseProxy
}

func newGate(config *Config) (*Gate, error) {
	store, err := openStore(config.Database)
	if err != nil {
		return nil, err
	}
	pool, err := loadPool(config.Invoices)
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(config.Secret)
	if err != nil {
		return nil, err
	}
	key, err := readSecret(config.L402Key)
	if err != nil {
		return nil, err
	}
	challengeTTL := time.Duration(config.ChallengeTTL) * time.Second
	gate := &Gate{
		config:   config,
		services: config.Services,
		store:    store,
		l402: &l402Scheme{key: key, keyID: keyIDOf(key), store: store, pool: pool, challengeTTL: challengeTTL,
			tokenTTL: time.Duration(config.TokenTTL) * time.Second},
		payment: &paymentScheme{key: secret, realm: config.Realm, store: store, pool: pool, ttl: challengeTTL},
	}
	if gate.proxy, err = newProxy(config.Upstream, store); err != nil {
		return nil, err
	}
	if gate.events, err = newProxy(config.Events, store); err != nil {
		return nil, err
	}
	return gate, nil
}

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	w.Header().Set("X-Request-Id", id)
	clean := path.Clean(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
		clean += "/"
	}
	service := g.route(clean)
	if service == nil {
		writeProblem(w, &refusal{404, "about:blank", "no service answers at this path"}, "")
		return
	}
	var granted *grant
	if service.Price > 0 {
		accepted, refused := g.judge(service, r, clean)
		if accepted == nil {
			g.challenge(w, service, r, clean, id, refused)
			return
		}
		granted = accepted
	}
	g.relay(w, r, service, clean, id, granted)
}

func (g *Gate) route(clean string) *Service {
	for i := range g.services {
		if strings.HasPrefix(clean, g.services[i].Prefix) {
			return &g.services[i]
		}
	}
	return nil
}

// judge returns a grant, or why there is none.
func (g *Gate) judge(service *Service, r *http.Request, clean string) (*grant, *refusal) {
	authorization := r.Header.Get("Authorization")
	scheme, credential, found := strings.Cut(authorization, " ")
	if !found {
		return nil, paymentRequired
	}
	credential = strings.TrimLeft(credential, " ")
	switch {
	case service.L402 && (strings.EqualFold(scheme, "L402") || strings.EqualFold(scheme, "LSAT")):
		return g.l402.verify(r.Context(), service, credential)
	case service.Payment && strings.EqualFold(scheme, "Payment"):
		granted, refused := g.payment.verify(service, r.Method, clean, credential)
		if granted == nil {
			return nil, refused
		}
		if refused := g.payment.consume(r.Context(), service, granted, credential); refused != nil {
			return nil, refused
		}
		return granted, nil
	}
	return nil, paymentRequired
}

func (g *Gate) challenge(w http.ResponseWriter, service *Service, r *http.Request, clean, id string, why *refusal) {
	if why.status != 402 {
		writeProblem(w, why, "")
		return
	}
	header := w.Header()
	challengeID := ""
	if service.L402 {
		line, err := g.l402.offer(service, id)
		if err != nil {
			writeProblem(w, storeUnavailable, "")
			return
		}
		header.Add("WWW-Authenticate", "L402 "+line)
	}
	if service.Payment {
		var line string
		var err error
		line, challengeID, err = g.payment.offer(service, r.Method, clean, id)
		if err != nil {
			writeProblem(w, storeUnavailable, "")
			return
		}
		header.Add("WWW-Authenticate", line)
	}
	writeProblem(w, why, challengeID)
}

func (g *Gate) relay(w http.ResponseWriter, r *http.Request, service *Service, clean, id string, granted *grant) {
	r.URL.Path = "/" + strings.TrimPrefix(clean, service.Prefix)
	r.URL.RawPath = ""
	r.Header.Set("X-Request-Id", id)
	if granted != nil {
		r.Header.Del("Authorization")
		r = r.WithContext(withGrant(r.Context(), granted))
	}
	proxy := g.proxy
	if r.URL.Path == "/sse" {
		proxy = g.events
	}
	proxy.ServeHTTP(w, r)
}

func newProxy(target string, store *Store) (*httputil.ReverseProxy, error) {
	upstream, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 512
	transport.DisableCompression = true
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(upstream)
			pr.SetXForwarded()
			pr.Out.Host = pr.In.Host
		},
		Transport:  transport,
		BufferPool: &bufferPool{},
		ModifyResponse: func(answer *http.Response) error {
			answer.Header.Del("X-Request-Id") // ours is on the answer already
			granted := grantOf(answer.Request.Context())
			if granted == nil || !granted.charge {
				return nil
			}
			if answer.StatusCode/100 == 2 {
				answer.Header.Set("Payment-Receipt", receipt(granted))
				answer.Header.Set("Cache-Control", "private")
			}
			answer.Body = &keptBody{ReadCloser: answer.Body, store: store, hash: granted.hash, answer: answer}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.Printf("upstream: %v", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}, nil
}

// keptBody remembers an answer while it passes, for the same credential shown again.
type keptBody struct {
	io.ReadCloser
	store  *Store
	hash   paymentHash
	answer *http.Response
	body   bytes.Buffer
	over   bool
}

const maxKeptBody = 64 << 10

func (k *keptBody) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if !k.over {
		if k.body.Len()+n > maxKeptBody {
			k.over = true
			k.body.Reset()
		} else {
			k.body.Write(p[:n])
		}
	}
	return n, err
}

func (k *keptBody) Close() error {
	kept := k.body.Bytes()
	if k.over {
		kept = nil
	}
	k.store.Finish(k.hash, k.answer.StatusCode, k.answer.Header.Get("Content-Type"), kept, !k.over)
	return k.ReadCloser.Close()
}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 32<<10)
}
func (b *bufferPool) Put(buffer []byte) { b.pool.Put(&buffer) }

func writeProblem(w http.ResponseWriter, why *refusal, challengeID string) {
	body, _ := json.Marshal(struct {
		Type        string `json:"type"`
		Title       string `json:"title"`
		Status      int    `json:"status"`
		Detail      string `json:"detail"`
		ChallengeID string `json:"challengeId,omitempty"`
	}{why.kind, http.StatusText(why.status), why.status, why.detail, challengeID})
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(why.status)
	w.Write(body)
}

func requestID() string {
	var raw [12]byte
	rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}
