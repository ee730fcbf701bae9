#include "octroi/vault/tokens.h"

#include <algorithm>
#include <map>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/http/client.h"
#include "octroi/net/loop.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kModule = "vault";
constexpr std::uint64_t kLongestAnswer = std::uint64_t{64} * 1024;
constexpr Millis kDeadline{10'000};
constexpr Millis kLook{10};          // how often who waits looks
constexpr Millis kPause{1'000};      // after a failure that may pass
constexpr Millis kLongPause{2'000};  // after a refusal
constexpr Millis kMargin{60'000};    // before its end; of short-lived ones, a quarter of their life
constexpr Millis kDoubtAfter{60'000};
constexpr std::size_t kMostBefore = 8;

/// Tells the cell in any case, also when the call that mints is given up.
class Turn {
 public:
  Turn(TokenCell& cell, Clock& clock) : cell_(&cell), clock_(clock) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (cell_ != nullptr)
      cell_->end(fail(Errc::upstream_failed, "the call that asked for a token was given up"),
                 clock_.now());
  }
  void end(Result<MintedToken> minted) {
    std::exchange(cell_, nullptr)->end(std::move(minted), clock_.now());
  }

 private:
  TokenCell* cell_;
  Clock& clock_;
};

Task<Result<MintedToken>> mint(VendorClients* clients, const Vendor* vendor, UnixMillis now,
                               std::string id) {
  OCTROI_CO_TRY(auto request, vendor->pack->grant()->request(*vendor->real, now, id));
  auto got =
      co_await clients->token_client(*vendor).fetch(std::move(request), kLongestAnswer, kDeadline);
  // Messages of the layers below may speak of what was sent.
  if (!got) co_return fail(Errc::upstream_failed, "the token endpoint cannot be reached");
  auto read = read_token(got->status, got->body);
  secure_wipe(got->body.data(), got->body.size());
  co_return read;
}

}  // namespace

std::shared_ptr<TokenCell> TokenCell::of(const std::string& identity) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<TokenCell>> cells;
  const std::scoped_lock lock(mutex);
  std::erase_if(cells, [](const auto& entry) { return entry.second.expired(); });
  auto& known = cells[identity];
  auto cell = known.lock();
  if (cell == nullptr) known = cell = std::make_shared<TokenCell>();
  return cell;
}

bool TokenCell::failed_lately(UnixMillis now) const {
  if (!failed_ || now < failed_at_) return false;
  return now - failed_at_ < (failed_->is(Errc::token_refused) ? kLongPause : kPause);
}

TokenCell::Look TokenCell::look(UnixMillis now, std::uint64_t after,
                                std::optional<std::uint64_t> since) {
  const std::scoped_lock lock(mutex_);
  Look out;
  out.rounds = rounds_;
  const bool ours = since && rounds_ > *since;  // came out of the round that was waited for
  if (current_ != nullptr && current_->number > after) {
    // A clock that went back says nothing about how old a token is.
    const bool good = now < current_->ends && current_->minted - now < kMargin && !doubted_;
    const bool renewing = minting_ || failed_lately(now);
    if ((good && (now < current_->renew_at || renewing)) || (ours && !failed_)) {
      out.token = current_;
      return out;
    }
  }
  if (minting_) return out;
  if (failed_ && (ours || failed_lately(now))) {
    out.failed = failed_;
    return out;
  }
  minting_ = true;
  out.mint = true;
  return out;
}

void TokenCell::end(Result<MintedToken> minted, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  minting_ = false;
  ++rounds_;
  if (!minted) {
    failed_ = std::move(minted).error();
    failed_at_ = now;
    return;
  }
  failed_.reset();
  doubted_ = false;
  if (current_ != nullptr) before_.push_back(std::move(current_));
  std::erase_if(before_, [now](const TokenPtr& t) { return t->ends < now; });
  if (before_.size() > kMostBefore) before_.erase(before_.begin());
  auto made = std::make_shared<Token>();
  made->text = std::move(minted->text);
  made->number = ++numbers_;
  made->minted = now;
  made->ends = now + minted->lifetime;
  made->renew_at = made->ends - std::min(kMargin, minted->lifetime / 4);
  current_ = std::move(made);
}

void TokenCell::doubt(std::uint64_t number, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  if (current_ == nullptr || current_->number != number) return;
  if (now - current_->minted >= kDoubtAfter) doubted_ = true;
}

std::uint64_t TokenCell::version() const {
  const std::scoped_lock lock(mutex_);
  return numbers_;
}

std::vector<TokenPtr> TokenCell::known(UnixMillis now) const {
  const std::scoped_lock lock(mutex_);
  std::vector<TokenPtr> out;
  if (current_ != nullptr) out.push_back(current_);
  for (const TokenPtr& t : before_) {
    if (t->ends >= now) out.push_back(t);
  }
  return out;
}

Task<Result<TokenPtr>> token_for(VendorClients* clients, const Vendor* vendor, Clock* clock,
                                 Random* random, std::uint64_t after) {
  const std::shared_ptr<TokenCell> cell = vendor->tokens;
  net::Loop& loop = clients->token_client(*vendor).loop();
  const Millis give_up = loop.now() + 2 * kDeadline;
  std::optional<std::uint64_t> since;
  for (;;) {
    TokenCell::Look seen = cell->look(clock->now(), after, since);
    if (seen.token != nullptr) co_return std::move(seen.token);
    if (seen.failed) co_return fail(*std::move(seen.failed));
    if (seen.mint) {
      since = seen.rounds;
      Turn turn(*cell, *clock);
      auto minted = co_await mint(clients, vendor, clock->now(), to_hex(random->bytes<16>()));
      if (minted) {
        OCTROI_LOG(info, kModule, "a token was minted",
                   {{"vendor", vendor->settings.name}, {"seconds", minted->lifetime / Seconds(1)}});
      } else {
        OCTROI_LOG(warn, kModule, "no token",
                   {{"vendor", vendor->settings.name}, {"error", minted.error().message()}});
      }
      turn.end(std::move(minted));
      continue;
    }
    if (!since) since = seen.rounds;
    if (loop.now() > give_up)
      co_return fail(Errc::upstream_failed, "the token endpoint does not answer");
    co_await loop.sleep(kLook);
  }
}

}  // namespace octroi::vault
