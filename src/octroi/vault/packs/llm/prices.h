// octroi/vault/packs/llm/prices.h: what language models cost, for the packs of their vendors:
// tokens as their vendors count them, prices of a million of them, and the most that a request can
// cost.
//
// Names    a row stands for its name and for its dated editions ("gpt-4o" for "gpt-4o-2024-11-20",
//          "claude-sonnet-4-5" for "claude-sonnet-4-5-20250929"); a row of its own comes first.
// Bound    a token is at least one byte of what is sent, and no request is longer than the model's
//          context: the smaller of the two is never passed.
// Rounding up, to a whole millionth of a dollar.
// Errors   MoneyErrc::overflow.   Thread  immutable.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/money/money.h"
#include "octroi/vault/settings.h"

namespace octroi::vault::llm {

struct Tokens {
  std::int64_t input = 0;             // neither read from a cache nor written to it
  std::int64_t cached = 0;            // read
  std::int64_t cache_write = 0;       // written for minutes
  std::int64_t cache_write_long = 0;  // written for longer
  std::int64_t output = 0;
  std::int64_t searches = 0;  // of the web, made by the vendor
  [[nodiscard]] std::int64_t all_input() const {
    return input + cached + cache_write + cache_write_long;
  }
  /// Counters of a stream only grow.
  void raise_to(const Tokens& later);
  bool operator==(const Tokens&) const = default;
};
/// An object `usage` of either vendor, of an answer or an event. Empty: it is none that can be
/// trusted (negative, absurd, no number).
[[nodiscard]] std::optional<Tokens> read_tokens(const json::Value& usage);

/// A row of a pack's own table, in millionths of a dollar for a million tokens.
struct Row {
  std::string_view model;
  std::int64_t input = 0, cached = 0, output = 0;
  int write = 100, write_long = 100;  // percent of `input`
  std::int64_t context = 0, max_output = 0;
  bool reasoning = false;
  std::int64_t long_from = 0;               // a longer prompt costs more, all of it; 0: it does not
  int long_input = 100, long_output = 100;  // percent
};

struct ModelPrice {
  MicroUsd input, cached, cache_write, cache_write_long, output;
  std::int64_t context = 0, max_output = 0;
  /// It thinks in tokens that are not in the answer: what was delivered does not tell what it cost.
  bool reasoning = false;
  std::int64_t long_from = 0;
  int long_input = 100, long_output = 100;

  [[nodiscard]] Result<MicroUsd> cost(const Tokens& tokens) const;
  /// Of a request of that many bytes that lets the model answer with that many tokens; `caches`:
  /// what goes in may be written to a cache. Each of its prompts has a context of its own.
  [[nodiscard]] Result<MicroUsd> most(std::int64_t bytes, std::int64_t output, bool caches,
                                      std::int64_t prompts = 1) const;
};

class PriceTable {
 public:
  /// The configuration's rows come before the pack's.
  PriceTable(std::span<const Row> rows, const std::map<std::string, ModelPriceSettings>& settings);
  [[nodiscard]] const ModelPrice* find(std::string_view model) const;

 private:
  std::map<std::string, ModelPrice, std::less<>> prices_;
};

}  // namespace octroi::vault::llm
