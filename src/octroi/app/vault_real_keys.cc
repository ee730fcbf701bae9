// The part of the vault door in which real keys of vendors give way to new ones.

#include <utility>

#include "octroi/app/vault_door.h"
#include "octroi/app/vault_rotation.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {
constexpr std::string_view kModule = "vault";
constexpr Millis kTryAgain{1'000};
}  // namespace

void VaultDoor::start_rotation() {
  shared_.real_key_refused = [this](std::string vendor, std::int64_t version, std::string call) {
    loop_.post([this, v = std::move(vendor), version, c = std::move(call)]() mutable {
      if (!told_refused_.emplace(v, version).second) return;
      loop_.tasks().start(told_of_refused_key(std::move(v), version, std::move(c)));
    });
  };
}

/// Once for each version: nothing goes back by itself.
Task<void> VaultDoor::told_of_refused_key(std::string vendor, std::int64_t version,
                                          std::string call) {
  OCTROI_LOG(error, kModule, "ALARM: the vendor refuses the real key that was rotated to",
             {{"vendor", vendor},
              {"call", call},
              {"fix", "octroi vault rollback " + vendor + " goes back to the one before"}});
  shared_.metrics
      .counter("octroi_vault_alarms_total",
               "Uses of canary keys, and real keys that vendors refuse.",
               {{"reason", "real_key_refused"}})
      .add(1);
  json::Writer w;
  w.begin_object().field("reason", "real_key_refused").field("vendor", vendor);
  w.field("call", call).end_object();
  webhook_.send("alarm.real_key", std::move(w).take());
  audit::Event e;
  e.id = std::move(call);
  e.vendor = std::move(vendor);
  e.reason = "real_key_refused";
  e.details.emplace_back("version", std::to_string(version));
  co_await record_alarm(std::move(e));
}

Task<Result<std::string>> VaultDoor::rotate_real(std::string vendor, std::string request) {
  OCTROI_CO_TRY(auto wanted, RealKeyRotation::from_json(request));
  RotationMeans means{&store_, &own_clients_, settings_, [this] { return spread_snapshot(); }};
  OCTROI_CO_TRY(auto answer,
                co_await rotate_real_key(std::move(means), std::move(vendor), std::move(wanted)));
  OCTROI_CO_CHECK(co_await spread_snapshot());
  co_return answer;
}

Task<Result<std::string>> VaultDoor::roll_back_real(std::string vendor) {
  OCTROI_CO_TRY(auto answer, co_await roll_back_real_key(&store_, settings_, std::move(vendor),
                                                         system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_snapshot());
  co_return answer;
}

/// What another process changed, and what is over. A snapshot that could not be made is tried
/// again.
Task<void> VaultDoor::look_at_real_keys() {
  if (snapshot_due_ && *snapshot_due_ <= loop_.now()) std::ignore = co_await spread_snapshot();
  const UnixMillis now = system_clock().now();
  if (!next_wipe_ || *next_wipe_ > now) co_return;
  auto wiped = co_await wipe_real_keys(&store_, now);
  if (wiped) {
    next_wipe_.reset();  // the next snapshot says when there is something again
    snapshot_due_ = loop_.now();
    co_return;
  }
  next_wipe_ = now + kTryAgain;
  OCTROI_LOG(error, kModule, "a real key that is over is still there",
             {{"error", wiped.error().message()}});
}

admin::RealKeyActions VaultDoor::real_keys() {
  admin::RealKeyActions out;
  out.show = [this](std::string vendor) {
    return show_real_keys(&store_, settings_, std::move(vendor));
  };
  out.rotate = [this](std::string vendor, std::string request) {
    return rotate_real(std::move(vendor), std::move(request));
  };
  out.roll_back = [this](std::string vendor) { return roll_back_real(std::move(vendor)); };
  return out;
}

}  // namespace octroi::app
