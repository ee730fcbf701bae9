// The part of the vault door that people decide in: tickets, policies of the store, rotation of
// keys, alarms.

#include <utility>

#include "octroi/app/vault_approvals.h"
#include "octroi/app/vault_door.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/app/vault_simulate.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "vault";
constexpr Millis kExpireEvery{1'000};
constexpr Millis kMakeAgain{200};

}  // namespace

void VaultDoor::start_governance() {
  if (store_.approvals() != nullptr) {
    desk_ = std::make_unique<vault::ApprovalDesk>(*store_.approvals(), *store_.journal(),
                                                  shared_.metrics, shared_.clock, shared_.random);
    desk_->on_asked = [this](ledger::Approval ticket) {
      loop_.post([this, t = std::move(ticket)] {
        OCTROI_LOG(info, kModule, "a call waits for approval",
                   {{"ticket", t.id}, {"operation", t.operation}, {"key", t.key_id}});
        webhook_.send("approval.asked", approval_json(t));
      });
    };
    shared_.approvals = desk_.get();
  }
  shared_.alarm = [this](std::string call, std::string key_id, std::string from) {
    loop_.post([this, c = std::move(call), k = std::move(key_id), f = std::move(from)]() mutable {
      loop_.tasks().start(told_of_alarm(std::move(c), std::move(k), std::move(f)));
    });
  };
}

Task<void> VaultDoor::told_of_alarm(std::string call, std::string key_id, std::string from) {
  OCTROI_LOG(error, kModule, "ALARM: a canary key was used", {{"key", key_id}, {"from", from}});
  json::Writer w;
  w.begin_object().field("reason", "canary_used").field("key_id", key_id).field("from", from);
  w.field("call", call).end_object();
  webhook_.send("alarm.canary", std::move(w).take());
  audit::Event e;
  e.id = std::move(call);
  e.key_id = std::move(key_id);
  e.client = std::move(from);
  e.reason = "canary_used";
  co_await record_alarm(std::move(e));
}

Task<void> VaultDoor::record_alarm(audit::Event alarm) {
  alarm.kind = "alarm";
  auto told = co_await store_.journal()->append(std::move(alarm));
  if (!told)
    OCTROI_LOG(error, kModule, "an alarm is missing in the audit",
               {{"error", told.error().message()}});
}

/// Now and then, on the control loop.
Task<void> VaultDoor::look_at_governance() {
  if (desk_ != nullptr && desk_->waiting() > 0) {
    auto version = co_await store_.approvals()->approvals_version();
    if (version) desk_->publish_version(*version);
  }
  if (desk_ != nullptr && loop_.now() - expired_tickets_ >= kExpireEvery) {
    expired_tickets_ = loop_.now();
    auto over = co_await expire_approvals(store_, system_clock().now());
    if (over) {
      for (int i = 0; i < *over; ++i) desk_->count("expired");
    }
  }
}

/// With the real keys that are held already: policies wait for no key of sealing.
Task<Result<>> VaultDoor::spread_snapshot() {
  co_await snapshot_turn_.acquire();
  const Semaphore::Permit turn(snapshot_turn_);
  snapshot_due_.reset();  // what changes from here on is another one
  auto made = co_await make_snapshot(settings_, opened_);
  if (!made) {
    note_snapshot(std::string(made.error().message()), kMakeAgain);
    co_return made;
  }
  co_await hand_out_snapshot();
  co_return Result<>{};
}

Task<Result<std::string>> VaultDoor::policy_changed(Task<Result<std::string>> change) {
  OCTROI_CO_TRY(auto answer, co_await std::move(change));
  OCTROI_CO_CHECK(co_await spread_snapshot());
  co_return answer;
}

Task<Result<std::string>> VaultDoor::decide(std::string id, bool approved, std::string by) {
  OCTROI_CO_TRY(auto answer, co_await decide_approval(store_, settings_.approvals,
                                                      {std::move(id), approved, std::move(by)},
                                                      system_clock().now()));
  if (desk_ != nullptr) {
    desk_->count(approved ? "approved" : "denied");
    auto version = co_await store_.approvals()->approvals_version();
    if (version) desk_->publish_version(*version);
  }
  co_return answer;
}

Task<Result<std::string>> VaultDoor::rotate(std::string id, std::string request) {
  OCTROI_CO_TRY(auto wanted, RotateRequest::from_json(request));
  OCTROI_CO_TRY(auto answer, co_await rotate_key(store_, in_force_, std::move(id),
                                                 std::move(wanted), system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_keys());
  co_return answer;
}

admin::GovernanceActions VaultDoor::governance() {
  admin::GovernanceActions out;
  const auto now = [] { return system_clock().now(); };
  out.list_approvals = [this](std::string state) {
    return list_approvals(store_, std::move(state));
  };
  out.show_approval = [this](std::string id) { return show_approval(store_, std::move(id)); };
  out.decide_approval = [this](std::string id, bool approved, std::string by) {
    return decide(std::move(id), approved, std::move(by));
  };
  out.list_policies = [this] { return list_policies(store_, settings_); };
  out.show_policy = [this](std::string name) {
    return show_policy(store_, settings_, std::move(name));
  };
  out.policy_versions = [this](std::string name) {
    return policy_versions(store_, std::move(name));
  };
  out.policy_usage = [this, now](std::string name) {
    return policy_usage(store_, settings_, std::move(name), now());
  };
  out.policy_windows = [this, now](std::string name, std::optional<UnixMillis> at) {
    return policy_windows(store_, std::move(name), at.value_or(now()));
  };
  out.put_policy = [this, now](std::string name, std::string document,
                               std::optional<std::int64_t> expected) {
    static_assert(kAnyVersion == admin::kWhicheverVersion);
    return policy_changed(
        put_policy(store_, settings_, {std::move(name), std::move(document), expected}, now()));
  };
  out.remove_policy = [this, now](std::string name, std::optional<std::int64_t> expected) {
    if (expected == kAnyVersion) expected.reset();  // what is not there is not removed anyway
    return policy_changed(remove_policy(store_, settings_, std::move(name), expected, now()));
  };
  out.roll_back_policy = [this, now](std::string name, std::int64_t version) {
    return policy_changed(roll_back_policy(store_, settings_, std::move(name), version, now()));
  };
  out.simulate_policy = [this](std::string name, std::string document,
                               std::optional<UnixMillis> from, std::optional<UnixMillis> to) {
    return simulate_policy(store_, settings_, {std::move(name), std::move(document), from, to});
  };
  return out;
}

}  // namespace octroi::app
