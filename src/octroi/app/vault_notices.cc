// What the webhook hears of calls and keys: caps that are full, outcomes that nobody knows, keys
// that end. One message for what happened, not one for each call or key: a loop must not become a
// flood.

#include <algorithm>
#include <utility>

#include "octroi/app/vault_door.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {
constexpr std::size_t kNamedKeys = 100;  // of a change that takes more, the rest is counted
}  // namespace

void VaultDoor::start_notices() {
  shared_.notice = [this](vault::Notice notice) {
    // Here, on the worker: the control loop hears nothing of the calls after the first.
    if (!notice.window.empty() && !windows_.first(notice.window)) return;
    loop_.post([this, n = std::move(notice)] {
      webhook_.send(std::string(vault::to_string(n.kind)), vault::to_json(n));
    });
  };
}

/// Calls whose process died: nobody was left to say it of each.
void VaultDoor::told_of_sweep(std::int64_t orphaned) {
  if (orphaned == 0) return;
  json::Writer w;
  w.begin_object().field("reason", "process_died").field("count", orphaned).end_object();
  webhook_.send("spend.unknown", std::move(w).take());
}

void VaultDoor::told_of_change(const std::vector<std::string>& ids, ledger::VaultKeyState state,
                               std::string_view by) {
  if (ids.empty() || state == ledger::VaultKeyState::active) return;
  json::Writer w;
  w.begin_object().field("by", by);
  w.field("count", static_cast<std::int64_t>(ids.size())).key("keys").begin_array();
  for (std::size_t i = 0; i < std::min(ids.size(), kNamedKeys); ++i) {
    const ledger::VaultKey* key = book_->by_id(ids[i]);
    w.begin_object().field("id", ids[i]);
    if (key != nullptr) {
      w.field("name", key->name).field("vendor", key->vendor).field("policy", key->policy);
      w.field("agent", key->agent).field("run", key->run);
    }
    w.end_object();
  }
  w.end_array().end_object();
  webhook_.send("key." + std::string(ledger::to_string(state)), std::move(w).take());
}

}  // namespace octroi::app
