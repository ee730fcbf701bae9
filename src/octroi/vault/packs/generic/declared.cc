#include "octroi/vault/packs/generic/declared.h"

#include <algorithm>

#include <fmt/format.h>

#include "octroi/vault/field_path.h"
#include "octroi/vault/packs/generic/fields.h"
#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/packs/generic/questions.h"

namespace octroi::vault::generic {

namespace {

constexpr std::int64_t kMostMinor = 999'999'999'999;
constexpr std::int64_t kMostPieces = 1'000'000;

/// Which of the two a server takes a field from, when it stands in both, nobody knows.
Result<> check_query(const OperationSettings& o, const Input& input) {
  if (input.body_kind == BodyKind::none) return {};
  for (const auto& [name, unused] : input.query.fields()) {
    if (std::ranges::find(o.query, name) == o.query.end())
      return fail(Errc::ambiguous,
                  fmt::format("{} has a body, and takes no field {} in its query", o.name, name));
  }
  return {};
}

/// A mark is ours: it says which call made what.
Result<> check_mark(const OperationSettings& o, const Input& input, const policy::Call& call) {
  if (o.mark.empty()) return {};
  if (std::ranges::any_of(call.fields, [&](const auto& f) { return f.first.starts_with(o.mark); }))
    return fail(Errc::ambiguous, fmt::format("the field {} is not allowed", o.mark));
  const bool marked = input.document ? with_text_at(input.document->root(), o.mark, "").has_value()
                                     : input.body_kind == BodyKind::form;
  if (marked) return {};
  return fail(Errc::ambiguous, fmt::format("{} has no place for its mark: send {} with a body "
                                           "of fields",
                                           o.name, o.name));
}

Result<> read_customers(const OperationSettings& o, const json::Value& root, policy::Call& call) {
  OCTROI_TRY(const Found found, find_all(root, o.customer));
  call.customer_unknown = found.missing;
  for (const json::Value& v : found.all) {
    auto customer = scalar_at(v, "");
    if (customer && !customer->empty()) {
      call.customers.push_back(std::move(*customer));
    } else {
      call.customer_unknown = true;
    }
  }
  return {};
}

/// What all of these say; nothing when one of them does not, or two say different things.
Result<std::optional<std::string>> currency_of(const std::string& path, const json::Value& root) {
  if (path.starts_with('=')) return std::optional(path.substr(1));
  OCTROI_TRY(const Found found, find_all(root, path));
  std::optional<std::string> out;
  for (const json::Value& v : found.all) {
    const auto one = scalar_at(v, "");
    if (!one || found.missing) return std::optional<std::string>();
    if (out && *out != *one)
      return fail(Errc::ambiguous, fmt::format("{} is not the same everywhere", path));
    out = one;
  }
  return out;
}

/// Of one line: nothing when it does not say how much.
Result<std::optional<std::int64_t>> line_amount(const OperationSettings& o, const json::Value& line,
                                                const std::string& currency) {
  OCTROI_TRY(const Found found, find_all(line, path_lines(o.amount).rest));
  const auto amount = found.text();
  if (!amount) return std::optional<std::int64_t>();
  std::int64_t minor = 0;
  if (o.major) {
    OCTROI_TRY(minor, parse_major(o.amount, *amount, currency));
  } else {
    OCTROI_TRY(minor, parse_minor(o.amount, *amount));
  }
  if (o.quantity.empty()) return std::optional(minor);
  OCTROI_TRY(const Found times, find_all(line, path_lines(o.quantity).rest));
  const auto text = times.text();
  if (!text) return std::optional<std::int64_t>();
  OCTROI_TRY(const std::int64_t quantity, parse_minor(o.quantity, *text));
  if (quantity > kMostPieces)
    return fail(Errc::ambiguous, fmt::format("{} is more than a million", o.quantity));
  return std::optional(minor * quantity);
}

Result<> read_amount(const OperationSettings& o, const json::Value& root, policy::Call& call) {
  call.amount = policy::AmountState::unknown;
  OCTROI_TRY(const auto currency, currency_of(o.currency, root));
  OCTROI_TRY(const Found lines, find_all(root, path_lines(o.amount).elements));
  if (!currency || lines.missing) return {};
  std::int64_t sum = 0;
  for (const json::Value& line : lines.all) {
    OCTROI_TRY(const auto minor, line_amount(o, line, *currency));
    if (!minor) return {};
    if (*minor > kMostMinor - sum)
      return fail(Errc::ambiguous, fmt::format("{} is too much", o.amount));
    sum += *minor;
  }
  call.amount = policy::AmountState::known;
  call.minor = policy::MinorAmount{sum, *currency, policy::MinorUnits::iso};
  return {};
}

/// Nothing when the answer does not say all of it.
std::optional<policy::MinorAmount> answered_amount(const OperationSettings& o,
                                                   const json::Value& answer) {
  OperationSettings said;
  said.amount = o.answer_amount;
  said.currency = o.answer_currency.empty() ? o.currency : o.answer_currency;
  said.major = o.major;
  policy::Call call;
  if (!read_amount(said, answer, call)) return std::nullopt;
  return call.minor;
}

/// Whether something stands there that is not empty.
bool says_something(const json::Value& answer, const std::string& path) {
  const auto found = find_all(answer, path);
  if (!found) return true;
  return std::ranges::any_of(found->all, [](const json::Value& v) {
    if (v.is_array() || v.is_object()) return v.size() > 0;
    const auto text = scalar_at(v, "");
    return text && !text->empty() && *text != "false";
  });
}

/// GraphQL October 2021, section 7.1: without data nothing ran; with errors beside it nobody
/// knows how far it came.
Outcome::State state_of_graphql(const OperationSettings& o, const json::Value& answer,
                                std::optional<json::Value>& field) {
  const bool failed = says_something(answer, "errors");
  const auto data = answer.find("data");
  if (!data || !data->is_object())
    return failed && !data ? Outcome::State::refused : Outcome::State::unknown;
  if (failed) return Outcome::State::unknown;
  const std::string_view name = std::string_view(o.graphql).substr(o.graphql.find(' ') + 1);
  field = name == "*" ? data : data->find(name);
  return field ? Outcome::State::done : Outcome::State::unknown;
}

}  // namespace

Result<> read_request(const OperationSettings& o, const Input& input, const json::Value& root,
                      policy::Call& call) {
  OCTROI_CHECK(check_query(o, input));
  OCTROI_CHECK(check_mark(o, input, call));
  if (!o.customer.empty()) OCTROI_CHECK(read_customers(o, root, call));
  return o.amount.empty() ? Result<>{} : read_amount(o, root, call);
}

void read_answer(const OperationSettings& o, std::string_view body, Outcome& out) {
  const auto document = json::parse(body);
  if (!document) {
    if (!o.graphql.empty()) out.state = Outcome::State::unknown;
    return;
  }
  std::optional<json::Value> answer = document->root();
  if (!o.graphql.empty()) {
    out.state = state_of_graphql(o, document->root(), answer);
    if (out.state != Outcome::State::done) return;
  }
  if (!o.errors.empty() && says_something(*answer, o.errors)) {
    out.state = Outcome::State::refused;
    return;
  }
  if (!o.answer_id.empty()) out.object = scalar_at(*answer, o.answer_id).value_or("");
  if (!o.answer_amount.empty()) out.minor = answered_amount(o, *answer);
}

}  // namespace octroi::vault::generic
