#include "octroi/adapters/sql/store.h"

#include <cstring>
#include <utility>

#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/sale_operations.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {
/// Read by nobody: writing it is the proof that the store can commit.
constexpr std::string_view kPingName = "octroi.ping";

template <class Row>
std::uint64_t key_of_first(const std::vector<Row>& rows) {
  return rows.empty() ? 0 : key_of(rows.front().hash);
}
}  // namespace

std::uint64_t key_of(const PaymentHash& hash) {
  std::uint64_t key = 0;
  std::memcpy(&key, hash.bytes().data(), sizeof key);
  return key;
}

std::uint64_t key_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

SqlStore::SqlStore(std::unique_ptr<Lanes> lanes, Clock& clock, std::string boot)
    : clock_(clock),
      boot_(std::make_shared<const std::string>(std::move(boot))),
      lanes_(std::move(lanes)),
      sessions_(*lanes_, boot_),
      services_(*lanes_),
      bundles_(*lanes_, boot_),
      reports_(*lanes_, boot_),
      journal_(*lanes_, clock_, *boot_),
      spends_(*lanes_),
      calls_(*lanes_, spends_, journal_),
      vault_keys_(*lanes_),
      vault_policies_(*lanes_),
      approvals_(*lanes_),
      allowances_(*lanes_) {}

// --- invoices and transactions

Task<Result<>> SqlStore::record_invoices(std::vector<InvoiceRecord> invoices) {
  const std::uint64_t key = key_of_first(invoices);
  return write(key,
               [v = std::move(invoices)](Connection& db) { return sql::record_invoices(db, v); });
}

Task<Result<std::optional<InvoiceRecord>>> SqlStore::find_invoice(PaymentHash hash) {
  return read<std::optional<InvoiceRecord>>(
      [hash](Connection& db) { return sql::find_invoice(db, hash); });
}

Task<Result<>> SqlStore::record_transactions(std::vector<TransactionRecord> rows) {
  const std::uint64_t key = key_of_first(rows);
  return write(key,
               [v = std::move(rows)](Connection& db) { return sql::record_transactions(db, v); });
}

Task<Result<bool>> SqlStore::settle(PaymentHash hash, UnixMillis when) {
  return write<bool>(key_of(hash),
                     [hash, when](Connection& db) { return sql::settle(db, hash, when); });
}

Task<Result<std::vector<Transaction>>> SqlStore::list_transactions(TransactionFilter filter) {
  return read<std::vector<Transaction>>(
      [f = std::move(filter)](Connection& db) { return sql::list_transactions(db, f); });
}

Task<Result<std::vector<Revenue>>> SqlStore::revenue(RevenueFilter filter) {
  return read<std::vector<Revenue>>(
      [f = std::move(filter)](Connection& db) { return sql::revenue(db, f); });
}

Task<Result<>> SqlStore::extend_invoice(PaymentHash hash, UnixMillis keep_until) {
  return write(key_of(hash), [hash, keep_until](Connection& db) {
    return sql::extend_invoice(db, hash, keep_until);
  });
}

// --- consuming

Task<Result<ConsumeOutcome>> SqlStore::consume(ConsumeRequest request) {
  return consume_as(std::move(request), *boot_);
}

Task<Result<ConsumeOutcome>> SqlStore::consume_as(ConsumeRequest request, std::string mark) {
  const std::uint64_t key = key_of(request.hash);
  return write<ConsumeOutcome>(key, [r = std::move(request), m = std::move(mark), boot = boot_](
                                        Connection& db) { return sql::consume(db, r, *boot, m); });
}

Task<Result<std::optional<std::string>>> SqlStore::pending_mark(PaymentHash hash) {
  return read<std::optional<std::string>>(
      [hash](Connection& db) { return sql::pending_mark(db, hash); });
}

Task<Result<bool>> SqlStore::is_consumed(PaymentHash hash) {
  return read<bool>([hash](Connection& db) { return sql::is_consumed(db, hash); });
}

Task<Result<>> SqlStore::finish_consume(PaymentHash hash, StoredResponse response) {
  return write(key_of(hash), [hash, r = std::move(response), boot = boot_](Connection& db) {
    return sql::finish_consume(db, hash, r, *boot);
  });
}

void SqlStore::keep_answer(PaymentHash hash, StoredResponse response) {
  post_answer(hash, std::make_shared<const StoredResponse>(std::move(response)), {});
}

void SqlStore::post_answer(PaymentHash hash, std::shared_ptr<const StoredResponse> response,
                           UniqueFunction<void(const Error&)> failed) {
  const std::uint64_t key = key_of(hash);
  lanes_->writer(key).post(
      key, "answer_not_kept",
      [hash, r = std::move(response), boot = boot_](Connection& db) {
        return sql::finish_consume(db, hash, *r, *boot);
      },
      std::move(failed));
}

Task<Result<bool>> SqlStore::claim_nonce(std::string scope, Digest nonce, UnixMillis keep_until) {
  const std::uint64_t key = key_of(as_text(ByteView(nonce)));
  return write<bool>(key, [s = std::move(scope), nonce, keep_until](Connection& db) {
    return sql::claim_nonce(db, s, nonce, keep_until);
  });
}

// --- L402

Task<Result<>> SqlStore::revoke_token(TokenId id, UnixMillis keep_until, UnixMillis now) {
  return write(key_of(as_text(id.bytes())), [id, keep_until, now](Connection& db) {
    return sql::revoke_token(db, id, keep_until, now);
  });
}

Task<Result<std::vector<TokenId>>> SqlStore::revoked_tokens() {
  return read<std::vector<TokenId>>([](Connection& db) { return sql::revoked_tokens(db); });
}

// --- counters

Task<Result<bool>> SqlStore::take_free(std::string service, std::string client, std::int64_t limit,
                                       Millis window, UnixMillis now) {
  const std::uint64_t key = key_of(client);
  return write<bool>(
      key, [s = std::move(service), c = std::move(client), limit, window, now](Connection& db) {
        return sql::take_free(db, s, c, limit, window, now);
      });
}

// --- small durable values

Task<Result<Secret>> SqlStore::get_or_put_secret(std::string name, Secret initial) {
  const std::uint64_t key = key_of(name);
  return write<Secret>(key, [n = std::move(name), s = std::move(initial), now = clock_.now()](
                                Connection& db) { return sql::get_or_put_secret(db, n, s, now); });
}

Task<Result<std::optional<std::string>>> SqlStore::get_value(std::string name) {
  return read<std::optional<std::string>>(
      [n = std::move(name)](Connection& db) { return sql::get_value(db, n); });
}

Task<Result<>> SqlStore::put_value(std::string name, std::string value) {
  const std::uint64_t key = key_of(name);
  return write(key, [n = std::move(name), v = std::move(value)](Connection& db) {
    return sql::put_value(db, n, v);
  });
}

// --- upkeep

Task<Result<PruneReport>> SqlStore::prune(UnixMillis now, Retention keep) {
  PruneReport total;
  for (bool more = true; more;) {
    OCTROI_CO_TRY(const PruneStep step, co_await write<PruneStep>(0, [now, keep](Connection& db) {
                    return prune_step(db, now, keep);
                  }));
    total.invoices += step.report.invoices;
    total.transactions += step.report.transactions;
    total.consumed += step.report.consumed;
    total.settled += step.report.settled;
    total.sessions += step.report.sessions;
    total.approvals += step.report.approvals;
    more = step.more;
  }
  co_return total;
}

Task<Result<int>> SqlStore::tell_sales(int limit) {
  return lanes_->writer(SqlJournal::kKey)
      .call<int>(SqlJournal::kKey,
                 [tip = journal_.tip(), now = journal_.now(), limit](Connection& db) {
                   return sql::tell_sales(db, *tip, now, limit);
                 });
}

Task<Result<>> SqlStore::ping() {
  return write(key_of(kPingName), [now = clock_.now()](Connection& db) {
    return sql::put_value(db, kPingName, std::to_string(now.value));
  });
}

}  // namespace octroi::sql
