#include "octroi/pricing/usage.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace octroi::pricing {
namespace {

/// More than any answer has; sums of a few of them fit.
constexpr std::uint64_t kMaxTokens = 1'000'000'000'000;
constexpr json::ParseLimits kRequestLimits{.max_depth = 128, .max_bytes = std::size_t{64} << 20};
constexpr json::ParseLimits kEventLimits{.max_depth = 64, .max_bytes = std::size_t{8} << 20};

// ------------------------------------------------------------------------------------------------
// Usage.

/// A counter of an object; `bad` is set when it is there and none.
std::optional<std::uint64_t> counter(const json::Value& object, std::string_view key, bool& bad) {
  const auto value = object.find(key);
  if (!value || value->is_null()) return std::nullopt;
  const auto number = value->as_uint64();
  if (!number || *number > kMaxTokens) {
    bad = true;
    return std::nullopt;
  }
  return *number;
}

std::optional<TokenUsage> usage_of(const json::Value& object) {
  bool bad = false;
  auto of = [&](std::string_view key) { return counter(object, key, bad).value_or(0); };
  TokenUsage usage;
  usage.input =
      std::max(of("prompt_tokens"), of("input_tokens") + of("cache_creation_input_tokens") +
                                        of("cache_read_input_tokens"));
  usage.output = std::max(of("completion_tokens"), of("output_tokens"));
  usage.total = std::max(of("total_tokens"), usage.input + usage.output);
  // Some servers send counters of nothing until the last chunk has them.
  if (bad || usage.total == 0) return std::nullopt;
  return usage;
}

std::optional<json::Value> object_in(const json::Value& parent, std::string_view key) {
  auto value = parent.find(key);
  if (!value || !value->is_object()) return std::nullopt;
  return value;
}

struct Told {
  TokenUsage usage;
  bool at_the_end = false;  // not the first word of a stream that goes on counting
};

std::optional<Told> told_by(const json::Value& answer) {
  for (const std::string_view around : {"", "response", "message"}) {
    const auto holder = around.empty() ? std::optional(answer) : object_in(answer, around);
    if (!holder) continue;
    const auto object = object_in(*holder, "usage");
    if (!object) continue;
    if (const auto usage = usage_of(*object)) return Told{*usage, around != "message"};
  }
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------------
// Deltas.

/// Members of a delta that are no text of the model.
bool is_label(std::string_view key) {
  constexpr auto kLabels = std::to_array<std::string_view>(
      {"role", "type", "id", "signature", "encrypted_content", "finish_reason", "stop_reason"});
  return std::ranges::find(kLabels, key) != kLabels.end();
}

std::uint64_t text_in(const json::Value& value) {  // as deep as the parser's limit
  switch (value.kind()) {
    case json::Kind::string:
      return value.as_string().value_or(std::string_view()).size();
    case json::Kind::object: {
      std::uint64_t sum = 0;
      for (const auto& [key, member] : value.members()) {
        if (!is_label(key)) sum += text_in(member);
      }
      return sum;
    }
    case json::Kind::array: {
      std::uint64_t sum = 0;
      for (const json::Value element : value.elements()) sum += text_in(element);
      return sum;
    }
    case json::Kind::null:
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      return 0;
  }
  return 0;
}

std::uint64_t text_of(const json::Value& parent, std::string_view key) {
  const auto value = parent.find(key);
  return value ? text_in(*value) : 0;
}

/// Events that only say where in the answer we are; text in them is repeated or none of the
/// model's.
bool is_structure(std::string_view type) {
  constexpr auto kTypes =
      std::to_array<std::string_view>({"message_start", "message_delta", "message_stop", "ping",
                                       "error", "content_block_start", "content_block_stop"});
  return type.starts_with("response.") || std::ranges::find(kTypes, type) != kTypes.end();
}

std::uint64_t delta_tokens(const json::Value& event, std::size_t size) {
  const auto choices = event.find("choices");
  if (choices && choices->is_array()) {
    std::uint64_t sum = 0;
    for (const json::Value choice : choices->elements()) {
      sum += estimated_tokens(text_of(choice, "delta") + text_of(choice, "text") +
                              text_of(choice, "message"));
    }
    return sum;
  }
  if (event.find("error")) return 0;
  const std::string_view type =
      event.optional_string("type").value_or(std::nullopt).value_or(std::string_view());
  const bool structure = is_structure(type);
  if (event.find("delta") && (!structure || type.starts_with("response."))) {
    return estimated_tokens(text_of(event, "delta"));
  }
  return structure ? 0 : estimated_tokens(size);
}

// ------------------------------------------------------------------------------------------------
// Requests.

/// Pictures and sounds are no text, and cost what only the model knows.
bool is_encoded(std::string_view text) {
  constexpr std::size_t kLong = 256;
  if (text.starts_with("data:")) return true;
  return text.size() >= kLong && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '=' || c == '-' || c == '_' || c == '\n' ||
                  c == '\r';
         });
}

/// In bytes; a number stands for a token (as in inputs that were cut into tokens before).
std::uint64_t request_text(const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::string: {
      const std::string_view text = value.as_string().value_or(std::string_view());
      return is_encoded(text) ? 0 : text.size();
    }
    case json::Kind::object: {
      std::uint64_t sum = 0;
      for (const auto& [key, member] : value.members()) sum += key.size() + request_text(member);
      return sum;
    }
    case json::Kind::array: {
      std::uint64_t sum = 0;
      for (const json::Value element : value.elements()) sum += request_text(element);
      return sum;
    }
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      return 4;
    case json::Kind::null:
    case json::Kind::boolean:
      return 0;
  }
  return 0;
}

std::optional<std::uint64_t> announced_output(const json::Value& request) {
  std::optional<std::uint64_t> most;
  for (const std::string_view key : {"max_tokens", "max_completion_tokens", "max_output_tokens"}) {
    bool bad = false;
    if (const auto n = counter(request, key, bad)) most = std::max(most.value_or(0), *n);
  }
  if (!most) return std::nullopt;
  bool bad = false;
  const std::uint64_t answers = std::max<std::uint64_t>(counter(request, "n", bad).value_or(1), 1);
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(*most, answers, &product)) return kMaxTokens;
  return std::min(product, kMaxTokens);
}

}  // namespace

std::optional<TokenUsage> read_usage(const json::Value& answer) {
  const auto told = told_by(answer);
  return told ? std::optional(told->usage) : std::nullopt;
}

Result<RequestEstimate> estimate_request(std::string_view body) {
  RequestEstimate out;
  const auto document = json::parse(body, kRequestLimits);
  if (!document) {
    if (document.error().is(json::Errc::duplicate_key)) return fail(document.error());
    out.input = estimated_tokens(body.size());
    return out;
  }
  const json::Value request = document->root();
  out.input = estimated_tokens(request_text(request));
  out.max_output = announced_output(request);
  out.stream = request.optional_boolean("stream").value_or(std::nullopt).value_or(false);
  return out;
}

// ------------------------------------------------------------------------------------------------
// Answers.

void AnswerTokens::feed(std::string_view piece) {
  bytes_ += piece.size();
  for (const char c : piece) take(c);
}

void AnswerTokens::take(char c) {
  if (wanted_ && place_ == Place::value && value_.size() <= kMaxUsage) value_ += c;
  if (in_string_) {
    if (place_ == Place::key && key_.size() <= kMaxKey) key_ += c;
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      if (place_ == Place::key) place_ = Place::colon;
    }
    return;
  }
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return;
  if (depth_ <= 1) {
    at_top(c);
    return;
  }
  if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    --depth_;
  }
}

/// Outside of strings, in the outermost object or before it.
void AnswerTokens::at_top(char c) {
  switch (place_) {
    case Place::before:
      place_ = c == '{' ? Place::key : Place::after;
      depth_ = 1;
      return;
    case Place::key:
      if (c == '"') {
        in_string_ = true;
        key_ = c;
      } else if (c == '}') {
        place_ = Place::after;
      }
      return;
    case Place::colon:
      if (c != ':') return;
      place_ = Place::value;
      if (key_.size() <= kMaxKey) {
        const auto name = json::parse(key_);
        wanted_ = name && name->root().as_string().value_or("") == "usage";
      }
      if (wanted_) {
        twice_ = twice_ || whole_;
        value_.clear();
      }
      return;
    case Place::value:
      if (c == '"') {
        in_string_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if (c == ',' || c == '}') {
        end_value();
        place_ = c == ',' ? Place::key : Place::after;
      }
      return;
    case Place::after:
      return;
  }
}

void AnswerTokens::end_value() {
  if (!wanted_) return;
  wanted_ = false;
  whole_ = value_.size() <= kMaxUsage;
  value_.pop_back();  // the comma, or the brace of the whole
}

std::optional<TokenUsage> AnswerTokens::usage() const {
  if (!whole_ || twice_) return std::nullopt;
  const auto document = json::parse(value_);
  if (!document || !document->root().is_object()) return std::nullopt;
  return usage_of(document->root());
}

std::uint64_t AnswerTokens::tokens(std::uint64_t input) const {
  if (const auto told = usage()) return told->total;
  return bytes_ == 0 ? 0 : input + estimated_tokens(bytes_);
}

void StreamTokens::event(std::string_view data) {
  if (data == kStreamDone) return;
  seen_ = true;
  const auto document = json::parse(data, kEventLimits);
  if (!document || !document->root().is_object()) {
    estimated_ += estimated_tokens(data.size());
    return;
  }
  const json::Value event = document->root();
  estimated_ += delta_tokens(event, data.size());
  const auto told = told_by(event);
  if (!told) return;
  const TokenUsage before = usage_.value_or(TokenUsage());
  TokenUsage now;
  now.input = std::max(before.input, told->usage.input);
  now.output = std::max(before.output, told->usage.output);
  now.total = std::max({before.total, told->usage.total, now.input + now.output});
  usage_ = now;
  told_output_ = told_output_ || told->at_the_end;
}

std::uint64_t StreamTokens::tokens(std::uint64_t input) const {
  if (!usage_) return seen_ ? std::max<std::uint64_t>(input + estimated_, 1) : 0;
  if (told_output_) return usage_->total;
  return std::max(usage_->total, usage_->input + estimated_);
}

}  // namespace octroi::pricing
