#include "octroi/upstream/attempt.h"

#include <utility>

namespace octroi::upstream {

namespace {

bool is_outage(int status) { return status == 502 || status == 503 || status == 504; }

}  // namespace

void Attempt::leave() noexcept {
  if (current_) balancer_.leave(*current_);
  current_.reset();
}

Task<Result<std::unique_ptr<http::ClientExchange>>> Attempt::open(Freshness freshness) {
  const Millis deadline = client_.loop().now() + 2 * timeouts_.connect;
  std::optional<Error> failure;
  bool busy = false;
  for (;;) {
    const UnixMillis now = clock_.now();
    const auto address = balancer_.pick(tried_, now);
    if (!address) break;
    tried_ |= AddressSet{1} << *address;
    if (!balancer_.enter(*address)) {
      busy = true;
      continue;
    }
    current_ = address;
    AddressState& state = balancer_.state(*address);
    doubted_ = state.standing(now) != Standing::good;
    auto opened = co_await open_at(*address, freshness);
    if (opened) {
      state.asked();
      co_return std::move(*opened);
    }
    leave();
    state.unreachable(passive(), clock_.now());
    failure = std::move(opened).error();
    if (client_.loop().now() >= deadline) break;
  }
  if (failure) co_return fail(std::move(*failure));
  if (busy) co_return fail(Errc::busy, "every address has as many requests as it may have");
  co_return fail(Errc::no_more, "every address was tried");
}

Task<Result<std::unique_ptr<http::ClientExchange>>> Attempt::open_at(std::size_t address,
                                                                     Freshness freshness) {
  http::Origin origin = balancer_.state(address).origin();
  origin.protocol = protocol_;
  if (freshness == Freshness::sure) return client_.open_surely(std::move(origin), timeouts_);
  return client_.open_with(std::move(origin), timeouts_, freshness == Freshness::fresh);
}

Task<Result<std::unique_ptr<http::ClientExchange>>> Attempt::reconnect(bool reused) {
  if (current_) {
    if (reused) {
      // Perhaps only idle for too long: the address is as good as any.
      tried_ &= ~(AddressSet{1} << *current_);
    } else {
      balancer_.state(*current_).failed(passive(), clock_.now());
    }
  }
  leave();
  return open(Freshness::fresh);
}

void Attempt::ended(const http::RelayResult& result) {
  if (!current_) return;
  AddressState& state = balancer_.state(*current_);
  if (result.upstream_fault || is_outage(result.status)) {
    state.failed(passive(), clock_.now());
  } else if (result.status != 0) {
    state.succeeded(doubted_);
  }
  leave();
}

}  // namespace octroi::upstream
