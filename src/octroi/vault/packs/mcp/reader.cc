#include "octroi/vault/packs/mcp/reader.h"

#include <algorithm>
#include <array>

namespace octroi::vault::mcp {

namespace {

constexpr std::size_t kMostOfAnAnswer = http::SseFramer::kMaxEvent;
constexpr json::ParseLimits kLimits{.max_depth = 64, .max_bytes = kMostOfAnAnswer + 1};

/// Errors of a message that no tool has seen.
constexpr std::array<std::int64_t, 4> kNotBegun = {-32700, -32600, -32601, -32602};

/// The text that a result consists of; empty when it is not one text.
std::string only_text(const json::Value& result) {
  const auto content = result.find("content");
  if (!content || content->size() != 1) return {};
  for (const json::Value block : content->elements()) {
    if (block.string("type").value_or("") == "text")
      return std::string(block.string("text").value_or(""));
  }
  return {};
}

}  // namespace

void CallReader::begin(int status, const http::Headers& headers) {
  status_ = status;
  events_ = http::is_event_stream(headers.get("content-type").value_or(""));
  for (const char* name : {"x-request-id", "request-id"}) {
    if (const auto id = headers.get(name)) request_id_ = std::string(*id);
  }
}

void CallReader::read(std::string_view plain) {
  if (found_ || lost_) return;
  if (!events_) {
    lost_ = body_.size() + plain.size() > kMostOfAnAnswer;
    if (!lost_) body_ += plain;
    return;
  }
  framer_.feed(plain);
  while (!found_) {
    const auto event = framer_.next();
    lost_ = !event;
    if (lost_ || !*event) return;
    if ((*event)->dispatched) take((*event)->data);
  }
}

void CallReader::take(std::string_view text) {
  const auto document = json::parse(text, kLimits);
  if (!document) return;
  const json::Value root = document->root();
  if (!root.is_array()) {
    take_answer(root);
    return;
  }
  for (const json::Value message : root.elements()) take_answer(message);
}

void CallReader::take_answer(const json::Value& message) {
  const auto id = message.find("id");
  if (found_ || !id || id->to_json() != id_ || message.find("method")) return;
  Outcome out;
  if (const auto error = message.find("error")) {
    const std::int64_t code = error->int64("code").value_or(0);
    const bool begun = std::ranges::find(kNotBegun, code) == kNotBegun.end();
    out.state = begun ? Outcome::State::unknown : Outcome::State::refused;
    found_ = std::move(out);
    return;
  }
  const auto result = message.find("result");
  if (!result) return;
  const auto structured = result->find("structuredContent");
  const auto content = result->find("content");
  ToolResult got;
  // Whatever stands there but `false` is no success.
  const auto is_error = result->find("isError");
  got.is_error = is_error && is_error->as_bool().value_or(true);
  got.text = structured && structured->is_object() ? structured->to_json() : only_text(*result);
  // Of what is neither (a task that goes on elsewhere) nobody knows the end.
  const bool ended = (structured && structured->is_object()) || (content && content->is_array());
  if (ended) out = book_.settle(tool_, got);
  found_ = std::move(out);
}

Outcome CallReader::outcome(bool whole) {
  if (!found_ && !lost_ && !events_ && whole) take(body_);
  if (!found_ && !lost_ && events_ && whole) {
    if (const auto rest = framer_.finish(); rest && rest->dispatched) take(rest->data);
  }
  Outcome out;
  // A call that was taken is answered with 200; 202 and the like promise nothing.
  if (status_ == 200) {
    out = found_.value_or(Outcome{});
  } else if (status_ >= 400) {
    out.state = by_status(status_);
  }
  out.request_id = request_id_;
  return out;
}

}  // namespace octroi::vault::mcp
