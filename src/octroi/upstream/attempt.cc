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

/// A good address that closed no connection of this request; or else any that was not tried.
std::optional<std::size_t> Attempt::pick(UnixMillis now) const {
  if (closed_ != 0) {
    const auto other = balancer_.pick(tried_ | closed_, now);
    if (other && balancer_.state(*other).standing(now) == Standing::good) return other;
  }
  return balancer_.pick(tried_, now);
}

/// To the next address that has room. False: there is none.
bool Attempt::next() {
  const UnixMillis now = clock_.now();
  while (const auto address = pick(now)) {
    tried_ |= bit(*address);
    if (!balancer_.enter(*address)) {
      busy_ = true;
      continue;
    }
    current_ = address;
    doubted_ = balancer_.state(*address).standing(now) != Standing::good;
    return true;
  }
  return false;
}

/// Most requests find a connection in the pool of the first address: no coroutine for them.
Task<Result<Attempt::Connection>> Attempt::open(Freshness freshness) {
  if (!next()) {
    return Task<Result<Connection>>::done(Result<Connection>(
        busy_ ? fail(Errc::busy, "every address has as many requests as it may have")
              : fail(Errc::no_more, "every address was tried")));
  }
  auto opening = open_at(*current_, freshness);
  if (!opening.is_done()) return go_on(std::move(opening), freshness);
  auto opened = std::move(opening).take();
  if (!opened) {
    return go_on(Task<Result<Connection>>::done(std::move(opened)), freshness);
  }
  balancer_.state(*current_).asked();
  return Task<Result<Connection>>::done(std::move(opened));
}

Task<Result<Attempt::Connection>> Attempt::go_on(Task<Result<Connection>> opening,
                                                 Freshness freshness) {
  const Millis deadline = client_.loop().now() + 2 * timeouts_.connect;
  for (;;) {
    auto opened = co_await std::move(opening);
    AddressState& state = balancer_.state(*current_);
    if (opened) {
      state.asked();
      co_return opened;
    }
    leave();
    state.unreachable(passive(), clock_.now());
    if (client_.loop().now() >= deadline || !next()) co_return opened;
    opening = open_at(*current_, freshness);
  }
}

Task<Result<Attempt::Connection>> Attempt::open_at(std::size_t address, Freshness freshness) {
  http::Origin origin = balancer_.state(address).origin();
  origin.protocol = protocol_;
  if (freshness == Freshness::sure) return client_.open_surely(std::move(origin), timeouts_);
  return client_.open_with(std::move(origin), timeouts_, freshness == Freshness::fresh);
}

Task<Result<Attempt::Connection>> Attempt::reconnect(bool reused) {
  if (current_) {
    if (reused) {
      // Perhaps only idle for too long, perhaps dying: a process that is killed still accepts
      // while its connections are closed. The next try is the last, so another comes first.
      tried_ &= ~bit(*current_);
      closed_ |= bit(*current_);
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
