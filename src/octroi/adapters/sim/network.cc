#include "octroi/adapters/sim/network.h"

#include <algorithm>

#include "octroi/adapters/sim/invoice.h"

namespace octroi::sim {
namespace {

using lightning::Errc;
using lightning::InvoiceState;
using lightning::PaymentState;

constexpr std::int64_t kSchemaVersion = 1;
constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS accounts(
  name TEXT PRIMARY KEY, node_key BLOB NOT NULL,
  balance_msat INTEGER NOT NULL CHECK(balance_msat >= 0), issued_msat INTEGER NOT NULL,
  created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS invoices(
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL REFERENCES accounts(name),
  hash BLOB NOT NULL UNIQUE, seed BLOB NOT NULL, amount_msat INTEGER NOT NULL, bolt11 TEXT NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, paid_msat INTEGER NOT NULL DEFAULT 0,
  settled_ms INTEGER, settle_index INTEGER UNIQUE) STRICT;
CREATE INDEX IF NOT EXISTS invoices_settled ON invoices(account, settle_index) WHERE settle_index IS NOT NULL;
CREATE TABLE IF NOT EXISTS payments(
  payer TEXT NOT NULL REFERENCES accounts(name), hash BLOB NOT NULL, state INTEGER NOT NULL,
  amount_msat INTEGER NOT NULL, fee_msat INTEGER NOT NULL, due_ms INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(payer, hash)) STRICT;
CREATE INDEX IF NOT EXISTS payments_due ON payments(due_ms) WHERE state = 1;
CREATE TABLE IF NOT EXISTS faults(
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL REFERENCES accounts(name),
  operation INTEGER NOT NULL, kind INTEGER NOT NULL, remaining INTEGER NOT NULL, delay_ms INTEGER NOT NULL) STRICT;
)sql";

// Invoice states in the file; 0 is open, `accepted` is one whose payment is on its way.
constexpr std::int64_t kAccepted = 1;
constexpr std::int64_t kSettled = 2;
// Payment states in the file.
constexpr std::int64_t kFailed = 0;
constexpr std::int64_t kInFlight = 1;
constexpr std::int64_t kSucceeded = 2;

Result<Msat> to_msat(std::int64_t stored) {
  auto amount = Msat::from_raw(stored);
  if (!amount) return fail(Errc::bad_answer, "sim file: an amount is out of range");
  return *amount;
}

Result<PaymentHash> to_hash(const Bytes& stored) {
  auto hash = PaymentHash::from_bytes(stored);
  if (!hash) return fail(Errc::bad_answer, "sim file: a payment hash has the wrong length");
  return *hash;
}

/// Rounded up, as what somebody must pay.
Result<Msat> fee_of(Msat amount, std::int64_t ppm) {
  __extension__ using Wide = __int128;
  const Wide raw = amount.count(); /* raw: fee arithmetic in 128 bits */
  const Wide fee = (raw * ppm + 999'999) / 1'000'000;
  if (fee > Msat::kMax)
    return fail(Errc::insufficient, "sim.fee_ppm: the fee exceeds every balance");
  return to_msat(static_cast<std::int64_t>(fee));
}

InvoiceState to_state(std::int64_t stored) {
  return stored == kSettled ? InvoiceState::settled : InvoiceState::open;
}

Result<lightning::InvoiceStatus> read_status(const Query& q) {
  OCTROI_TRY(const PaymentHash hash, to_hash(q.blob(0)));
  OCTROI_TRY(const Msat paid, to_msat(q.int64(2)));
  lightning::InvoiceStatus status{
      .hash = hash, .state = to_state(q.int64(1)), .paid = paid, .settled = {}};
  if (!q.is_null(3)) status.settled = UnixMillis{q.int64(3)};
  status.settle_index = static_cast<std::uint64_t>(q.int64(4));
  return status;
}

Result<Msat> sum(Database& db, std::string_view sql) {
  OCTROI_TRY(Query q, db.query(sql));
  OCTROI_CHECK(q.step());
  return to_msat(q.int64(0));
}

}  // namespace

Result<Network> Network::open(const SimOptions& options, Random& random, UnixMillis now) {
  if (options.account.empty()) return fail(Errc::unavailable, "sim.account: must not be empty");
  if (options.fee_ppm < 0) return fail(Errc::unavailable, "sim.fee_ppm: must not be negative");
  OCTROI_TRY(Database db, Database::open(options.file));
  Network network(std::move(db), options);
  OCTROI_CHECK(network.make_tables());
  OCTROI_CHECK(network.make_account(random, now));
  return network;
}

Result<Network> Network::attach(const std::string& file) {
  OCTROI_TRY(Database db, Database::open(file));
  Network network(std::move(db),
                  SimOptions{.file = file, .account = {}, .initial = {}, .fee_ppm = 0});
  OCTROI_CHECK(network.make_tables());
  return network;
}

Result<> Network::make_tables() {
  return db_.transact([this]() -> Result<> {
    std::int64_t version = 0;
    {
      OCTROI_TRY(Query q, db_.query("PRAGMA user_version"));
      OCTROI_CHECK(q.step());
      version = q.int64(0);
    }
    if (version == kSchemaVersion) return {};
    if (version != 0)
      return fail(Errc::unavailable, "sim.file: made by another version of octroi; use a new file");
    OCTROI_CHECK(db_.execute(kSchema));
    return db_.execute("PRAGMA user_version = 1");
  });
}

Result<> Network::make_account(Random& random, UnixMillis now) {
  const std::int64_t initial =
      options_.initial.count(); /* raw: a column of the simulated network's file */
  return db_.transact([&]() -> Result<> {
    OCTROI_TRY(
        Query q,
        db_.query("INSERT OR IGNORE INTO accounts(name, node_key, balance_msat, issued_msat, "
                  "created_ms) VALUES(?,?,?,?,?)"));
    const Secret key = new_node_key(random);
    return q.arg(options_.account).arg(key.reveal()).arg(initial).arg(initial).arg(now.value).run();
  });
}

Result<Secret> Network::node_secret(const std::string& account) {
  OCTROI_TRY(Query q, db_.query("SELECT node_key FROM accounts WHERE name = ?"));
  q.arg(account);
  OCTROI_TRY(const bool found, q.step());
  if (!found) return fail(Errc::not_found, "sim account: it does not exist in this file");
  return Secret::take(q.blob(0));
}

// ------------------------------------------------------------------------------------------ faults

Result<std::optional<Fault>> Network::take_fault(Operation operation) {
  static constexpr std::string_view kFind =
      "SELECT id, kind, delay_ms FROM faults WHERE account = ? AND operation IN (?, 0) AND "
      "remaining != 0 "
      "ORDER BY id LIMIT 1";
  {
    // Nearly always there is none: look without taking the write lock.
    OCTROI_TRY(Query q, db_.query(kFind));
    q.arg(options_.account).arg(static_cast<std::int64_t>(operation));
    OCTROI_TRY(const bool found, q.step());
    if (!found) return std::nullopt;
  }
  return db_.transact([&]() -> Result<std::optional<Fault>> {
    std::int64_t id = 0;
    Fault fault{.operation = operation};
    {
      OCTROI_TRY(Query q, db_.query(kFind));
      q.arg(options_.account).arg(static_cast<std::int64_t>(operation));
      OCTROI_TRY(const bool found, q.step());
      if (!found) return std::nullopt;
      id = q.int64(0);
      fault.kind = static_cast<FaultKind>(q.int64(1));
      fault.delay = Millis(q.int64(2));
    }
    OCTROI_TRY(
        Query used,
        db_.query("UPDATE faults SET remaining = remaining - 1 WHERE id = ? AND remaining > 0"));
    OCTROI_CHECK(used.arg(id).run());
    return fault;
  });
}

Result<> Network::set_fault(const std::string& account, const Fault& fault) {
  return db_.transact([&]() -> Result<> {
    OCTROI_CHECK(node_secret(account));
    OCTROI_TRY(Query q,
               db_.query("INSERT INTO faults(account, operation, kind, remaining, delay_ms) "
                         "VALUES(?,?,?,?,?)"));
    return q.arg(account)
        .arg(static_cast<std::int64_t>(fault.operation))
        .arg(static_cast<std::int64_t>(fault.kind))
        .arg(fault.count)
        .arg(fault.delay.count()) /* raw: milliseconds, not money */
        .run();
  });
}

Result<> Network::clear_faults(const std::string& account) {
  return db_.transact([&]() -> Result<> {
    OCTROI_TRY(Query q, db_.query("DELETE FROM faults WHERE account = ?"));
    return q.arg(account).run();
  });
}

// ---------------------------------------------------------------------------------------- invoices

Result<std::string> Network::public_key() {
  OCTROI_TRY(const Secret secret, node_secret(options_.account));
  return node_public_key(secret);
}

Result<lightning::Invoice> Network::insert_invoice(const lightning::InvoiceRequest& request,
                                                   const Secret& secret, Random& random,
                                                   UnixMillis now) {
  const auto seed = random.bytes<kSeedSize>();
  OCTROI_TRY(const SignedInvoice made, sign_invoice(request, secret, seed, now));
  lightning::Invoice invoice{.hash = made.hash,
                             .bolt11 = made.bolt11,
                             .amount = request.amount,
                             .created = made.created,
                             .expires = made.expires};
  OCTROI_TRY(Query q,
             db_.query("INSERT INTO invoices(account, hash, seed, amount_msat, bolt11, created_ms, "
                       "expires_ms) VALUES(?,?,?,?,?,?,?)"));
  OCTROI_CHECK(q.arg(options_.account)
                   .arg(invoice.hash.bytes())
                   .arg(ByteView(seed))
                   .arg(invoice.amount.count()) /* raw: a column of the simulated network's file */
                   .arg(invoice.bolt11)
                   .arg(invoice.created.value)
                   .arg(invoice.expires.value)
                   .run());
  invoice.index = static_cast<std::uint64_t>(db_.last_rowid());
  return invoice;
}

Result<std::vector<lightning::Invoice>> Network::add_invoices(
    const lightning::InvoiceRequest& request, int count, Random& random, UnixMillis now) {
  return db_.transact([&]() -> Result<std::vector<lightning::Invoice>> {
    OCTROI_TRY(const Secret secret, node_secret(options_.account));
    std::vector<lightning::Invoice> made;
    for (int i = 0; i < count; ++i) {
      OCTROI_TRY(lightning::Invoice invoice, insert_invoice(request, secret, random, now));
      made.push_back(std::move(invoice));
    }
    return made;
  });
}

Result<lightning::InvoiceStatus> Network::lookup(const PaymentHash& hash, UnixMillis now) {
  OCTROI_CHECK(complete_due(now));
  OCTROI_TRY(Query q,
             db_.query("SELECT hash, state, paid_msat, settled_ms, settle_index FROM invoices "
                       "WHERE hash = ? AND account = ?"));
  q.arg(hash.bytes()).arg(options_.account);
  OCTROI_TRY(const bool found, q.step());
  if (!found) return fail(Errc::not_found, "invoice: this node did not make it");
  return read_status(q);
}

Result<std::vector<lightning::InvoiceStatus>> Network::settled_after(std::uint64_t settle_index,
                                                                     UnixMillis now) {
  OCTROI_CHECK(complete_due(now));
  OCTROI_TRY(Query q,
             db_.query("SELECT hash, state, paid_msat, settled_ms, settle_index FROM invoices "
                       "WHERE account = ? AND settle_index > ? ORDER BY settle_index LIMIT 1000"));
  q.arg(options_.account).arg(static_cast<std::int64_t>(settle_index));
  std::vector<lightning::InvoiceStatus> out;
  while (true) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(lightning::InvoiceStatus status, read_status(q));
    out.push_back(status);
  }
}

// ---------------------------------------------------------------------------------------- payments

Result<StartedPayment> Network::start_payment(const lightning::PayRequest& request, Millis delay,
                                              UnixMillis now) {
  OCTROI_CHECK(complete_due(now));
  return db_.transact([&]() -> Result<StartedPayment> {
    OCTROI_TRY(StartedPayment started, debit(request, delay, now));
    if (started.due <= now) OCTROI_CHECK(complete(options_.account, started.hash, now));
    return started;
  });
}

Result<StartedPayment> Network::debit(const lightning::PayRequest& request, Millis delay,
                                      UnixMillis now) {
  OCTROI_TRY(const InvoiceToPay wanted, read_invoice(request.bolt11));

  std::string payee;
  std::int64_t state = 0;
  {
    OCTROI_TRY(Query q,
               db_.query("SELECT account, bolt11, state, expires_ms FROM invoices WHERE hash = ?"));
    q.arg(wanted.hash.bytes());
    OCTROI_TRY(const bool found, q.step());
    if (!found)
      return fail(Errc::payment_failed,
                  "no route: the invoice's node is not in this simulated network");
    payee = q.text(0);
    state = q.int64(2);
    if (q.text(1) != wanted.canonical)
      return fail(Errc::bad_invoice, "invoice: it is not the one its node made");
    if (payee == options_.account)
      return fail(Errc::bad_invoice, "invoice: a node does not pay its own invoice");
    if (state == kSettled) return fail(Errc::already_paid, "invoice: it was paid before");
    if (now.value >= q.int64(3)) return fail(Errc::bad_invoice, "invoice: it has expired");
  }
  if (state == kAccepted) {
    OCTROI_TRY(Query q,
               db_.query("SELECT 1 FROM payments WHERE payer = ? AND hash = ? AND state = 1"));
    q.arg(options_.account).arg(wanted.hash.bytes());
    OCTROI_TRY(const bool ours, q.step());
    if (ours)
      return fail(Errc::payment_unknown,
                  "invoice: a payment of it is on its way; track it by its hash");
    return fail(Errc::already_paid, "invoice: somebody else is paying it");
  }

  if (wanted.amount.is_zero() != request.amount.has_value()) {
    return fail(Errc::bad_invoice, wanted.amount.is_zero()
                                       ? "amount: required, as the invoice names none"
                                       : "amount: the invoice names its own; give none");
  }
  const Msat amount = request.amount.value_or(wanted.amount);
  if (amount.is_zero()) return fail(Errc::bad_invoice, "amount: must not be zero");
  OCTROI_TRY(const Msat fee, fee_of(amount, options_.fee_ppm));
  if (fee > request.fee_limit) return fail(Errc::insufficient, "fee_limit: no route is that cheap");
  auto total = amount.plus(fee);
  if (!total) return fail(Errc::insufficient, "balance: too small for this payment");

  {
    OCTROI_TRY(Query q, db_.query("UPDATE accounts SET balance_msat = balance_msat - ?1 "
                                  "WHERE name = ?2 AND balance_msat >= ?1"));
    OCTROI_CHECK(q.arg(total->count()) /* raw: a column of the simulated network's file */
                     .arg(options_.account)
                     .run());
    if (db_.changes() != 1) return fail(Errc::insufficient, "balance: too small for this payment");
  }
  {
    OCTROI_TRY(Query q, db_.query("UPDATE invoices SET state = 1 WHERE hash = ?"));
    OCTROI_CHECK(q.arg(wanted.hash.bytes()).run());
  }
  const UnixMillis due = now + delay;
  OCTROI_TRY(
      Query q,
      db_.query(
          "INSERT OR REPLACE INTO payments(payer, hash, state, amount_msat, fee_msat, due_ms, "
          "reason) VALUES(?,?,1,?,?,?,'')"));
  OCTROI_CHECK(q.arg(options_.account)
                   .arg(wanted.hash.bytes())
                   .arg(amount.count()) /* raw: a column of the simulated network's file */
                   .arg(fee.count())    /* raw: a column of the simulated network's file */
                   .arg(due.value)
                   .run());
  return StartedPayment{.hash = wanted.hash, .due = due};
}

Result<> Network::complete_due(UnixMillis now) {
  static constexpr std::string_view kDue =
      "SELECT payer, hash FROM payments WHERE state = 1 AND due_ms <= ? LIMIT 1";
  while (true) {
    {
      OCTROI_TRY(Query q, db_.query(kDue));
      q.arg(now.value);
      OCTROI_TRY(const bool any, q.step());
      if (!any) return {};
    }
    OCTROI_CHECK(db_.transact([&]() -> Result<> {
      std::string payer;
      PaymentHash hash;
      {
        OCTROI_TRY(Query q, db_.query(kDue));
        q.arg(now.value);
        OCTROI_TRY(const bool any, q.step());
        if (!any) return {};
        payer = q.text(0);
        OCTROI_TRY(hash, to_hash(q.blob(1)));
      }
      return complete(payer, hash, now);
    }));
  }
}

Result<> Network::complete(const std::string& payer, const PaymentHash& hash, UnixMillis now) {
  {
    OCTROI_TRY(
        Query q,
        db_.query("UPDATE payments SET state = 2 WHERE payer = ? AND hash = ? AND state = 1"));
    OCTROI_CHECK(q.arg(payer).arg(hash.bytes()).run());
  }
  {
    OCTROI_TRY(
        Query q,
        db_.query("UPDATE accounts SET balance_msat = balance_msat + (SELECT amount_msat FROM "
                  "payments WHERE payer = ?1 AND hash = ?2) "
                  "WHERE name = (SELECT account FROM invoices WHERE hash = ?2)"));
    OCTROI_CHECK(q.arg(payer).arg(hash.bytes()).run());
  }
  OCTROI_TRY(
      Query q,
      db_.query("UPDATE invoices SET state = 2, settled_ms = ?3, paid_msat = (SELECT amount_msat "
                "FROM payments WHERE payer = ?1 AND hash = ?2), settle_index = (SELECT "
                "coalesce(max(settle_index), 0) + 1 FROM invoices) WHERE hash = ?2"));
  return q.arg(payer).arg(hash.bytes()).arg(now.value).run();
}

Result<> Network::record_failure(const lightning::PayRequest& request, std::string reason,
                                 UnixMillis now) {
  OCTROI_TRY(const InvoiceToPay wanted, read_invoice(request.bolt11));
  return db_.transact([&]() -> Result<> {
    // A payment that succeeded or is on its way keeps its row.
    OCTROI_TRY(
        Query q,
        db_.query("INSERT INTO payments(payer, hash, state, amount_msat, fee_msat, due_ms, reason) "
                  "VALUES(?,?,0,?,0,?,?) ON CONFLICT(payer, hash) DO UPDATE SET reason = "
                  "excluded.reason WHERE state = 0"));
    return q.arg(options_.account)
        .arg(wanted.hash.bytes())
        .arg(wanted.amount.count()) /* raw: a column of the simulated network's file */
        .arg(now.value)
        .arg(reason)
        .run();
  });
}

Result<lightning::Payment> Network::track(const PaymentHash& hash, UnixMillis now) {
  OCTROI_CHECK(complete_due(now));
  OCTROI_TRY(
      Query q,
      db_.query(
          "SELECT p.state, p.amount_msat, p.fee_msat, p.reason, i.account, i.seed FROM payments "
          "p LEFT JOIN invoices i ON i.hash = p.hash WHERE p.payer = ? AND p.hash = ?"));
  q.arg(options_.account).arg(hash.bytes());
  OCTROI_TRY(const bool found, q.step());
  if (!found) return fail(Errc::not_found, "payment: this node never sent it");
  lightning::Payment payment;
  payment.hash = hash;
  OCTROI_TRY(payment.amount, to_msat(q.int64(1)));
  OCTROI_TRY(payment.fee, to_msat(q.int64(2)));
  const std::int64_t state = q.int64(0);
  if (state == kFailed) {
    payment.state = PaymentState::failed;
    payment.reason = q.text(3);
  } else if (state == kInFlight) {
    payment.state = PaymentState::in_flight;
  } else if (state == kSucceeded) {
    payment.state = PaymentState::succeeded;
    OCTROI_TRY(const Secret payee, node_secret(q.text(4)));
    payment.preimage = preimage_of(payee, q.blob(5));
  } else {
    return fail(Errc::bad_answer, "sim file: a payment is in an unknown state");
  }
  return payment;
}

// -------------------------------------------------------------------------------------------
// totals

Result<Msat> Network::balance(UnixMillis now) {
  OCTROI_CHECK(complete_due(now));
  OCTROI_TRY(Query q, db_.query("SELECT balance_msat FROM accounts WHERE name = ?"));
  q.arg(options_.account);
  OCTROI_TRY(const bool found, q.step());
  if (!found) return fail(Errc::not_found, "sim account: it does not exist in this file");
  return to_msat(q.int64(0));
}

Result<NetworkTotals> Network::totals() {
  return db_.transact([&]() -> Result<NetworkTotals> {
    NetworkTotals totals;
    OCTROI_TRY(Query q, db_.query("SELECT name, balance_msat FROM accounts ORDER BY name"));
    while (true) {
      OCTROI_TRY(const bool row, q.step());
      if (!row) break;
      OCTROI_TRY(const Msat balance, to_msat(q.int64(1)));
      totals.accounts.push_back({.account = q.text(0), .balance = balance});
    }
    OCTROI_TRY(totals.in_flight,
               sum(db_, "SELECT coalesce(sum(amount_msat), 0) FROM payments WHERE state = 1"));
    OCTROI_TRY(totals.fees,
               sum(db_, "SELECT coalesce(sum(fee_msat), 0) FROM payments WHERE state != 0"));
    OCTROI_TRY(totals.issued, sum(db_, "SELECT coalesce(sum(issued_msat), 0) FROM accounts"));
    OCTROI_TRY(Query count, db_.query("SELECT count(*) FROM invoices"));
    OCTROI_CHECK(count.step());
    totals.invoices = count.int64(0);
    return totals;
  });
}

Result<std::int64_t> Network::count_invoices(const std::string& account) {
  OCTROI_TRY(Query q, db_.query("SELECT count(*) FROM invoices WHERE account = ?"));
  q.arg(account);
  OCTROI_CHECK(q.step());
  return q.int64(0);
}

}  // namespace octroi::sim
