// What is counted before anything is paid: free requests and rates.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/paywall/gate_visit.h"

namespace octroi::paywall {

/// Counted by address always; with `by: token` also by the ordinary credential, whose holder then
/// cannot take what others behind the same address have left. Nobody verified that credential, so
/// it never stands for the address: a new one for each request would be free for ever.
Task<bool> Gate::admit_free(Visit& visit) {
  const FreeQuota& free = visit.service->settings.free;
  if (free.requests <= 0 || !visit.credentials.none()) co_return false;
  std::vector<std::string> clients = {visit.client.quota_key().str()};
  if (free.by != CountBy::ip && !visit.credentials.ordinary.empty()) {
    const auto digest = crypto::sha256(as_bytes(visit.credentials.ordinary.front()));
    clients.insert(clients.begin(), "t" + to_hex(ByteView(digest).first(16)));
  }
  for (std::string& client : clients) {
    auto taken =
        co_await shared_.store.take_free(visit.service->settings.name.str(), std::move(client),
                                         free.requests, free.per, visit.started);
    if (!taken) {
      OCTROI_LOG(warn, kModule, "free quota unavailable", {{"error", taken.error().message()}});
      co_return false;  // fail closed: the price is asked
    }
    if (!*taken) co_return false;
  }
  co_return true;
}

namespace {
/// Whose request it is, as a rule counts it: what was paid for, where that can be told, or else the
/// address.
std::string counted_as(const RateLimit& rule, const ClientIdentity& client, const Grant* grant) {
  if (rule.by != CountBy::ip && grant != nullptr) {
    if (grant->token_id) return "t" + grant->token_id->hex();
    if (grant->session) return "s" + grant->session->session.hex();
  }
  return "a" + client.quota_key().str();
}
}  // namespace

/// Every matching rule must have room; when one has not, the others get their token back.
Task<bool> Gate::within_rates(Visit& visit, const Grant* grant) {
  if (visit.service->limits.empty()) return Task<bool>::done(true);
  return take_of_rates(visit, grant);
}

Task<bool> Gate::take_of_rates(Visit& visit, const Grant* grant) {
  if (shared_.state != nullptr) co_return co_await take_of_shared_rates(visit, grant);
  std::vector<std::pair<std::uint64_t, std::string>> taken;
  for (const auto& rule : visit.service->limits) {
    if (!rule.path.matches(visit.path)) continue;
    std::string client = counted_as(rule.limit, visit.client, grant);
    const auto verdict = shared_.rates.take(rule.key, client, rule.limit, visit.started);
    if (verdict.allowed) {
      taken.emplace_back(rule.key, std::move(client));
      continue;
    }
    for (const auto& [key, who] : taken) shared_.rates.give_back(key, who);
    visit.outcome = Outcome::limited;
    co_await refuse(visit, Complaint{429, "the rate limit of this service is reached"},
                    verdict.retry_after);
    co_return false;
  }
  co_return true;
}

/// The same over all replicas, in one step. Who cannot count does not serve.
Task<bool> Gate::take_of_shared_rates(Visit& visit, const Grant* grant) {
  std::vector<ledger::RateBucket> buckets;
  const auto& limits = visit.service->limits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const RateLimit& limit = limits[i].limit;
    if (!limits[i].path.matches(visit.path)) continue;
    buckets.push_back({fmt::format("{} {} {}", visit.service->settings.name.str(), i,
                                   counted_as(limit, visit.client, grant)),
                       limit.requests, limit.per, limit.burst});
  }
  if (buckets.empty()) co_return true;
  const auto room = co_await shared_.state->take_rates(std::move(buckets));
  if (room && room->granted) co_return true;
  visit.outcome = room ? Outcome::limited : Outcome::unavailable;
  co_await refuse(visit,
                  room ? Complaint{429, "the rate limit of this service is reached"}
                       : Complaint{503, "the rate limit of this service cannot be counted now"},
                  room ? room->retry_after : kUncountedRetry);
  co_return false;
}

}  // namespace octroi::paywall
