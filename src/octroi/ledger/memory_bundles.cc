#include "octroi/ledger/memory_bundles.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/sessions.h"

namespace octroi::ledger {

Bundle* MemoryBundles::find_locked(const TokenId& id) {
  const auto it = ids_.find(id);
  return it == ids_.end() ? nullptr : &by_age_.at(it->second);
}

void MemoryBundles::prune_locked(UnixMillis horizon) {
  std::erase_if(ids_, [&](const auto& entry) {
    const auto it = by_age_.find(entry.second);
    if (it->second.keep_until > horizon) return false;
    by_age_.erase(it);
    return true;
  });
}

Task<Result<OpenBundleOutcome>> MemoryBundles::open_bundle(OpenBundle request) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_units(request.granted));
  if (!request.proof.token_id) co_return fail(Errc::bad_amount, "a bundle has a token's id");
  const TokenId id = *request.proof.token_id;
  Bundle b;
  b.id = id;
  b.hash = request.proof.hash;
  b.service = request.proof.service;
  b.unit = std::move(request.unit);
  b.granted = request.granted;
  b.opened = b.last_used = request.proof.now;
  b.keep_until = request.keep_until;
  OpenBundleOutcome out;
  if (auto seen = store_.seen_locked(request.proof)) {
    out.proof = *std::move(seen);
    if (!tells_the_holder(out.proof.state)) co_return out;
  } else {
    out.proof = store_.claim_locked(std::move(request.proof));
  }
  if (!ids_.contains(id)) {
    b.sold = store_.invoices_.at(b.hash).record.amount;
    ids_.emplace(id, next_age_);
    by_age_.emplace(next_age_++, std::move(b));
  }
  out.bundle = *find_locked(id);
  co_return out;
}

Task<Result<std::optional<Bundle>>> MemoryBundles::find_bundle(TokenId id) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const Bundle* b = find_locked(id);
  co_return b == nullptr ? std::nullopt : std::optional<Bundle>(*b);
}

Task<Result<BundleResult>> MemoryBundles::debit_bundle(TokenId id, std::int64_t units,
                                                       std::int64_t bound, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_units(units));
  Bundle* b = find_locked(id);
  if (b == nullptr) co_return BundleResult{};
  if (b->used + units > std::min(b->granted, bound)) {
    co_return BundleResult{BundleOutcome::exhausted, *b};
  }
  b->used += units;
  b->last_used = std::max(b->last_used, now);
  co_return BundleResult{BundleOutcome::applied, *b};
}

Task<Result<BundleResult>> MemoryBundles::return_units(TokenId id, std::int64_t units,
                                                       UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_units(units));
  Bundle* b = find_locked(id);
  if (b == nullptr) co_return BundleResult{};
  if (b->used < units) co_return BundleResult{BundleOutcome::exhausted, *b};
  b->used -= units;
  b->last_used = std::max(b->last_used, now);
  co_return BundleResult{BundleOutcome::applied, *b};
}

Task<Result<std::vector<Bundle>>> MemoryBundles::list_bundles(BundleFilter filter) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const auto limit = static_cast<std::size_t>(std::clamp(filter.limit, 1, kMostBundles));
  std::int64_t before = next_age_;
  if (filter.before) {
    const auto it = ids_.find(*filter.before);
    before = it == ids_.end() ? 0 : it->second;
  }
  std::vector<Bundle> out;
  for (auto it = by_age_.rbegin(); it != by_age_.rend() && out.size() < limit; ++it) {
    if (it->first >= before) continue;
    if (filter.service.empty() || it->second.service == filter.service) out.push_back(it->second);
  }
  co_return out;
}

Task<Result<std::vector<BundleTotals>>> MemoryBundles::bundle_totals() {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::map<std::pair<std::string, std::string>, BundleTotals> sums;
  for (const auto& [age, b] : by_age_) {
    BundleTotals& t = sums[{b.service, b.unit}];
    t.service = b.service;
    t.unit = b.unit;
    ++t.bundles;
    t.granted += b.granted;
    t.used += b.used;
    OCTROI_CO_TRY(t.sold, t.sold.plus(b.sold));
  }
  std::vector<BundleTotals> out;
  for (auto& [key, t] : sums) out.push_back(std::move(t));
  co_return out;
}

}  // namespace octroi::ledger
