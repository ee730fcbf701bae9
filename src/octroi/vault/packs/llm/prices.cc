#include "octroi/vault/packs/llm/prices.h"

#include <algorithm>
#include <array>

namespace octroi::vault::llm {

namespace {

constexpr std::int64_t kMostTokens = 1'000'000'000;  // more than any answer has
/// A search of the web: ten dollars a thousand, the dearest of both vendors' list prices.
constexpr MicroUsd kSearch = MicroUsd::from_raw_unchecked(25'000);

struct Reading {
  const json::Value& object;
  bool bad = false;

  std::int64_t operator()(std::string_view name, std::string_view below = {}) {
    auto value = object.find(name);
    if (value && !below.empty()) value = value->is_object() ? value->find(below) : std::nullopt;
    if (!value || value->is_null()) return 0;
    const auto n = value->as_int64();
    if (!n || *n < 0 || *n > kMostTokens) {
      bad = true;
      return 0;
    }
    return *n;
  }
};

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Without "-2024-11-20" or "-20250929" at its end; the same where there is none.
std::string_view without_date(std::string_view model) {
  constexpr std::size_t kLong = 11;
  constexpr std::size_t kShort = 9;
  if (model.size() > kLong) {
    const std::string_view date = model.substr(model.size() - kLong);
    if (date[0] == '-' && date[5] == '-' && date[8] == '-' && all_digits(date.substr(1, 4)) &&
        all_digits(date.substr(6, 2)) && all_digits(date.substr(9)))
      return model.substr(0, model.size() - kLong);
  }
  if (model.size() > kShort) {
    const std::string_view date = model.substr(model.size() - kShort);
    if (date.starts_with("-20") && all_digits(date.substr(1)))
      return model.substr(0, model.size() - kShort);
  }
  return model;
}

MicroUsd percent_of(MicroUsd price, int percent) {
  const auto product = price.times(percent);
  return MicroUsd::from_raw_unchecked(((product ? product->count() : MicroUsd::kMax) + 99) /
                                      100 /* raw: a percentage, rounded up */);
}

ModelPrice price_of(const Row& row) {
  ModelPrice out;
  out.input = MicroUsd::from_raw_unchecked(row.input);
  out.cached = MicroUsd::from_raw_unchecked(row.cached);
  out.output = MicroUsd::from_raw_unchecked(row.output);
  out.cache_write = percent_of(out.input, row.write);
  out.cache_write_long = percent_of(out.input, row.write_long);
  out.context = row.context;
  out.max_output = row.max_output;
  out.reasoning = row.reasoning;
  out.long_from = row.long_from;
  out.long_input = row.long_input;
  out.long_output = row.long_output;
  return out;
}

ModelPrice price_of(const ModelPriceSettings& s) {
  ModelPrice out;
  out.input = s.input;
  out.output = s.output;
  out.cached = s.cached_input.value_or(s.input);
  out.cache_write = out.cache_write_long = s.cache_write.value_or(s.input);
  out.context = s.context;
  out.max_output = s.max_output;
  out.reasoning = s.reasoning;
  return out;
}

}  // namespace

void Tokens::raise_to(const Tokens& later) {
  input = std::max(input, later.input);
  cached = std::max(cached, later.cached);
  cache_write = std::max(cache_write, later.cache_write);
  cache_write_long = std::max(cache_write_long, later.cache_write_long);
  output = std::max(output, later.output);
  searches = std::max(searches, later.searches);
}

std::optional<Tokens> read_tokens(const json::Value& usage) {
  if (!usage.is_object()) return std::nullopt;
  Reading n{usage};
  Tokens out;
  out.output = std::max(n("completion_tokens"), n("output_tokens"));
  out.searches = n("server_tool_use", "web_search_requests");
  // One vendor counts what its caches did beside the input, the other within it.
  const std::int64_t beside = n("cache_creation_input_tokens");
  if (usage.find("cache_creation_input_tokens") || usage.find("cache_read_input_tokens")) {
    out.input = n("input_tokens");
    out.cached = n("cache_read_input_tokens");
    const auto parts = usage.find("cache_creation");
    if (parts && parts->is_object()) {
      out.cache_write = std::min(n("cache_creation", "ephemeral_5m_input_tokens"), beside);
    }
    out.cache_write_long = beside - out.cache_write;  // without parts, the dearer kind
  } else {
    const std::int64_t all = std::max(n("prompt_tokens"), n("input_tokens"));
    const auto inside = [&](std::string_view name) {
      return std::max(n("prompt_tokens_details", name), n("input_tokens_details", name));
    };
    out.cached = std::min(inside("cached_tokens"), all);
    const std::int64_t written = std::min(inside("cache_write_tokens"), all - out.cached);
    std::int64_t brief = 0;
    if (const auto details = usage.find("input_tokens_details")) {
      const auto parts = details->find("cache_write_tokens_details");
      if (parts && parts->is_object()) {
        Reading part{*parts};
        brief = std::min(part("ttl_30m_tokens"), written);
        n.bad = n.bad || part.bad;
      }
    }
    out.cache_write = brief;
    out.cache_write_long = written - brief;
    out.input = all - out.cached - written;
    // Some servers count more than they name.
    const std::int64_t total = n("total_tokens");
    if (total > all + out.output) out.output = total - all;
  }
  if (n.bad || out == Tokens{}) return std::nullopt;
  return out;
}

Result<MicroUsd> ModelPrice::cost(const Tokens& t) const {
  const bool is_long = long_from > 0 && t.all_input() > long_from;
  MicroUsd in;
  for (const auto& [n, price] : {std::pair{t.input, input},
                                 {t.cached, cached},
                                 {t.cache_write, cache_write},
                                 {t.cache_write_long, cache_write_long}}) {
    OCTROI_TRY(const MicroUsd part, price.times(n));
    OCTROI_TRY(in, in.plus(part));
  }
  OCTROI_TRY(MicroUsd out, output.times(t.output));
  OCTROI_TRY(in, in.times(is_long ? long_input : 100));
  OCTROI_TRY(out, out.times(is_long ? long_output : 100));
  OCTROI_TRY(const MicroUsd sum, in.plus(out));
  constexpr std::int64_t kScale = 100'000'000;  // a million tokens, and percent
  OCTROI_TRY(const MicroUsd searched, kSearch.times(t.searches));
  const std::int64_t raw = sum.count(); /* raw: rounded up to a millionth */
  OCTROI_TRY(const MicroUsd whole, MicroUsd::from_raw(raw / kScale + (raw % kScale != 0 ? 1 : 0)));
  return whole.plus(searched);
}

Result<MicroUsd> ModelPrice::most(std::int64_t bytes, std::int64_t out, bool caches,
                                  std::int64_t prompts) const {
  const std::int64_t in = context > 0 ? std::min(bytes, context * prompts) : bytes;
  Tokens t;
  (caches && cache_write_long > input ? t.cache_write_long : t.input) = in;
  t.output = out;
  return cost(t);
}

PriceTable::PriceTable(std::span<const Row> rows,
                       const std::map<std::string, ModelPriceSettings>& settings) {
  for (const auto& [name, s] : settings) prices_.emplace(name, price_of(s));
  for (const Row& row : rows) prices_.emplace(std::string(row.model), price_of(row));
}

const ModelPrice* PriceTable::find(std::string_view model) const {
  auto found = prices_.find(model);
  if (found == prices_.end()) found = prices_.find(without_date(model));
  return found == prices_.end() ? nullptr : &found->second;
}

}  // namespace octroi::vault::llm
