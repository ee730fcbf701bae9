// octroi/upstream/attempt.h: one request's way to an address: picks one, opens a connection there
// or at the next one, and tells the group how it went.
//
//   Attempt attempt(balancer, client, protocol, timeouts, clock);
//   options.connector = &attempt;
//   attempt.ended(co_await http::relay(exchange, client, std::move(options)));
//
// A connection that cannot be made costs a request nothing but time: the next address is asked, for
// at most twice the connect timeout. Errors: Errc::busy when every address is full; otherwise what
// the last address said (http.connect_failed, http.tls_failed).
//
// Thread  the worker's. The balancer and the client outlive it.
#pragma once

#include <memory>
#include <optional>

#include "octroi/base/clock.h"
#include "octroi/http/client.h"
#include "octroi/http/relay.h"
#include "octroi/upstream/balancer.h"
#include "octroi/upstream/errors.h"

namespace octroi::upstream {

class Attempt final : public http::Connector {
 public:
  Attempt(Balancer& balancer, http::Client& client, http::Protocol protocol,
          http::ClientTimeouts timeouts, Clock& clock)
      : balancer_(balancer),
        client_(client),
        protocol_(protocol),
        timeouts_(timeouts),
        clock_(clock) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() override { leave(); }

  using Connection = std::unique_ptr<http::ClientExchange>;
  Task<Result<Connection>> connect() override { return open(Freshness::pooled); }
  /// For a request that is paid for once and cannot be sent twice (Client::open_surely).
  Task<Result<Connection>> connect_surely() { return open(Freshness::sure); }
  Task<Result<Connection>> reconnect(bool reused) override;
  [[nodiscard]] bool has_another() const noexcept override { return tried_ != balancer_.all(); }

  /// How the exchange on the last connection ended.
  void ended(const http::RelayResult& result);

  /// The address of the last connection; null before there was one.
  [[nodiscard]] const AddressState* address() const noexcept {
    return current_ ? &balancer_.state(*current_) : nullptr;
  }

 private:
  enum class Freshness : std::uint8_t { pooled, sure, fresh };
  [[nodiscard]] bool next();
  [[nodiscard]] std::optional<std::size_t> pick(UnixMillis now) const;
  Task<Result<Connection>> open(Freshness freshness);
  Task<Result<Connection>> open_at(std::size_t address, Freshness freshness);
  Task<Result<Connection>> go_on(Task<Result<Connection>> opening, Freshness freshness);
  void leave() noexcept;
  [[nodiscard]] const PassiveSettings& passive() const noexcept {
    return balancer_.group().policy.passive;
  }

  Balancer& balancer_;
  http::Client& client_;
  http::Protocol protocol_;
  http::ClientTimeouts timeouts_;
  Clock& clock_;
  AddressSet tried_ = 0;
  AddressSet closed_ = 0;  // ended a kept connection before it answered: asked after good ones
  std::optional<std::size_t> current_;
  bool busy_ = false;     // an address was passed over because it is full
  bool doubted_ = false;  // its standing was not good when it was picked
};

}  // namespace octroi::upstream
