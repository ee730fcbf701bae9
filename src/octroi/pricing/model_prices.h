// octroi/pricing/model_prices.h: what language models cost, for the reference price server: by the
// tokens that go in and come out, each at a price for a thousand of them.
//
// Estimate  before a request: its text, and as many tokens as it lets the model answer (max_tokens,
//           max_completion_tokens, max_output_tokens; 4096 without), for each answer that it asks
//           for.
// Strict    a request that names a key twice, or is compressed, could be read differently by the
//           model's server and is refused; so is a model without a price.
// Cost      as the answer's usage says. What does not say it costs the estimate when it was
//           delivered or nobody saw it end; an answer of any other status than 2xx costs nothing.
// Rounding  up, to a whole millisatoshi.
// Errors    Errc::no_price, MoneyErrc::overflow.  Thread  values.  Source  issue 5, "Dynamic
//           prices".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/money/money.h"
#include "octroi/pricing/usage.h"

namespace octroi::pricing {

/// Of a thousand tokens.
struct ModelPrice {
  Msat input;
  Msat output;
};

/// What a request asks for.
struct ModelRequest {
  std::string model;
  TokenUsage estimate;
};

/// The answer of a request, as far as it was reported.
struct ModelAnswer {
  int status = 0;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view tail;
};

/// Tokens that an answer may have when its request sets no bound.
inline constexpr std::uint64_t kUnboundedAnswer = 4096;

class ModelPrices {
 public:
  /// `fallback` is the model of requests that name none; empty: there is none.
  ModelPrices(std::map<std::string, ModelPrice, std::less<>> prices, std::string fallback)
      : prices_(std::move(prices)), fallback_(std::move(fallback)) {}

  /// `text` as request_text.h writes it.
  [[nodiscard]] Result<ModelRequest> read(std::string_view text) const;
  [[nodiscard]] Result<Msat> cost(std::string_view model, const TokenUsage& usage) const;

 private:
  std::map<std::string, ModelPrice, std::less<>> prices_;
  std::string fallback_;
};

/// Of a body whose beginning may be missing: of a JSON answer, or the last that an event stream
/// told.
[[nodiscard]] std::optional<TokenUsage> usage_of_tail(std::string_view content_type,
                                                      std::string_view tail);

/// How an answer is settled.
enum class Settling : std::uint8_t { nothing, usage, estimate };
struct Settlement {
  Settling by = Settling::nothing;
  TokenUsage usage;  // by usage
};
[[nodiscard]] Settlement settlement_of(const ModelAnswer& answer);

}  // namespace octroi::pricing
