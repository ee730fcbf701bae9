#include "octroi/vault/packs/stripe/stripe.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/stripe/questions.h"

namespace octroi::vault {

namespace {

using stripe::Amount;
using stripe::may_take_more;
using stripe::Row;

/// Rows beyond the table: reads, and what is not known.
constexpr std::array<std::string_view, 3> kReads = {".retrieve", ".list", ".search"};
constexpr std::size_t kRead = 10'000;
constexpr std::size_t kUnknown = 10'001;

constexpr std::array<std::string_view, 8> kRecipientFields = {
    "destination", "transfer_data[destination]", "on_behalf_of", "destination_payment_method",
    "financial_account",
    // of version 2
    "to.recipient", "to.payout_method", "to.financial_account"};
/// Objects that belong to a customer whom only Stripe can name.
constexpr std::array<std::string_view, 5> kOwnedObjects = {"charge", "payment_intent", "invoice",
                                                           "subscription", "credit_note"};
constexpr std::array<std::string_view, 8> kOwnedPaths = {
    "/v1/charges/",       "/v1/payment_intents/", "/v1/invoices/", "/v1/refunds/",
    "/v1/subscriptions/", "/v1/invoiceitems/",    "/v1/quotes/",   "/v1/subscription_items/"};

/// "/v1/customers" is a list, "/v1/customers/cus_1" one of them, below that lists and ones again.
std::string read_name(std::string_view path) {
  const bool v2 = path.starts_with("/v2/");
  if (!v2 && !path.starts_with("/v1/")) return {};
  path.remove_prefix(4);
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  // Words of the API are lower case with underscores and no digits; ids have digits or capitals,
  // or are names that somebody chose, which stand in every second place.
  static constexpr std::array<std::string_view, 12> kSpaces = {
      "apps",     "billing", "billing_portal", "checkout",
      "climate",  "core",    "entitlements",   "financial_connections",
      "identity", "issuing", "radar",          "tax"};
  static constexpr std::array<std::string_view, 4> kMoreSpaces = {"terminal", "test_helpers",
                                                                  "treasury", "reporting"};
  std::string name = v2 ? "v2." : "";
  std::size_t at = 0;
  const bool spaced =
      parts.size() > 1 && (std::ranges::find(kSpaces, parts[0]) != kSpaces.end() ||
                           std::ranges::find(kMoreSpaces, parts[0]) != kMoreSpaces.end());
  if (spaced) name += std::string(parts[at++]) + ".";
  if (at >= parts.size() || parts[at].empty()) return {};
  name += parts[at++];
  bool one = false;
  for (; at < parts.size(); ++at) {
    if (parts[at].empty()) return {};
    if (!one) {
      if (at + 1 == parts.size() && parts[at] == "search") return name + ".search";
      one = true;
    } else {
      name += "." + std::string(parts[at]);
      one = false;
    }
  }
  if (name == "balance" || name == "account") one = true;  // there is only one
  return name + (one ? ".retrieve" : ".list");
}

/// Where an answer says what the call moved. Some answer with the whole object: with all of a
/// charge that was refunded in part they do not say it, and with what was captured of an intent
/// they say it for all its captures, which is the most that this one can have been.
std::string_view moved_field(std::string_view operation) {
  struct Place {
    std::string_view operation, field;
  };
  static constexpr std::array<Place, 5> kElsewhere = {{
      {"charges.capture", "amount_captured"},
      {"payment_intents.capture", "amount_received"},
      {"charges.refund", ""},
      {"application_fees.refund", ""},
      {"payment_intents.apply_customer_balance", ""},
  }};
  const auto* place = std::ranges::find(kElsewhere, operation, &Place::operation);
  return place == kElsewhere.end() ? "amount" : place->field;
}

bool is_currency(std::string_view text) {
  return text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

/// Reads the fields of one request into a Call.
class Reading {
 public:
  Reading(const Operation& operation, const Input& input)
      : operation_(operation),
        input_(input),
        row_(operation.row < stripe::table().size() ? &stripe::table()[operation.row] : nullptr) {}

  Result<policy::Call> call() {
    OCTROI_CHECK(check_shape());
    policy::Call out;
    out.operation = operation_.name;
    out.method = input_.method;
    out.path = input_.path;
    out.direction = operation_.direction;
    OCTROI_CHECK(read_fields(out));
    OCTROI_CHECK(read_amount(out));
    OCTROI_CHECK(read_customer(out));
    return out;
  }

 private:
  [[nodiscard]] bool is_read() const { return operation_.direction == policy::Direction::read; }

  Result<> check_shape() const {
    if (!is_read() && !input_.query.empty()) {
      return fail(Errc::ambiguous,
                  "parameters stand in the query of a request that changes something: send them in "
                  "the body");
    }
    if (is_read() && input_.body_kind != BodyKind::none)
      return fail(Errc::ambiguous, "a read has no body");
    for (const char* name : {"_method", "key"}) {
      if (input_.form.mentions(name) || input_.query.mentions(name))
        return fail(Errc::ambiguous, fmt::format("the field {} is not allowed", name));
    }
    // Ours: it says which call made what.
    if (input_.form.mentions(stripe::kMark))
      return fail(Errc::ambiguous, "the field metadata[octroi_call] is not allowed");
    for (const auto& [name, value] : input_.form.fields()) {
      if (name == "metadata")
        return fail(Errc::ambiguous, "the field metadata alone would take away all of it");
    }
    return {};
  }

  Result<std::optional<std::string>> field(std::string_view name) const {
    if (input_.document) {
      return scalar_at(input_.document->root(), name);
    }
    const Form& form = is_read() ? input_.query : input_.form;
    OCTROI_TRY(const auto value, form.value(name));
    return value ? std::optional<std::string>(std::string(*value)) : std::nullopt;
  }

  Result<> read_fields(policy::Call& out) const {
    if (input_.document) flatten(input_.document->root(), "", out.fields);
    const Form& form = is_read() ? input_.query : input_.form;
    for (const auto& [name, value] : form.fields()) out.fields.emplace_back(name, value);
    for (const std::string_view name : kRecipientFields) {
      OCTROI_TRY(auto value, field(name));
      if (value && !value->empty()) out.recipients.push_back(std::move(*value));
    }
    return {};
  }

  Result<> read_amount(policy::Call& out) const {
    using policy::AmountState;
    if (row_ == nullptr) {
      out.amount = is_read() ? AmountState::none : AmountState::unknown;
      return {};
    }
    switch (row_->amount) {
      case Amount::none:
        out.amount = moves_aside() ? AmountState::unknown : AmountState::none;
        return {};
      case Amount::derived:
        out.amount = AmountState::unknown;
        return {};
      case Amount::optional:
      case Amount::required:
        break;
    }
    if (may_take_more(input_)) {
      out.amount = AmountState::unknown;
      return {};
    }
    OCTROI_TRY(const auto amount, field(row_->field));
    // Version 2 has both in one object: "amount": {"value": 100, "currency": "usd"}.
    OCTROI_TRY(const auto currency,
               field(row_->field == "amount.value" ? "amount.currency" : "currency"));
    if (!amount) {
      // The same number of another currency is another amount.
      const bool stays = row_->amount == Amount::optional && !confirms() && !currency;
      out.amount = stays ? AmountState::none : AmountState::unknown;
      return {};
    }
    OCTROI_TRY(const std::int64_t minor, parse_minor(row_->field, *amount));
    if (!currency || is_of_an_object()) {
      out.amount = AmountState::unknown;
      return {};
    }
    if (!is_currency(*currency))
      return fail(Errc::ambiguous, "currency must be three letters, such as usd");
    out.amount = AmountState::known;
    out.minor = policy::MinorAmount{minor, *currency, policy::MinorUnits::stripe};
    return {};
  }

  /// Changes that move nothing by themselves, but for a field of theirs: credit that is given to a
  /// customer, and a cancellation that bills what is open.
  [[nodiscard]] bool moves_aside() const {
    for (const char* name : {"balance", "cash_balance", "invoice_now", "prorate"}) {
      if (input_.form.mentions(name)) return true;
    }
    return false;
  }

  /// Whether the amount is of the currency of something that was there, whatever the request says:
  /// no won are given back of a charge in dollars. An intent may be given another currency.
  [[nodiscard]] bool is_of_an_object() const {
    if (row_->name == "payment_intents.update" || row_->field == "amount.value") return false;
    if (row_->name != "refunds.create") return row_->path.find("{id}") != std::string_view::npos;
    return input_.form.mentions("charge") || input_.form.mentions("payment_intent");
  }

  /// What a request does at once beside what its operation is named after.
  [[nodiscard]] bool confirms() const { return input_.form.mentions("confirm"); }

  Result<> read_customer(policy::Call& out) const {
    for (const char* name : {"customer", "customer_account"}) {
      OCTROI_TRY(auto value, field(name));
      if (value && !value->empty()) out.customers.push_back(std::move(*value));
    }
    constexpr std::string_view kCustomers = "/v1/customers/";
    if (input_.path.starts_with(kCustomers) && input_.path != "/v1/customers/search") {
      const std::string_view rest = std::string_view(input_.path).substr(kCustomers.size());
      out.customers.emplace_back(rest.substr(0, rest.find('/')));
    }
    for (const std::string_view name : kOwnedObjects) {
      OCTROI_TRY(const auto value, field(name));
      if (value && !value->empty()) out.customer_unknown = true;
    }
    for (const std::string_view path : kOwnedPaths) {
      if (input_.path.starts_with(path)) out.customer_unknown = true;
    }
    return {};
  }

  const Operation& operation_;
  const Input& input_;
  const Row* row_;
};

std::string_view error_type(Errc code) {
  switch (code) {
    case Errc::idempotency_reuse:
      return "idempotency_error";
    case Errc::unavailable:
    case Errc::upstream_failed:
    case Errc::unknown_outcome:
    case Errc::encoded_answer:
    case Errc::token_refused:
    case Errc::bad_sealed:
      return "api_error";
    case Errc::no_key:
    case Errc::several_keys:
    case Errc::unknown_key:
    case Errc::key_revoked:
    case Errc::key_paused:
    case Errc::key_expired:
    case Errc::wrong_mode:
    case Errc::wrong_run:
    case Errc::unknown_vendor:
    case Errc::wrong_vendor:
    case Errc::unknown_operation:
    case Errc::ambiguous:
    case Errc::unsupported_body:
    case Errc::body_too_large:
    case Errc::denied:
    case Errc::over_cap:
    case Errc::in_flight:
      return "invalid_request_error";
  }
  return "api_error";
}

class StripePack final : public VendorPack {
 public:
  std::vector<std::string> hosts() const override { return {"api.stripe.com"}; }
  KeyShape shape() const override { return KeyShape::stripe; }
  std::optional<bool> is_live(const Secret& real) const override {
    const std::string_view text = real.reveal_text();
    if (text.starts_with("sk_live_") || text.starts_with("rk_live_")) return true;
    if (text.starts_with("sk_test_") || text.starts_with("rk_test_")) return false;
    return std::nullopt;
  }
  Result<> check_credential(const Secret& real) const override {
    OCTROI_CHECK(VendorPack::check_credential(real));
    if (!is_live(real))
      return fail(Errc::bad_sealed,
                  "a Stripe key begins with sk_live_, sk_test_, rk_live_ or rk_test_");
    return {};
  }

  Result<> check_headers(const http::Headers& headers) const override {
    OCTROI_CHECK(VendorPack::check_headers(headers));
    for (const char* name : {"stripe-account", "stripe-context"}) {
      if (headers.has(name)) {
        return fail(Errc::denied, fmt::format("the header {} would act in another account", name));
      }
    }
    return {};
  }

  bool takes(const Operation& operation, const Input& input) const override {
    switch (input.body_kind) {
      case BodyKind::none:
        return true;
      case BodyKind::form:
        return input.path.starts_with("/v1/");
      case BodyKind::json:
        return input.path.starts_with("/v2/") && operation.direction != policy::Direction::read;
      case BodyKind::other:
        return false;
    }
    return false;
  }

  /// Reads are named after their paths, of which there is no list.
  bool has_operation(std::string_view name) const override {
    return names_operation(stripe::table(), name) ||
           std::ranges::any_of(kReads, [&](std::string_view verb) { return name.ends_with(verb); });
  }

  Operation route(std::string_view method, std::string_view path) const override {
    if (method == "GET" || method == "HEAD") {
      std::string name = read_name(path);
      if (!name.empty()) return {std::move(name), policy::Direction::read, kRead};
      return {"", policy::Direction::write, kUnknown};
    }
    // A word of the API comes before an id in its place: "create_preview" is no invoice.
    const auto rows = stripe::table();
    std::size_t found = kUnknown;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].method != method) continue;
      if (found == kUnknown && path_matches(rows[i].path, path)) found = i;
      if (rows[i].path == path) {
        found = i;
        break;
      }
    }
    if (found == kUnknown) return {"", policy::Direction::write, kUnknown};
    return {std::string(rows[found].name), rows[found].direction, found};
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    return Reading(operation, input).call();
  }

  std::string continues(const Operation& operation, const Input& input) const override {
    static constexpr std::array<std::string_view, 3> kLaterSteps = {
        "charges.capture", "payment_intents.confirm", "payment_intents.capture"};
    std::string id;
    const bool later = std::ranges::find(kLaterSteps, operation.name) != kLaterSteps.end();
    if (later && !may_take_more(input))
      std::ignore = path_matches(stripe::table()[operation.row].path, input.path, &id);
    return id;
  }

  std::string_view idempotency_header() const override { return "Idempotency-Key"; }

  void prepare(Sending s) const override {
    set_bearer(s.head.headers, s.real);
    if (!s.idempotency_key.empty() && s.input.method == "POST")
      s.head.headers.set("Idempotency-Key", s.idempotency_key);
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    Outcome out = outcome_by(status, headers, "request-id");
    out.replayed = headers.get("idempotent-replayed").value_or("") == "true";
    if (out.state != Outcome::State::done || !whole) return out;
    const auto doc = json::parse(body);
    if (!doc) return out;
    out.object = std::string(doc->root().string("id").value_or(""));
    if (operation.row >= stripe::table().size() ||
        stripe::table()[operation.row].amount == Amount::none)
      return out;
    // Version 2 has both in one object.
    const auto both = doc->root().optional_object("amount").value_or(std::nullopt);
    const auto currency = both ? both->string("currency") : doc->root().string("currency");
    const std::string_view field = moved_field(operation.name);
    if (field.empty()) return out;
    const auto amount = both ? both->int64("value") : doc->root().int64(field);
    if (currency && amount && *amount >= 0 && is_currency(*currency)) {
      out.minor = policy::MinorAmount{*amount, std::string(*currency), policy::MinorUnits::stripe};
    }
    return out;
  }

  const VendorQuestions* questions() const override { return &questions_; }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    out.head.headers.add("Stripe-Should-Retry",
                         out.head.headers.get("X-Should-Retry").value_or("false"));
    json::Writer w;
    w.begin_object().key("error").begin_object();
    w.field("type", std::string(error_type(denial.code)));
    w.field("code", denial.reason);
    w.field("message", denial.message);
    if (denial.resets_at) w.field("resets_at", to_rfc3339(*denial.resets_at));
    w.end_object().end_object();
    out.body = std::move(w).take();
    return out;
  }

 private:
  stripe::Questions questions_;
};

}  // namespace

bool stripe::may_take_more(const Input& input) {
  return std::ranges::any_of(input.form.fields(), [](const auto& field) {
    return field.first.ends_with("[request_overcapture]") && field.second != "never";
  });
}

std::unique_ptr<VendorPack> make_stripe_pack() { return std::make_unique<StripePack>(); }

}  // namespace octroi::vault
