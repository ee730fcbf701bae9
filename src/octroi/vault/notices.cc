#include "octroi/vault/notices.h"

#include "octroi/json/writer.h"

namespace octroi::vault {

std::string_view to_string(Notice::Kind kind) {
  switch (kind) {
    case Notice::Kind::cap_reached:
      return "cap.reached";
    case Notice::Kind::spend_unknown:
      return "spend.unknown";
  }
  return "";
}

std::string to_json(const Notice& n) {
  json::Writer w;
  w.begin_object().field("call", n.call).field("key_id", n.key_id);
  if (!n.agent.empty()) w.field("agent", n.agent);
  if (!n.run.empty()) w.field("run", n.run);
  w.field("policy", n.policy).field("vendor", n.vendor).field("operation", n.operation);
  w.field("amount", format(n.amount));
  if (!n.period.empty()) w.field("per", n.period).field("limit", n.limit);
  if (n.resets_at) w.field("resets_at", to_rfc3339(*n.resets_at));
  w.end_object();
  return std::move(w).take();
}

bool OncePerWindow::first(const std::string& window) {
  const std::lock_guard lock(mutex_);
  if (seen_.find(window) != nullptr) return false;
  seen_.put(window, true);
  return true;
}

}  // namespace octroi::vault
