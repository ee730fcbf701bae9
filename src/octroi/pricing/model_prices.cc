#include "octroi/pricing/model_prices.h"

#include <algorithm>
#include <limits>

#include "octroi/json/value.h"
#include "octroi/pricing/currency.h"
#include "octroi/pricing/pricer.h"
#include "octroi/pricing/request_text.h"

namespace octroi::pricing {

namespace {

constexpr std::int64_t kMostAnswers = 128;
constexpr json::ParseLimits kLimits{.max_depth = 64, .max_bytes = std::size_t{8} << 20};

tl::unexpected<Error> refused(std::string why) { return fail(Errc::no_price, std::move(why)); }

bool is_coded(std::string_view coding) { return !coding.empty() && coding != "identity"; }

/// How many answers one request asks for under this name; 1 without.
Result<std::uint64_t> answers_of(const json::Value& request, std::string_view key) {
  const auto value = request.find(key);
  if (!value || value->is_null()) return 1;
  const auto n = value->as_int64();
  if (!n || *n < 1 || *n > kMostAnswers)
    return refused(fmt::format("the request's {} is no number of answers", key));
  return static_cast<std::uint64_t>(*n);
}

Result<std::int64_t> counted(std::uint64_t tokens) {
  if (std::cmp_greater(tokens, std::numeric_limits<std::int64_t>::max()))
    return fail(MoneyErrc::overflow);
  return static_cast<std::int64_t>(tokens);
}

/// `"usage"` and the object after it, the last in a text whose beginning may be missing. Within
/// strings its quotes are escaped, so nothing that a model writes is taken for it.
std::optional<TokenUsage> last_usage(std::string_view text) {
  constexpr std::string_view kKey = "\"usage\"";
  const std::size_t key = text.rfind(kKey);
  if (key == std::string_view::npos) return std::nullopt;
  const std::size_t open = text.find('{', key + kKey.size());
  if (open == std::string_view::npos) return std::nullopt;
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] != '}' || --depth > 0) continue;
    std::string answer = "{";
    answer.append(text.substr(key, i + 1 - key)).push_back('}');
    const auto document = json::parse(answer, kLimits);
    if (!document) return std::nullopt;
    return read_usage(document->root());
  }
  return std::nullopt;
}

std::optional<TokenUsage> usage_of_stream(std::string_view tail) {
  StreamTokens tokens;
  std::string data;
  while (!tail.empty()) {
    const std::size_t end = tail.find('\n');
    std::string_view line = tail.substr(0, end);
    tail = end == std::string_view::npos ? std::string_view() : tail.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("data:")) {
      line.remove_prefix(5);
      if (line.starts_with(' ')) line.remove_prefix(1);
      if (!data.empty()) data.push_back('\n');
      data += line;
    } else if (line.empty()) {
      if (!data.empty()) tokens.event(data);
      data.clear();
    }
  }
  if (!data.empty()) tokens.event(data);
  return tokens.usage();
}

}  // namespace

Result<ModelRequest> ModelPrices::read(std::string_view text) const {
  OCTROI_TRY(const RequestText request, read_request_text(text));
  if (is_coded(request.field("Content-Encoding").value_or("")))
    return refused("a compressed request cannot be priced");
  ModelRequest out;
  out.model = fallback_;
  std::uint64_t told = 1;  // what is told of, and what is made to choose from
  std::uint64_t made = 1;
  if (!request.body.empty()) {
    const auto document = json::parse(request.body, kLimits);
    if (!document) {
      return refused(document.error().is(json::Errc::duplicate_key)
                         ? "the request names a key twice"
                         : "the request is no JSON that can be priced");
    }
    const json::Value root = document->root();
    if (const auto model = root.find("model")) {
      const auto name = model->as_string();
      if (!name) return refused("the request's model is no text");
      out.model = *name;
    }
    OCTROI_TRY(told, answers_of(root, "n"));
    OCTROI_TRY(made, answers_of(root, "best_of"));
  }
  if (!prices_.contains(out.model)) {
    return refused(out.model.empty() ? "the request names no model"
                                     : "the request's model has no price");
  }
  OCTROI_TRY(const RequestEstimate estimate, estimate_request(request.body));
  out.estimate.input = estimate.input;
  // A bound is already one of all answers that are told (usage.h); both factors are small.
  const std::uint64_t each = estimate.max_output ? *estimate.max_output / told : kUnboundedAnswer;
  out.estimate.output = each * std::max(told, made);
  return out;
}

Result<Msat> ModelPrices::cost(std::string_view model, const TokenUsage& usage) const {
  const auto price = prices_.find(model);
  if (price == prices_.end()) return refused("this model has no price any more");
  OCTROI_TRY(const std::int64_t in, counted(usage.input));
  OCTROI_TRY(const std::int64_t out, counted(usage.output));
  OCTROI_TRY(const Msat input, price->second.input.times(in));
  OCTROI_TRY(const Msat output, price->second.output.times(out));
  OCTROI_TRY(const Msat thousandfold, input.plus(output));
  // A thousandth, rounded up: what a satoshi is to its millisatoshi.
  return Msat::from_raw(to_sat_ceil(thousandfold).count() /* raw: of a thousandth */);
}

std::optional<TokenUsage> usage_of_tail(std::string_view content_type, std::string_view tail) {
  std::string type(content_type.substr(0, content_type.find(';')));
  std::ranges::transform(type, type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (type == "text/event-stream") return usage_of_stream(tail);
  if (const auto document = json::parse(tail, kLimits)) return read_usage(document->root());
  return last_usage(tail);
}

Settlement settlement_of(const ModelAnswer& answer) {
  if (answer.status == kUnseen) return {Settling::estimate, {}};
  if (answer.status < 200 || answer.status >= 300) return {Settling::nothing, {}};
  if (!is_coded(answer.content_encoding)) {
    if (const auto usage = usage_of_tail(answer.content_type, answer.tail))
      return {Settling::usage, *usage};
  }
  return {Settling::estimate, {}};
}

}  // namespace octroi::pricing
