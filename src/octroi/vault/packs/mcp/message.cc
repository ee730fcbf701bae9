#include "octroi/vault/packs/mcp/message.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/errors.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault::mcp {

namespace {

using json::Value;

constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestId = 256;
constexpr std::size_t kLongestRun = 128;

constexpr std::array<std::string_view, 6> kMembers = {"jsonrpc", "id",     "method",
                                                      "params",  "result", "error"};
constexpr std::array<std::string_view, 4> kCallMembers = {"name", "arguments", "_meta", "task"};

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// A method: "tools/call", "notifications/resources/list_changed".
bool is_method(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '/' || c == '-' || c == '.' || c == '$';
  });
}

bool is_tool(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Result<std::string> read_id(const Value& value) {
  const bool whole = value.kind() == json::Kind::integer || value.kind() == json::Kind::big_integer;
  std::string id = value.is_string() || whole ? value.to_json() : std::string();
  if (id.empty() || id.size() > kLongestId)
    return fail(Errc::ambiguous, "id must be a whole number or a text of at most 256 bytes");
  return id;
}

Result<> read_method(const Value& root, Message& out) {
  OCTROI_TRY(const std::string_view method, root.string("method"));
  if (!is_method(method)) return fail(Errc::ambiguous, "method is no name of a method");
  out.method = std::string(method);
  const bool notifies = method.starts_with("notifications/");
  if (notifies != (out.kind == Message::Kind::notification)) {
    return fail(Errc::ambiguous,
                notifies ? "a notification has no id" : fmt::format("{} needs an id", out.method));
  }
  for (const char* name : {"result", "error"}) {
    if (root.find(name)) return fail(Errc::ambiguous, fmt::format("{} beside method", name));
  }
  return {};
}

Result<Message> read_message(const Value& root) {
  if (!root.is_object()) return fail(Errc::ambiguous, "a message is an object");
  for (const auto& [key, unused] : root.members()) {
    if (!among(kMembers, key))
      return fail(Errc::ambiguous, fmt::format("the field {} is not one of JSON-RPC", key));
  }
  if (root.string("jsonrpc").value_or("") != "2.0")
    return fail(Errc::ambiguous, "jsonrpc must be \"2.0\"");
  Message out;
  out.kind = Message::Kind::notification;
  if (const auto id = root.find("id")) {
    OCTROI_TRY(out.id, read_id(*id));
    out.kind = Message::Kind::request;
  }
  if (const auto params = root.find("params")) {
    if (!params->is_object()) return fail(Errc::ambiguous, "params must be an object");
    out.params = *params;
  }
  if (root.find("method")) {
    if (auto read = read_method(root, out); !read)
      return fail(Errc::ambiguous, std::string(read.error().message()));
    return out;
  }
  const bool one = root.find("result").has_value() != root.find("error").has_value();
  if (out.id.empty() || !one || out.params)
    return fail(Errc::ambiguous, "a message has a method, or an id with either result or error");
  out.kind = Message::Kind::answer;
  return out;
}

}  // namespace

Result<Messages> read_messages(const Value& root) {
  OCTROI_CHECK(check_spelling(root));
  Messages out;
  out.batch = root.is_array();
  if (!out.batch) {
    OCTROI_TRY(Message only, read_message(root));
    out.all.push_back(std::move(only));
    return out;
  }
  if (root.size() == 0 || root.size() > kMostMessages)
    return fail(Errc::ambiguous, fmt::format("a batch has 1 to {} messages", kMostMessages));
  std::set<std::string> ids;
  for (const Value element : root.elements()) {
    OCTROI_TRY(Message one, read_message(element));
    if (one.kind == Message::Kind::request && !ids.insert(one.id).second)
      return fail(Errc::ambiguous, "two messages of a batch have the same id");
    out.all.push_back(std::move(one));
  }
  return out;
}

Result<ToolCall> read_tool_call(const Message& message) {
  if (!message.params) return fail(Errc::ambiguous, "tools/call needs params.name");
  for (const auto& [key, unused] : message.params->members()) {
    if (!among(kCallMembers, key))
      return fail(Errc::ambiguous, fmt::format("params.{} is not one of tools/call", key));
  }
  ToolCall out;
  const auto name = message.params->find("name");
  const std::string_view tool = name ? name->as_string().value_or("") : std::string_view();
  if (!is_tool(tool)) {
    return fail(Errc::ambiguous,
                "params.name must be a tool's name: letters, digits, \"_\", \"-\" and \".\", at "
                "most 128");
  }
  out.tool = std::string(tool);
  if (const auto arguments = message.params->find("arguments")) {
    if (!arguments->is_object()) return fail(Errc::ambiguous, "params.arguments must be an object");
    out.arguments = *arguments;
  }
  const auto meta = message.params->find("_meta");
  if (meta && !meta->is_object()) return fail(Errc::ambiguous, "params._meta must be an object");
  const auto run = meta ? meta->find("agent_run_id") : std::nullopt;
  if (!run) return out;
  const std::string_view text = run->as_string().value_or("");
  const bool plain = !text.empty() && text.size() <= kLongestRun &&
                     std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
  if (!plain) {
    return fail(Errc::ambiguous,
                "params._meta.agent_run_id must be one word of at most 128 letters");
  }
  out.run = std::string(text);
  return out;
}

}  // namespace octroi::vault::mcp
