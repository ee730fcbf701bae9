#include "octroi/mpp/accept_payment.h"

#include <algorithm>
#include <numeric>

#include "octroi/mpp/challenge.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

using detail::trim;

/// Cuts the first piece before `separator` off `rest`.
std::string_view cut(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view piece = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return piece;
}

/// Wider than the drafts' a-z, so that one foreign method name does not void a client's whole list.
bool is_method_range(std::string_view text) {
  return text == "*" || (!text.empty() && text[0] >= 'a' && text[0] <= 'z' &&
                         std::all_of(text.begin(), text.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || detail::is_digit(c) || c == '-' ||
                                  c == '_' || c == ':';
                         }));
}

/// RFC 9110 section 12.4.2, in thousandths.
std::optional<std::uint16_t> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int thousandths = (text[0] - '0') * 1000;
  int scale = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!detail::is_digit(c)) return std::nullopt;
    thousandths += (c - '0') * scale;
    scale /= 10;
  }
  if (thousandths > 1000) return std::nullopt;
  return static_cast<std::uint16_t>(thousandths);
}

std::optional<PaymentRange> parse_range(std::string_view element) {
  std::string_view rest = element;
  std::string_view names = trim(cut(rest, ';'));
  if (std::count(names.begin(), names.end(), '/') != 1) return std::nullopt;
  PaymentRange range;
  range.method = cut(names, '/');
  range.intent = names;
  if (!is_method_range(range.method) || (range.intent != "*" && !is_intent(range.intent)))
    return std::nullopt;
  const bool has_params = element.find(';') != std::string_view::npos;
  if (has_params && trim(rest).empty()) return std::nullopt;
  while (!rest.empty()) {
    std::string_view param = trim(cut(rest, ';'));
    const std::string_view name = cut(param, '=');
    if (name.empty() || param.empty()) return std::nullopt;
    if (!detail::equal_ignoring_case(name, "q")) continue;
    const auto weight = parse_weight(param);
    if (!weight) return std::nullopt;
    range.weight = *weight;
  }
  return range;
}

/// 0 for no match; the more of it is named, the higher.
int specificity(const PaymentRange& range, const Offer& offer) {
  const bool any_method = range.method == "*";
  const bool any_intent = range.intent == "*";
  if (!any_method && range.method != offer.method) return 0;
  if (!any_intent && range.intent != offer.intent) return 0;
  return 1 + (any_method ? 0 : 2) + (any_intent ? 0 : 1);
}

std::uint16_t weight_of(std::span<const PaymentRange> ranges, const Offer& offer) {
  int best = 0;
  std::uint16_t weight = 0;
  for (const PaymentRange& range : ranges) {
    const int s = specificity(range, offer);
    if (s <= best) continue;
    best = s;
    weight = range.weight;
  }
  return weight;
}

std::vector<std::size_t> all_of(std::span<const Offer> offers) {
  std::vector<std::size_t> out(offers.size());
  std::iota(out.begin(), out.end(), std::size_t{0});
  return out;
}

}  // namespace

// Payment core, "Client Payment Preferences": a list field, repeated lines are one list. rule:
// MPP-60
std::optional<std::vector<PaymentRange>> parse_accept_payment(
    std::span<const std::string_view> field_values) {
  std::vector<PaymentRange> out;
  for (std::string_view rest : field_values) {
    while (!rest.empty()) {
      const std::string_view element = trim(cut(rest, ','));
      if (element.empty()) continue;
      auto range = parse_range(element);
      if (!range) return std::nullopt;
      out.push_back(*std::move(range));
    }
  }
  if (out.empty()) return std::nullopt;
  return out;
}

// rule: MPP-61
std::vector<std::size_t> rank_offers(std::span<const PaymentRange> ranges,
                                     std::span<const Offer> offers) {
  std::vector<std::uint16_t> weights;
  weights.reserve(offers.size());
  for (const Offer& offer : offers) weights.push_back(weight_of(ranges, offer));
  std::vector<std::size_t> out = all_of(offers);
  std::erase_if(out, [&](std::size_t i) { return weights[i] == 0; });
  std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;  // ours among equals
  });
  return out;
}

// rule: MPP-62
std::vector<std::size_t> choose_offers(const std::optional<std::vector<PaymentRange>>& ranges,
                                       std::span<const Offer> offers) {
  if (!ranges) return all_of(offers);
  std::vector<std::size_t> out = rank_offers(*ranges, offers);
  return out.empty() ? all_of(offers) : out;
}

bool asks_for(std::span<const PaymentRange> ranges, std::string_view method,
              std::string_view intent) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const PaymentRange& range) {
    return range.intent == intent && range.weight > 0 && specificity(range, {method, intent}) > 0;
  });
}

}  // namespace octroi::mpp
