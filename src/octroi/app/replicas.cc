#include "octroi/app/replicas.h"

#include "octroi/adapters/sql/operations.h"
#include "octroi/app/stores.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {
constexpr std::string_view kModule = "app";
}

Replicas::Replicas(const config::Config& config, Wiring wiring) : wiring_(std::move(wiring)) {
  if (is_shared(config)) start_listener(config);  // first: what Redis says makes it look
  if (config.shared) start_redis(*config.shared);
  if (redis_ || listener_) {
    wiring_.bell.tell_others(
        [this](const PaymentHash& session) { tell({ledger::News::About::session, session}); });
  }
}

Replicas::~Replicas() {
  if (redis_thread_.joinable()) {
    redis_loop_.stop();
    redis_thread_.join();
    redis_loop_.tasks().cancel();
    redis_.reset();
  }
  listener_.reset();
}

// ------------------------------------------------------------------------------------------------
// Redis.

void Replicas::start_redis(const config::SharedSettings& settings) {
  redis::RedisOptions options;
  options.host = settings.place.host;
  options.port = settings.place.port;
  options.user = settings.place.user;
  options.database = settings.place.database;
  options.tls = settings.place.tls;
  options.ca_pem = settings.ca_pem;
  options.password = settings.password;
  redis::Hearing hearing;
  hearing.heard = [this](const ledger::News& news) {
    if (heard(news)) look();
  };
  hearing.missed = [this] { look(); };
  hearing.places = [this] { return wiring_.unpaid.places(system_clock().now()); };
  redis_.emplace(redis_loop_, std::move(options), wiring_.store, system_random(), wiring_.metrics,
                 std::move(hearing));
  wiring_.unpaid.share(*redis_, to_hex(system_random().bytes<8>()));
  redis_loop_.post([this] { redis_loop_.tasks().start(redis_->run()); });
  redis_thread_ = std::thread([this] { redis_loop_.run(); });
}

// ------------------------------------------------------------------------------------------------
// PostgreSQL.

void Replicas::start_listener(const config::Config& config) {
  postgres::ListenerOptions options;
  options.session = session_of(config);
  options.session.timeout = Millis(2'000);  // who waits longer is stale long since
  options.value = std::string(sql::kRevocationsMark);
  listener_ = std::make_unique<postgres::Listener>(
      std::move(options),
      postgres::Listener::Handlers{[this](const postgres::Listener::Look& l) { looked(l); },
                                   [this](const ledger::News& n) { return heard(n); }});
}

/// On the listener's thread. What is published is known to be what the ledger has, or it is read
/// again; meanwhile nothing is confirmed.
void Replicas::looked(const postgres::Listener::Look& look) {
  const std::lock_guard lock(mutex_);
  if (look.first) published_any_ = false;
  if (published_any_ && look.value == published_) {
    fresh_.confirm(look.asked);
    return;
  }
  if (reloading_) return;
  reloading_ = true;
  wiring_.control.post([this, value = look.value] { reloads_.start(reload(value)); });
}

/// `value` was there before what is read now, so the workers know at least what it stands for.
Task<void> Replicas::reload(std::optional<std::string> value) {
  const auto read = co_await wiring_.reload();
  if (!read) {
    OCTROI_LOG(warn, kModule, "revocations not read", {{"error", read.error().message()}});
  }
  {
    const std::lock_guard lock(mutex_);
    reloading_ = false;
    if (read) {
      published_any_ = true;
      published_ = std::move(value);
    }
  }
  if (read) look();  // which confirms it
}

// ------------------------------------------------------------------------------------------------
// News.

bool Replicas::heard(const ledger::News& news) {
  switch (news.about) {
    case ledger::News::About::revocations:
      return true;
    case ledger::News::About::session:
      wiring_.bell.ring_here(news.session);
      return false;
  }
  return false;
}

void Replicas::look() {
  if (listener_) listener_->look();
}

void Replicas::tell(const ledger::News& news) {
  if (redis_ && redis_->up()) {
    redis_->tell(news);
  } else if (listener_) {
    listener_->tell(news);
  }
}

// ------------------------------------------------------------------------------------------------
// Readiness.

Task<Result<>> Replicas::check_redis(Replicas* self) { co_return self->redis_->up(); }

Task<Result<>> Replicas::check_fresh(Replicas* self) {
  if (co_await self->fresh_.wait(self->wiring_.control)) co_return Result<>{};
  co_return fail(ledger::Errc::unavailable,
                 "what other replicas revoked is not known: the ledger was not asked in time");
}

std::vector<admin::Check> Replicas::checks() {
  std::vector<admin::Check> out;
  if (redis_) out.push_back({"redis", [this] { return check_redis(this); }});
  if (listener_) out.push_back({"replicas", [this] { return check_fresh(this); }});
  return out;
}

}  // namespace octroi::app
