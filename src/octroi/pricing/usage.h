// octroi/pricing/usage.h: how many tokens an answer of a language model cost, as the answer itself
// says; and what it is taken for when it does not say.
//
// Shapes   OpenAI chat completions and completions (`usage`: prompt_tokens, completion_tokens), the
//          Responses API (input_tokens, output_tokens; in streams inside `response`), Anthropic
//          messages (input_tokens and both cache_…_input_tokens, output_tokens; in streams first
//          in `message`, then growing). What a vendor leaves out of its total is not guessed.
// Streams  counters only grow: of each the largest that was told counts. Until something is told, a
//          stream is worth the text of its deltas.
// Estimate four bytes of text are a token, rounded up each time: an answer without `usage` is never
//          free, and one that was cut off costs what came.
// Strict   as json/value.h: an object that names a key twice tells nothing, numbers beyond 10^12,
//          negative ones and fractions tell nothing.
// Thread   values.  Source  the vendors' API references; issue 5, "Billing units".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::pricing {

struct TokenUsage {
  std::uint64_t input = 0;  // with what was written to and read from caches
  std::uint64_t output = 0;
  std::uint64_t total = 0;  // never less than both; more where a vendor counts more
  bool operator==(const TokenUsage&) const = default;
};

/// `usage` of an answer, or inside its `message` or `response`. Empty: there is none that can be
/// trusted.
[[nodiscard]] std::optional<TokenUsage> read_usage(const json::Value& answer);

/// Bytes of text as tokens.
[[nodiscard]] constexpr std::uint64_t estimated_tokens(std::uint64_t bytes) {
  return bytes / 4 + (bytes % 4 != 0 ? 1 : 0);
}

/// What a request announces, for setting aside before it is sent on.
struct RequestEstimate {
  std::uint64_t input = 0;                  // of its text; what is encoded (images) is left out
  std::optional<std::uint64_t> max_output;  // max_tokens, max_completion_tokens, max_output_tokens
  bool stream = false;
};
/// A body that is not JSON is estimated by its length. Errors  json::Errc::duplicate_key: the
/// upstream could read another request than we did.
[[nodiscard]] Result<RequestEstimate> estimate_request(std::string_view body);

/// The tokens of a JSON answer, read while it passes: in constant memory, and whatever its pieces.
class AnswerTokens {
 public:
  void feed(std::string_view piece);
  /// Its `usage`, once that has passed.
  [[nodiscard]] std::optional<TokenUsage> usage() const;
  /// The same as it is written, with what a vendor says beyond the sums. Empty: none.
  [[nodiscard]] std::string_view usage_text() const {
    return whole_ && !twice_ ? std::string_view(value_) : std::string_view();
  }
  /// What it costs by now: as told, else as estimated (`input` being the request's share of that).
  [[nodiscard]] std::uint64_t tokens(std::uint64_t input) const;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  void take(char c);
  void at_top(char c);
  void end_value();

  static constexpr std::size_t kMaxKey = 64;
  static constexpr std::size_t kMaxUsage = std::size_t{16} << 10;

  enum class Place : std::uint8_t { before, key, colon, value, after };
  Place place_ = Place::before;  // in the outermost object
  std::uint64_t bytes_ = 0;
  std::uint64_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool wanted_ = false;  // this value is the one
  bool twice_ = false;
  std::string key_;    // as written, with its quotes
  std::string value_;  // of `usage`
  bool whole_ = false;
};

/// The tokens of an event stream.
class StreamTokens {
 public:
  /// `data` of one event that a reader gets to see.
  void event(std::string_view data);
  /// As told so far; output may still grow.
  [[nodiscard]] const std::optional<TokenUsage>& usage() const { return usage_; }
  [[nodiscard]] std::uint64_t tokens(std::uint64_t input) const;

 private:
  std::optional<TokenUsage> usage_;
  bool told_output_ = false;  // by the event that ends an answer
  bool seen_ = false;
  std::uint64_t estimated_ = 0;  // of the deltas
};

/// The event that says that a stream is over, and is no part of what it sold.
inline constexpr std::string_view kStreamDone = "[DONE]";

}  // namespace octroi::pricing
