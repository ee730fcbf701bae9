#include "octroi/vault/packs/mcp/refusal.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/json/writer.h"

namespace octroi::vault::mcp {

namespace {

/// A sentence for a model. Most of what it says is the policy's own: how much is left, and when
/// that begins anew.
std::string text_of(const Denial& denial) {
  std::string out = "octroi refused this call: " + denial.message;
  if (!out.ends_with('.')) out += '.';
  const std::string anew = denial.resets_at ? to_rfc3339(*denial.resets_at) : std::string();
  if (out.find(anew) == std::string::npos) out += fmt::format(" It may pass after {}.", anew);
  if (denial.retry) out += " The same call may be tried again.";
  return out;
}

/// What an SDK or a host may look at.
void write_data(json::Writer& w, const Denial& denial) {
  w.begin_object();
  w.field("code", denial.reason).field("message", denial.message);
  if (denial.resets_at) w.field("resets_at", to_rfc3339(*denial.resets_at));
  w.field("retry", denial.retry).end_object();
}

void write_error(json::Writer& w, const Denial& denial) {
  w.key("error").begin_object();
  w.field("code", json_rpc_code(denial.code)).field("message", denial.message);
  w.key("data");
  write_data(w, denial);
  w.end_object();
}

/// A result, and not an error: hosts show errors of JSON-RPC to their log, and results to the
/// model. No structuredContent, which clients hold against the schema of the tool.
void write_result(json::Writer& w, const Denial& denial) {
  w.key("result").begin_object();
  w.key("content").begin_array().begin_object();
  w.field("type", "text").field("text", text_of(denial));
  w.end_object().end_array();
  w.field("isError", true);
  w.key("_meta").begin_object().key(kRefusalKey);
  write_data(w, denial);
  w.end_object().end_object();
}

void write_answer(json::Writer& w, const Denial& denial, const Message& message) {
  w.begin_object().field("jsonrpc", "2.0").key("id").raw(message.id);
  if (message.method == kToolCall) {
    write_result(w, denial);
  } else {
    write_error(w, denial);
  }
  w.end_object();
}

}  // namespace

std::int64_t json_rpc_code(Errc code) {
  if (code == Errc::unknown_operation) return -32601;
  const int status = status_of(code);
  if (status >= 500) return -32000;
  if (status == 401) return -32001;
  if (status == 400 || status == 413 || status == 415) return -32600;
  return -32003;
}

Refusal refuse(const Denial& denial, std::span<const Message> messages, bool batch) {
  Refusal out;
  out.head = refusal_head(denial);
  json::Writer w;
  const bool answers = std::ranges::any_of(
      messages, [](const Message& m) { return m.kind == Message::Kind::request; });
  if (!answers) {
    w.begin_object().field("jsonrpc", "2.0").key("id").null();
    write_error(w, denial);
    w.end_object();
    out.body = std::move(w).take();
    return out;
  }
  out.head.status = 200;
  if (batch) w.begin_array();
  for (const Message& m : messages) {
    if (m.kind == Message::Kind::request) write_answer(w, denial, m);
  }
  if (batch) w.end_array();
  out.body = std::move(w).take();
  return out;
}

}  // namespace octroi::vault::mcp
