#include "octroi/ledger/memory_store.h"

#include <algorithm>
#include <limits>

namespace octroi::ledger {

void MemoryStore::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
  journal_.set_unavailable(yes);
  spends_.set_unavailable(yes);
  vault_keys_.set_unavailable(yes);
  vault_policies_.set_unavailable(yes);
  approvals_.set_unavailable(yes);
}

void MemoryStore::restart() {
  const std::scoped_lock lock(mutex_);
  for (auto& [hash, consumed] : consumed_) consumed.record.delivering_here = false;
  sessions_.restart_locked();
  journal_.restart("memory-" + std::to_string(++starts_));
  for (auto& [id, row] : reports_.rows_) row.ours = false;
}

std::size_t MemoryStore::operations() const {
  const std::scoped_lock lock(mutex_);
  return operations_;
}

std::size_t MemoryStore::invoice_count() const {
  const std::scoped_lock lock(mutex_);
  return invoices_.size();
}

Result<> MemoryStore::begin() {
  ++operations_;
  if (unavailable_) return fail(Errc::unavailable, "the store cannot commit");
  return {};
}

Task<Result<>> MemoryStore::record_invoices(std::vector<InvoiceRecord> invoices) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  for (const InvoiceRecord& r : invoices) invoices_.try_emplace(r.hash, Invoice{r, r.expires, {}});
  co_return Result<>{};
}

Task<Result<std::optional<InvoiceRecord>>> MemoryStore::find_invoice(PaymentHash hash) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto it = invoices_.find(hash);
  if (it == invoices_.end()) co_return std::optional<InvoiceRecord>{};
  co_return std::optional<InvoiceRecord>{it->second.record};
}

Task<Result<bool>> MemoryStore::is_consumed(PaymentHash hash) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return consumed_.contains(hash);
}

Task<Result<>> MemoryStore::record_transactions(std::vector<TransactionRecord> rows) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  for (TransactionRecord& row : rows) {
    const auto invoice = invoices_.find(row.hash);
    if (invoice != invoices_.end() && invoice->second.booked) continue;
    const auto [known, added] = transaction_ids_.try_emplace({row.hash, row.scheme}, next_id_);
    if (!added) continue;
    Transaction t{next_id_++, std::move(row), TransactionState::pending, {}};
    if (invoice != invoices_.end() && invoice->second.settled) {
      t.state = TransactionState::settled;
      t.settled = invoice->second.settled;
      count_locked(t);
    }
    transactions_.emplace(t.id, std::move(t));
  }
  co_return Result<>{};
}

bool MemoryStore::settle_locked(const PaymentHash& hash, UnixMillis when) {
  bool first = false;
  if (const auto it = invoices_.find(hash); it != invoices_.end() && !it->second.settled) {
    it->second.settled = when;
    first = true;
  }
  for (Scheme scheme : {Scheme::l402, Scheme::mpp_charge, Scheme::mpp_session}) {
    const auto id = transaction_ids_.find({hash, scheme});
    if (id == transaction_ids_.end()) continue;
    Transaction& t = transactions_.at(id->second);
    if (t.state == TransactionState::settled) continue;
    t.state = TransactionState::settled;
    t.settled = when;
    count_locked(t);
    first = true;
  }
  return first;
}

void MemoryStore::count_locked(const Transaction& settled) {
  const std::int64_t when = settled.settled->value;
  auto& [sales, amount] = revenue_[{UnixMillis{when - when % kDay.count()}, settled.record.service,
                                    settled.record.scheme}];
  ++sales;
  amount = amount.plus(settled.record.amount).value_or(amount);
}

/// A sale whose challenge left no row.
void MemoryStore::book_locked(const ConsumeRequest& sale) {
  if (invoices_.at(sale.hash).booked) return;
  const auto [known, added] = transaction_ids_.try_emplace({sale.hash, sale.scheme}, next_id_);
  if (!added) return;
  TransactionRecord row;
  row.hash = sale.hash;
  row.service = sale.service;
  row.scheme = sale.scheme;
  row.amount = invoices_.at(sale.hash).record.amount;
  if (sale.scheme != Scheme::l402) row.challenge_id = sale.challenge_id;
  row.token_id = sale.token_id;
  row.request_id = sale.request_id;
  row.created = sale.now;
  row.expires = sale.keep_until;
  Transaction t{next_id_, std::move(row), TransactionState::settled, sale.now};
  count_locked(t);
  transactions_.emplace(next_id_, std::move(t));
  ++next_id_;
}

Task<Result<bool>> MemoryStore::settle(PaymentHash hash, UnixMillis when) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return settle_locked(hash, when);
}

namespace {
bool matches(const TransactionFilter& f, const Transaction& t) {
  if (!f.service.empty() && f.service != t.record.service) return false;
  if (f.scheme && *f.scheme != t.record.scheme) return false;
  if (f.state && *f.state != t.state) return false;
  if (f.from && t.record.created < *f.from) return false;
  if (f.to && t.record.created >= *f.to) return false;
  return f.before_id == 0 || t.id < f.before_id;
}
}  // namespace

Task<Result<std::vector<Transaction>>> MemoryStore::list_transactions(TransactionFilter filter) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto limit = static_cast<std::size_t>(std::clamp(filter.limit, 1, 1000));
  std::vector<Transaction> out;
  for (auto it = transactions_.rbegin(); it != transactions_.rend() && out.size() < limit; ++it) {
    if (matches(filter, it->second)) out.push_back(it->second);
  }
  co_return out;
}

Task<Result<std::vector<Revenue>>> MemoryStore::revenue(RevenueFilter filter) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Revenue> out;
  for (const auto& [key, sum] : revenue_) {
    const auto& [day, service, scheme] = key;
    if (!filter.service.empty() && filter.service != service) continue;
    if ((filter.from && day + kDay <= *filter.from) || (filter.to && day >= *filter.to)) continue;
    out.push_back({service, scheme, day, sum.first, sum.second});
  }
  co_return out;
}

Task<Result<>> MemoryStore::extend_invoice(PaymentHash hash, UnixMillis keep_until) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  if (const auto it = invoices_.find(hash); it != invoices_.end()) {
    it->second.keep_until = std::max(it->second.keep_until, keep_until);
  }
  co_return Result<>{};
}

std::optional<ConsumeOutcome> MemoryStore::seen_locked(const ConsumeRequest& request) const {
  if (!invoices_.contains(request.hash)) {
    return ConsumeOutcome{ConsumeState::unknown_hash, std::nullopt};
  }
  const auto it = consumed_.find(request.hash);
  if (it == consumed_.end()) return std::nullopt;
  return judge_again(it->second.record, request);
}

ConsumeOutcome MemoryStore::claim_locked(ConsumeRequest request) {
  settle_locked(request.hash, request.now);
  book_locked(request);
  remember_locked(std::move(request));
  return {ConsumeState::fresh, std::nullopt};
}

void MemoryStore::remember_locked(ConsumeRequest request) {
  ConsumedRecord record{request.scheme,           std::move(request.challenge_id),
                        request.payload,          std::move(request.idempotency_key),
                        /*delivering_here=*/true, std::nullopt};
  consumed_.emplace(request.hash, Consumed{std::move(record), request.keep_until});
}

Task<Result<ConsumeOutcome>> MemoryStore::consume(ConsumeRequest request) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  if (auto seen = seen_locked(request)) co_return *std::move(seen);
  co_return claim_locked(std::move(request));
}

Result<> MemoryStore::finish_locked(const PaymentHash& hash, StoredResponse response) {
  const auto it = consumed_.find(hash);
  if (it == consumed_.end() || !it->second.record.delivering_here) {
    return fail(Errc::not_pending, "this process is not delivering over that payment hash");
  }
  if (!response.body_kept) response.body.clear();
  it->second.record.response = std::move(response);
  it->second.record.delivering_here = false;
  return {};
}

Task<Result<>> MemoryStore::finish_consume(PaymentHash hash, StoredResponse response) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return finish_locked(hash, std::move(response));
}

void MemoryStore::keep_answer(PaymentHash hash, StoredResponse response) {
  const std::scoped_lock lock(mutex_);
  if (begin()) static_cast<void>(finish_locked(hash, std::move(response)));
}

Task<Result<bool>> MemoryStore::claim_nonce(std::string scope, Digest nonce,
                                            UnixMillis keep_until) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return nonces_.try_emplace({std::move(scope), nonce}, keep_until).second;
}

Task<Result<>> MemoryStore::revoke_token(TokenId id, UnixMillis keep_until, UnixMillis /*now*/) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  UnixMillis& until = revoked_.try_emplace(id, keep_until).first->second;
  until = std::max(until, keep_until);
  co_return Result<>{};
}

Task<Result<std::vector<TokenId>>> MemoryStore::revoked_tokens() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<TokenId> out;
  for (const auto& [id, until] : revoked_) out.push_back(id);
  co_return out;
}

Task<Result<bool>> MemoryStore::take_free(std::string service, std::string client,
                                          std::int64_t limit, Millis window, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  if (limit <= 0) co_return false;
  auto [it, added] = free_.try_emplace({std::move(service), std::move(client)});
  FreeWindow& w = it->second;
  if (added || w.start + window <= now) w = {now, now + window, 0};
  if (w.used >= limit) co_return false;
  ++w.used;
  co_return true;
}

Task<Result<Secret>> MemoryStore::get_or_put_secret(std::string name, Secret initial) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto it = secrets_.try_emplace(std::move(name), std::move(initial)).first;
  co_return it->second.clone();
}

Task<Result<std::optional<std::string>>> MemoryStore::get_value(std::string name) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto it = values_.find(name);
  if (it == values_.end()) co_return std::optional<std::string>{};
  co_return std::optional<std::string>{it->second};
}

Task<Result<>> MemoryStore::put_value(std::string name, std::string value) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  values_.insert_or_assign(std::move(name), std::move(value));
  co_return Result<>{};
}

bool MemoryStore::invoice_needed(const PaymentHash& hash, const Invoice& invoice,
                                 UnixMillis horizon) const {
  if (invoice.keep_until > horizon || sessions_.contains_locked(hash)) return true;
  if (const auto it = consumed_.find(hash);
      it != consumed_.end() && it->second.keep_until > horizon) {
    return true;
  }
  const auto token = transaction_ids_.find({hash, Scheme::l402});
  return invoice.settled && token != transaction_ids_.end() &&
         transactions_.at(token->second).state == TransactionState::settled;
}

namespace {
constexpr UnixMillis kForever{std::numeric_limits<std::int64_t>::max()};
}

void MemoryStore::prune_settled_locked(UnixMillis horizon, PruneReport& report) {
  for (auto it = transactions_.begin(); it != transactions_.end();) {
    const Transaction& t = it->second;
    if (!t.settled || *t.settled > horizon) {
      ++it;
      continue;
    }
    if (const auto invoice = invoices_.find(t.record.hash); invoice != invoices_.end()) {
      invoice->second.booked = true;
      // Its token may live for any time.
      if (t.record.scheme == Scheme::l402) invoice->second.keep_until = kForever;
    }
    transaction_ids_.erase({t.record.hash, t.record.scheme});
    it = transactions_.erase(it);
    ++report.settled;
  }
}

void MemoryStore::prune_sessions_locked(UnixMillis horizon, PruneReport& report) {
  for (const PaymentHash& id : sessions_.prune_locked(horizon)) {
    ++report.sessions;
    report.consumed += static_cast<std::int64_t>(consumed_.erase(id));
    report.invoices += static_cast<std::int64_t>(invoices_.erase(id));
  }
}

Task<Result<PruneReport>> MemoryStore::prune(UnixMillis now, Retention keep) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const UnixMillis horizon = now - keep.expired;
  PruneReport report;
  if (keep.sessions) prune_sessions_locked(now - *keep.sessions, report);
  if (keep.transactions) prune_settled_locked(now - *keep.transactions, report);
  for (auto it = invoices_.begin(); it != invoices_.end();) {
    if (invoice_needed(it->first, it->second, horizon)) {
      ++it;
      continue;
    }
    report.consumed += static_cast<std::int64_t>(consumed_.erase(it->first));
    it = invoices_.erase(it);
    ++report.invoices;
  }
  for (auto it = transactions_.begin(); it != transactions_.end();) {
    const Transaction& t = it->second;
    if (t.state == TransactionState::settled || t.record.expires > horizon) {
      ++it;
      continue;
    }
    transaction_ids_.erase({t.record.hash, t.record.scheme});
    it = transactions_.erase(it);
    ++report.transactions;
  }
  report.consumed += static_cast<std::int64_t>(
      std::erase_if(nonces_, [&](const auto& n) { return n.second <= horizon; }));
  std::erase_if(revoked_, [&](const auto& r) { return r.second <= horizon; });
  std::erase_if(free_, [&](const auto& f) { return f.second.end <= horizon; });
  bundles_.prune_locked(horizon);
  if (keep.approvals) report.approvals = approvals_.prune(now - *keep.approvals);
  co_return report;
}

Task<Result<>> MemoryStore::ping() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return Result<>{};
}

}  // namespace octroi::ledger
