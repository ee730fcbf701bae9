package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

var (
	errUnknownHash = errors.New("no invoice has this payment hash")
	errSpent       = errors.New("this payment was already used")
	errClosed      = errors.New("the store is closed")
)

const schema = `
CREATE TABLE IF NOT EXISTS invoices (
  hash BLOB NOT NULL PRIMARY KEY, amount_msat BIGINT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS consumed (
  hash BLOB NOT NULL PRIMARY KEY REFERENCES invoices (hash), auth_type TEXT NOT NULL, service TEXT NOT NULL,
  challenge_id TEXT NOT NULL, payload_digest BLOB NOT NULL, consumed_at BIGINT NOT NULL,
  status BIGINT, content_type TEXT, body BLOB);
CREATE TABLE IF NOT EXISTS transactions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL, auth_type TEXT NOT NULL, service TEXT NOT NULL,
  amount_msat BIGINT NOT NULL, challenge_id TEXT NOT NULL, token_id BLOB, request_id TEXT NOT NULL,
  state TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, settled_at BIGINT,
  UNIQUE (hash, auth_type));
CREATE INDEX IF NOT EXISTS transactions_service ON transactions (service, id);
CREATE INDEX IF NOT EXISTS transactions_state ON transactions (state, expires_at);
CREATE INDEX IF NOT EXISTS transactions_created_at ON transactions (created_at);
`

const (
	maxBatch = 256
	maxRows  = 100_000
	rowsTick = 20 * time.Millisecond
)

// row is a challenge that was handed out and not yet paid.
type row struct {
	hash      paymentHash
	kind      string
	service   string
	amount    int64
	challenge string
	token     *tokenID
	request   string
	created   time.Time
	expires   time.Time
}

// operation is one change; it must not fail its neighbours in the batch.
type operation struct {
	run  func(*statements) error
	done chan error // nil: nobody waits
}

// Store keeps what is spent. One goroutine writes: it commits at once when idle, and otherwise what
// has queued up while it was in fsync, and answers only after the commit.
type Store struct {
	db    *sql.DB
	queue chan operation
	quit  chan struct{}
	gone  sync.WaitGroup

	mutex sync.Mutex
	rows  []row
}

type statements struct {
	claim, find, settle, finish, insertRow *sql.Stmt
}

func openStore(path string) (*Store, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_foreign_keys=on")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	s := &Store{db: db, queue: make(chan operation, 4*maxBatch), quit: make(chan struct{})}
	prepared := new(statements)
	for _, one := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&prepared.claim, `INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest, consumed_at)
			SELECT hash, ?, ?, ?, ?, ? FROM invoices WHERE hash = ? ON CONFLICT (hash) DO NOTHING`},
		{&prepared.find, `SELECT auth_type, challenge_id FROM consumed WHERE hash = ?`},
		// The plus keeps SQLite from the index on state, behind which all unpaid challenges stand.
		{&prepared.settle, `UPDATE transactions SET state = 'settled', settled_at = ? WHERE hash = ? AND +state = 'pending'`},
		{&prepared.finish, `UPDATE consumed SET status = ?, content_type = ?, body = ? WHERE hash = ? AND status IS NULL`},
		{&prepared.insertRow, `INSERT INTO transactions (hash, auth_type, service, amount_msat, challenge_id, token_id,
			request_id, state, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)
			ON CONFLICT (hash, auth_type) DO NOTHING`},
	} {
		if *one.to, err = db.Prepare(one.text); err != nil {
			return nil, err
		}
	}
	s.gone.Add(2)
	go s.write(prepared)
	go s.flushRows()
	return s, nil
}

// Close ends the writer after what is queued.
func (s *Store) Close() {
	close(s.quit)
	s.gone.Wait()
	s.db.Close()
}

func (s *Store) write(prepared *statements) {
	defer s.gone.Done()
	batch := make([]operation, 0, maxBatch)
	for {
		select {
		case first := <-s.queue:
			batch = append(batch[:0], first)
		case <-s.quit:
			return
		}
	fill:
		for len(batch) < maxBatch {
			select {
			case next := <-s.queue:
				batch = append(batch, next)
			default:
				break fill
			}
		}
		s.commit(prepared, batch)
	}
}

func (s *Store) commit(prepared *statements, batch []operation) {
	results := make([]error, len(batch))
	tx, err := s.db.Begin()
	if err == nil {
		bound := &statements{tx.Stmt(prepared.claim), tx.Stmt(prepared.find), tx.Stmt(prepared.settle),
			tx.Stmt(prepared.finish), tx.Stmt(prepared.insertRow)}
		for i, one := range batch {
			results[i] = one.run(bound)
		}
		err = tx.Commit()
	}
	for i, one := range batch {
		if one.done == nil {
			continue
		}
		if err != nil {
			results[i] = err
		}
		one.done <- results[i]
	}
	if err != nil {
		log.Printf("store: %v", err)
	}
}

func (s *Store) wait(ctx context.Context, run func(*statements) error) error {
	one := operation{run, make(chan error, 1)}
	select {
	case s.queue <- one:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.quit:
		return errClosed
	}
	select {
	case err := <-one.done:
		return err
	case <-s.quit:
		return errClosed
	}
}

func claim(st *statements, hash paymentHash, kind, service, challenge string, payload [32]byte) (bool, error) {
	now := time.Now().UnixMilli()
	result, err := st.claim.Exec(kind, service, challenge, payload[:], now, hash[:])
	if err != nil {
		return false, err
	}
	if n, _ := result.RowsAffected(); n != 1 {
		return false, nil
	}
	_, err = st.settle.Exec(now, hash[:])
	return true, err
}

// claimant tells who claimed a hash that could not be claimed anew.
func claimant(st *statements, hash paymentHash) (kind, first string, err error) {
	err = st.find.QueryRow(hash[:]).Scan(&kind, &first)
	if errors.Is(err, sql.ErrNoRows) {
		err = errUnknownHash
	}
	return kind, first, err
}

// Consume spends a payment once, durably.
func (s *Store) Consume(ctx context.Context, hash paymentHash, service, challenge string, payload [32]byte) error {
	return s.wait(ctx, func(st *statements) error {
		fresh, err := claim(st, hash, "mpp_charge", service, challenge, payload)
		if err != nil || fresh {
			return err
		}
		if _, _, err := claimant(st, hash); err != nil {
			return err
		}
		return errSpent
	})
}

// ClaimToken notes a token's first use; later ones of the same token are as good.
func (s *Store) ClaimToken(ctx context.Context, hash paymentHash, id tokenID, service string) error {
	name := string(id[:])
	return s.wait(ctx, func(st *statements) error {
		fresh, err := claim(st, hash, "l402", service, name, id)
		if err != nil || fresh {
			return err
		}
		kind, first, err := claimant(st, hash)
		if err != nil {
			return err
		}
		if kind != "l402" || first != name {
			return errSpent
		}
		return nil
	})
}

// Finish keeps the answer that a spent payment bought. Nobody waits for it.
func (s *Store) Finish(hash paymentHash, status int, contentType string, body []byte, kept bool) {
	var stored any
	if kept {
		stored = body
	}
	select {
	case s.queue <- operation{run: func(st *statements) error {
		_, err := st.finish.Exec(status, contentType, stored, hash[:])
		return err
	}}:
	case <-s.quit:
	}
}

// HandedOut notes a challenge. Rows are written in the background, many at once.
func (s *Store) HandedOut(one row) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.rows) < maxRows {
		s.rows = append(s.rows, one)
	}
}

func (s *Store) flushRows() {
	defer s.gone.Done()
	tick := time.NewTicker(rowsTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.quit:
			return
		}
		s.mutex.Lock()
		rows := s.rows
		s.rows = nil
		s.mutex.Unlock()
		if len(rows) == 0 {
			continue
		}
		err := s.wait(context.Background(), func(st *statements) error {
			for i := range rows {
				if err := insertRow(st, &rows[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errClosed) {
			log.Printf("store: rows: %v", err)
		}
	}
}

func insertRow(st *statements, r *row) error {
	var token []byte
	if r.token != nil {
		token = r.token[:]
	}
	_, err := st.insertRow.Exec(r.hash[:], r.kind, r.service, r.amount, r.challenge, token, r.request,
		r.created.UnixMilli(), r.expires.UnixMilli())
	return err
}
