#include "octroi/vault/packs/llm/reader.h"

#include <algorithm>

namespace octroi::vault::llm {

namespace {

constexpr std::size_t kKeptBeginning = 2048;
constexpr int kOverloaded = 529;

/// `usage` of an event, or of the message or response that it holds.
std::optional<json::Value> usage_in(const json::Value& event) {
  if (auto own = event.find("usage"); own && own->is_object()) return own;
  for (const char* around : {"message", "response"}) {
    const auto holder = event.find(around);
    if (!holder || !holder->is_object()) continue;
    if (auto usage = holder->find("usage"); usage && usage->is_object()) return usage;
  }
  return std::nullopt;
}

std::string_view text_at(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value ? value->as_string().value_or("") : std::string_view();
}

/// The id of what was made, from the beginning of an answer that may be long.
std::string id_in(std::string_view beginning) {
  constexpr std::string_view kMark = "\"id\"";
  const std::size_t at = beginning.find(kMark);
  if (at == std::string_view::npos) return {};
  std::size_t open = beginning.find_first_not_of(" \t\r\n:", at + kMark.size());
  if (open == std::string_view::npos || beginning[open] != '"') return {};
  const std::size_t close = beginning.find('"', ++open);
  if (close == std::string_view::npos) return {};
  return std::string(beginning.substr(open, std::min<std::size_t>(close - open, 128)));
}

}  // namespace

void UsageReader::begin(int status, const http::Headers& headers) {
  status_ = status;
  events_ = http::is_event_stream(headers.get("content-type").value_or(""));
  for (const char* name : {"x-request-id", "request-id"}) {
    if (const auto id = headers.get(name)) request_id_ = std::string(*id);
  }
}

void UsageReader::read(std::string_view plain) {
  if (!events_) {
    if (beginning_.size() < kKeptBeginning)
      beginning_ += plain.substr(0, kKeptBeginning - beginning_.size());
    answer_.feed(plain);
    return;
  }
  if (lost_) return;
  framer_.feed(plain);
  for (;;) {
    const auto event = framer_.next();
    if (!event) {
      lost_ = true;
      return;
    }
    if (!*event) return;
    if ((*event)->dispatched) take_event((*event)->data);
  }
}

void UsageReader::take_event(std::string_view data) {
  stream_.event(data);
  const bool names_usage = data.find("\"usage\"") != std::string_view::npos;
  if (!names_usage && !object_.empty()) return;
  const auto document = json::parse(data, {64, std::size_t{8} << 20, false});
  if (!document || !document->root().is_object()) return;
  const json::Value event = document->root();
  for (const char* around : {"message", "response"}) {
    const auto holder = event.find(around);
    if (object_.empty() && holder) object_ = std::string(text_at(*holder, "id"));
  }
  if (object_.empty()) object_ = std::string(text_at(event, "id"));
  const auto usage = usage_in(event);
  if (!usage) return;
  const auto tokens = read_tokens(*usage);
  if (!tokens) return;
  if (usage_) {
    usage_->raise_to(*tokens);
  } else {
    usage_ = tokens;
  }
  // Only the beginning of a message tells what cannot be final.
  ended_ = ended_ || text_at(event, "type") != "message_start";
}

std::optional<Tokens> UsageReader::told() const {
  if (events_) {
    if (usage_ && ended_) return usage_;
    return std::nullopt;
  }
  const std::string_view text = answer_.usage_text();
  if (text.empty()) return std::nullopt;
  const auto document = json::parse(text);
  return document ? read_tokens(document->root()) : std::nullopt;
}

Outcome UsageReader::outcome(bool whole) {
  Outcome out;
  out.state = by_status(status_);
  // Said by the vendor itself: it did not begin.
  if (status_ == 503 || status_ == kOverloaded) out.state = Outcome::State::refused;
  out.request_id = request_id_;
  out.object = events_ ? object_ : id_in(beginning_);
  if (out.state != Outcome::State::done || about_.price == nullptr) return out;
  if (const auto tokens = told()) {
    if (auto cost = about_.price->cost(*tokens)) out.usd = *cost;
    return out;
  }
  // Nothing was told: an answer that is no stream, or holds what was not delivered, costs what was
  // set aside.
  std::ignore = whole;
  if (!events_ || !about_.countable || lost_) return out;
  Tokens counted = usage_.value_or(Tokens{});
  if (!usage_) counted.input = about_.input;
  const auto all =
      static_cast<std::int64_t>(std::min<std::uint64_t>(stream_.tokens(0), 1'000'000'000));
  counted.output = std::max(counted.output, usage_ ? all - counted.all_input() : all);
  if (auto cost = about_.price->cost(counted)) out.usd = *cost;
  return out;
}

}  // namespace octroi::vault::llm
