#include "octroi/vault/packs/mcp/methods.h"

#include <algorithm>
#include <array>

namespace octroi::vault::mcp {

namespace {

constexpr std::array<std::string_view, 16> kRequests = {"initialize",
                                                        "ping",
                                                        "tools/list",
                                                        "resources/list",
                                                        "resources/templates/list",
                                                        "resources/read",
                                                        "resources/subscribe",
                                                        "resources/unsubscribe",
                                                        "prompts/list",
                                                        "prompts/get",
                                                        "completion/complete",
                                                        "logging/setLevel",
                                                        "tasks/get",
                                                        "tasks/list",
                                                        "tasks/result",
                                                        "tasks/cancel"};
constexpr std::array<std::string_view, 5> kNotifications = {
    "notifications/initialized", "notifications/cancelled", "notifications/progress",
    "notifications/roots/list_changed", "notifications/tasks/status"};

}  // namespace

std::string operation_of(const Message& message) {
  const auto known = [&](const auto& names) {
    return std::ranges::find(names, message.method) != names.end();
  };
  switch (message.kind) {
    case Message::Kind::answer:
      return std::string(kAnswer);
    case Message::Kind::request:
      if (!known(kRequests)) return {};
      break;
    case Message::Kind::notification:
      if (!known(kNotifications)) return {};
      break;
  }
  std::string out = std::string(kProtocol) + message.method;
  std::ranges::replace(out, '/', '.');
  return out;
}

std::string_view named_in(const Message& message) {
  if (!message.params) return {};
  const auto value =
      message.params->find(message.method.starts_with("resources/") ? "uri" : "name");
  return value ? value->as_string().value_or("") : std::string_view();
}

}  // namespace octroi::vault::mcp
