#include "octroi/vault/packs/stripe/questions.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/vault/packs/stripe/stripe.h"

namespace octroi::vault::stripe {

namespace {

using json::Value;

/// A kind of object that says how much and whose.
struct Kind {
  std::string_view field;  // in which requests name it; empty: none does
  std::string_view path;   // where it stands
};
constexpr std::array<Kind, 11> kKinds = {{
    {"charge", "/v1/charges/"},
    {"payment_intent", "/v1/payment_intents/"},
    {"invoice", "/v1/invoices/"},
    {"subscription", "/v1/subscriptions/"},
    {"credit_note", "/v1/credit_notes/"},
    {"", "/v1/quotes/"},
    {"", "/v1/application_fees/"},
    {"", "/v1/transfers/"},
    {"", "/v1/payouts/"},
    {"", "/v1/refunds/"},
    {"", "/v1/invoiceitems/"},
}};

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// What the request is about: "/v1/charges/" and its id; nothing when it names none, or several.
struct Subject {
  std::string_view path;
  std::string id;
};
std::optional<Subject> subject_of(const Input& input) {
  std::optional<Subject> found;
  const auto add = [&](std::string_view path, std::string_view id) {
    if (found || !is_id(id)) return false;
    found = Subject{path, std::string(id)};
    return true;
  };
  const Form& form = input.body_kind == BodyKind::form ? input.form : input.query;
  for (const Kind& kind : kKinds) {
    if (input.path.starts_with(kind.path)) {
      std::string_view id = std::string_view(input.path).substr(kind.path.size());
      id = id.substr(0, id.find('/'));
      if (id == "search") continue;
      if (!add(kind.path, id)) return std::nullopt;
    }
    if (kind.field.empty() || !form.mentions(kind.field)) continue;
    const auto named = form.value(kind.field);
    if (!named || !*named || !add(kind.path, **named)) return std::nullopt;
  }
  return found;
}

std::int64_t number(const Value& object, std::string_view name) {
  return object.int64(name).value_or(-1);
}

/// What is left of it for this operation; below zero: it does not say.
std::int64_t amount_left(std::string_view path, policy::Direction direction,
                         std::string_view operation, const Value& o) {
  const bool refunds = direction == policy::Direction::refund;
  const auto rest = [&](std::string_view gone) {
    const std::int64_t all = number(o, "amount");
    const std::int64_t less = number(o, gone);
    return all >= 0 && less >= 0 && less <= all ? all - less : -1;
  };
  if (path == "/v1/charges/") return refunds ? rest("amount_refunded") : number(o, "amount");
  if (path == "/v1/payment_intents/") {
    if (refunds) return number(o, "amount_received");
    if (operation != "payment_intents.capture") return number(o, "amount");
    return number(o, "amount_capturable");
  }
  if (path == "/v1/invoices/") return number(o, "amount_remaining");
  if (path == "/v1/quotes/") return number(o, "amount_total");
  if (path == "/v1/application_fees/") return rest("amount_refunded");
  if (path == "/v1/transfers/") return rest("amount_reversed");
  if (path == "/v1/payouts/") return number(o, "amount");
  return -1;
}

/// "customer" is an id, or the object itself where it was expanded.
std::optional<std::string> customer_of(const Value& o) {
  const auto customer = o.find("customer");
  if (!customer) return std::nullopt;
  if (customer->is_string()) return std::string(customer->as_string().value_or(""));
  if (const auto id = customer->string("id")) return std::string(*id);
  return std::nullopt;
}

/// Operations where an amount that the object tells is what will be moved.
bool derives(const Row& row) {
  static constexpr std::array<std::string_view, 18> kNames = {
      "charges.capture",
      "charges.refund",
      "charges.refunds.create",
      "refunds.create",
      "payment_intents.update",
      "payment_intents.confirm",
      "payment_intents.capture",
      "payment_intents.increment_authorization",
      "payment_intents.apply_customer_balance",
      "invoices.pay",
      "invoices.finalize",
      "invoices.send",
      "quotes.accept",
      "application_fees.refund",
      "application_fees.refunds.create",
      "transfers.create_reversal",
      "payouts.reverse",
      "terminal.readers.refund_payment"};
  return std::ranges::find(kNames, row.name) != kNames.end();
}

/// What the request itself says; the object's currency belongs to it.
std::optional<std::int64_t> asked_for(const Row& row, const Input& input) {
  if (row.field.empty()) return std::nullopt;
  const auto text = input.form.value(row.field);
  if (!text || !*text) return std::nullopt;
  const auto minor = parse_minor(row.field, **text);
  return minor ? std::optional(*minor) : std::nullopt;
}

/// That of the amount once the request is done: an intent may be given another one. Anywhere else
/// the object's is meant, and a request that says another one is not understood.
std::optional<std::string> currency_after(const Row& row, const Input& input, const Value& object) {
  const auto asked = input.form.value("currency");
  const auto has = object.string("currency");
  if (!asked || !has) return std::nullopt;
  if (*asked && row.name == "payment_intents.update") return std::string(**asked);
  if (*asked && !http::equal_ignoring_case(**asked, *has)) return std::nullopt;
  return std::string(*has);
}

/// Lists that show what calls made, and the operations that make it.
struct List {
  std::string_view path;
  std::array<std::string_view, 3> operations;
};
constexpr std::array<List, 6> kLists = {{
    {"/v1/charges", {"charges.create"}},
    {"/v1/payment_intents", {"payment_intents.create"}},
    {"/v1/refunds", {"refunds.create", "charges.refund", "charges.refunds.create"}},
    {"/v1/payouts", {"payouts.create"}},
    {"/v1/transfers", {"transfers.create"}},
    {"/v1/topups", {"topups.create"}},
}};
const List* list_of(std::string_view operation) {
  if (operation.empty()) return nullptr;
  for (const List& list : kLists) {
    if (std::ranges::find(list.operations, operation) != list.operations.end()) return &list;
  }
  return nullptr;
}

/// An intent that was declined goes back to where it was before it had a payment method, and keeps
/// what went wrong; nobody is charged until it is confirmed again.
bool declined(const Value& o) {
  const auto error = o.find("last_payment_error");
  return o.string("status").value_or("") == "requires_payment_method" && error && !error->is_null();
}

bool failed(const Value& o) {
  static constexpr std::array<std::string_view, 3> kFailed = {"failed", "canceled", "reversed"};
  const std::string_view status = o.string("status").value_or("");
  return std::ranges::find(kFailed, status) != kFailed.end();
}

VendorItem item_of(const Value& o) {
  VendorItem item;
  item.object = std::string(o.string("id").value_or(""));
  if (const auto metadata = o.find("metadata"))
    item.mark = std::string(metadata->string("octroi_call").value_or(""));
  if (const auto created = o.int64("created")) item.created = from_unix_seconds(*created);
  item.again = declined(o);
  item.spent = !failed(o) && !item.again;
  const auto amount = o.int64("amount");
  const auto currency = o.string("currency");
  if (amount && *amount >= 0 && currency)
    item.minor = policy::MinorAmount{*amount, std::string(*currency), policy::MinorUnits::stripe};
  return item;
}

}  // namespace

std::string Questions::subject(const Operation& /*operation*/, const Input& input) const {
  const auto found = subject_of(input);
  return found ? std::string(found->path) + found->id : std::string();
}

Result<> Questions::learn(const Operation& operation, const Input& input, const Value& object,
                          policy::Call& call) const {
  const auto about = subject_of(input);
  if (!about || object.string("id").value_or("") != about->id)
    return fail(Errc::ambiguous, "Stripe answered with another object than was asked for");
  if (call.customer_unknown) {
    if (auto customer = customer_of(object)) {
      call.customers.push_back(std::move(*customer));
      call.customer_unknown = false;
    }
  }
  if (call.amount != policy::AmountState::unknown || operation.row >= table().size()) return {};
  const Row& row = table()[operation.row];
  const auto currency = currency_after(row, input, object);
  // An authorisation of which more may be captured costs more than the object says.
  if (!derives(row) || !currency || may_take_more(input)) return {};
  const std::int64_t minor =
      asked_for(row, input)
          .value_or(amount_left(about->path, operation.direction, operation.name, object));
  if (minor < 0) return {};
  call.minor = policy::MinorAmount{minor, *currency, policy::MinorUnits::stripe};
  call.amount = policy::AmountState::known;
  return {};
}

void Questions::mark(const Operation& operation, Input& input, std::string_view reservation) const {
  const bool form = input.body_kind == BodyKind::form || input.body_kind == BodyKind::none;
  if (list_of(operation.name) == nullptr || !form) return;
  input.form.set(kMark, reservation);
  input.body_kind = BodyKind::form;
  input.body = input.form.text();
  input.content_type = "application/x-www-form-urlencoded";
}

bool Questions::marks(std::string_view operation) const { return list_of(operation) != nullptr; }

/// These are judged and counted by all that a charge or an intent may cost from then on. A capture
/// counts the part that it takes; more may be taken by the next one.
bool Questions::counts_whole(std::string_view operation) const {
  static constexpr std::array<std::string_view, 5> kWhole = {
      "charges.create", "payment_intents.create", "payment_intents.update",
      "payment_intents.confirm", "payment_intents.increment_authorization"};
  return std::ranges::find(kWhole, operation) != kWhole.end();
}

std::vector<VendorList> Questions::lists(UnixMillis from, UnixMillis /*to*/) const {
  std::vector<VendorList> out;
  for (const List& list : kLists) {
    VendorList& one = out.emplace_back();
    one.target = fmt::format("{}?created[gt]={}&limit=100", list.path, from.seconds() - 1);
    for (const std::string_view name : list.operations) {
      if (!name.empty()) one.operations.emplace_back(name);
    }
  }
  return out;
}

Result<VendorPage> Questions::read_list(std::string_view target, const Value& answer) const {
  OCTROI_TRY(const Value data, answer.array("data"));
  VendorPage page;
  std::string last;
  for (const Value o : data.elements()) {
    VendorItem item = item_of(o);
    last = item.object;
    item.changes = target.starts_with("/v1/payment_intents");
    // A PaymentIntent's charge has its metadata: what was counted stands with the intent.
    const auto intent = o.find("payment_intent");
    const bool of_intent = target.starts_with("/v1/charges") && intent && !intent->is_null();
    if (!of_intent) page.items.push_back(std::move(item));
  }
  if (answer.boolean("has_more").value_or(false) && !last.empty()) {
    page.next = std::string(target.substr(0, target.find("&starting_after=")));
    page.next += "&starting_after=" + last;
  }
  return page;
}

std::string Questions::object(std::string_view operation, std::string_view id) const {
  const List* list = list_of(operation);
  return list != nullptr && is_id(id) ? fmt::format("{}/{}", list->path, id) : std::string();
}

Result<VendorItem> Questions::read_object(const Value& answer) const {
  VendorItem item = item_of(answer);
  if (item.object.empty()) return fail(Errc::ambiguous, "Stripe shows an object without an id");
  return item;
}

}  // namespace octroi::vault::stripe
