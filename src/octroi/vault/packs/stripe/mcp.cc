#include "octroi/vault/packs/stripe/mcp.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/packs/mcp/mcp.h"
#include "octroi/vault/packs/stripe/stripe.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {

namespace stripe {

namespace {

constexpr std::array kTools = {
    // Money.
    ToolRow{"create_refund", "POST", "/v1/refunds", "payment_intent charge amount reason metadata"},
    ToolRow{"create_payment_link", "POST", "/v1/payment_links",
            "price quantity redirect_url metadata"},
    ToolRow{"create_invoice", "POST", "/v1/invoices",
            "customer days_until_due collection_method description metadata"},
    ToolRow{"create_invoice_item", "POST", "/v1/invoiceitems",
            "customer price invoice amount currency quantity description metadata"},
    ToolRow{"finalize_invoice", "POST", "/v1/invoices/{invoice}/finalize", "invoice"},
    ToolRow{"update_subscription", "POST", "/v1/subscriptions/{subscription}",
            "subscription items proration_behavior metadata"},
    ToolRow{"cancel_subscription", "DELETE", "/v1/subscriptions/{subscription}",
            "subscription cancellation_details invoice_now prorate"},
    // Other changes.
    ToolRow{"create_customer", "POST", "/v1/customers", ""},
    ToolRow{"create_product", "POST", "/v1/products", ""},
    ToolRow{"create_price", "POST", "/v1/prices", ""},
    ToolRow{"create_coupon", "POST", "/v1/coupons", ""},
    ToolRow{"update_dispute", "POST", "/v1/disputes/{dispute}", ""},
    // Reads.
    ToolRow{"list_customers", "GET", "/v1/customers", ""},
    ToolRow{"list_products", "GET", "/v1/products", ""},
    ToolRow{"list_prices", "GET", "/v1/prices", ""},
    ToolRow{"list_invoices", "GET", "/v1/invoices", ""},
    ToolRow{"list_payment_intents", "GET", "/v1/payment_intents", ""},
    ToolRow{"list_subscriptions", "GET", "/v1/subscriptions", ""},
    ToolRow{"list_coupons", "GET", "/v1/coupons", ""},
    ToolRow{"list_disputes", "GET", "/v1/disputes", ""},
    ToolRow{"retrieve_balance", "GET", "/v1/balance", ""},
    ToolRow{"get_stripe_account_info", "", "", ""},
    ToolRow{"search_stripe_resources", "", "", ""},
    ToolRow{"fetch_stripe_resources", "", "", ""},
    ToolRow{"search_stripe_documentation", "", "", ""},
    ToolRow{"search_documentation", "", "", ""},
};

/// Rows of tools that the configuration adds.
constexpr std::size_t kDeclared = 1000;

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// Whether `name` is one of the words of `list`.
bool is_word_of(std::string_view name, std::string_view list) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

constexpr std::size_t kMostArguments = 512;

/// A form is a list; JSON has more than one way to come to the same name: {"a[b]":1,"a":{"b":2}}.
Result<> add_field(Form& out, const std::string& name, std::string_view value) {
  const bool there =
      std::ranges::any_of(out.fields(), [&](const auto& f) { return f.first == name; });
  if (there) return fail(Errc::ambiguous, fmt::format("the argument {} stands there twice", name));
  if (out.fields().size() >= kMostArguments)
    return fail(Errc::ambiguous, "the call has more arguments than can be judged");
  out.set(name, value);
  return {};
}

/// An argument as the API's forms write it: "items[0][price]=price_1".
Result<> write_form(Form& out, const std::string& name, const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::object:
    case json::Kind::array:
      break;
    case json::Kind::null:
      return fail(Errc::ambiguous, fmt::format("the argument {} is null: leave it out", name));
    case json::Kind::string:
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      return add_field(out, name, scalar_at(value, "").value_or(""));
  }
  if (value.size() == 0)
    return fail(Errc::ambiguous, fmt::format("the argument {} is empty: leave it out", name));
  for (const auto& [key, member] : value.members())
    OCTROI_CHECK(write_form(out, fmt::format("{}[{}]", name, key), member));
  std::size_t i = 0;
  for (const json::Value element : value.elements())
    OCTROI_CHECK(write_form(out, fmt::format("{}[{}]", name, i++), element));
  return {};
}

/// The path of a tool, and the argument that stands in it.
Result<std::string> path_of(const ToolRow& row, const std::optional<json::Value>& arguments,
                            std::string_view& in_path) {
  const std::size_t open = row.path.find('{');
  if (open == std::string_view::npos) return std::string(row.path);
  const std::size_t close = row.path.find('}', open);
  in_path = row.path.substr(open + 1, close - open - 1);
  const auto value = arguments ? arguments->find(in_path) : std::nullopt;
  const std::string_view id = value ? value->as_string().value_or("") : std::string_view();
  if (!is_id(id))
    return fail(Errc::ambiguous, fmt::format("the argument {} must be an id", in_path));
  return fmt::format("{}{}{}", row.path.substr(0, open), id, row.path.substr(close + 1));
}

/// The request that Stripe's API would get.
Result<Input> as_request(const ToolRow& row, const mcp::ToolCall& call, const VendorPack& api) {
  Input out;
  out.method = std::string(row.method);
  std::string_view in_path;
  OCTROI_TRY(out.path, path_of(row, call.arguments, in_path));
  Form written;
  if (call.arguments) {
    for (const auto& [key, value] : call.arguments->members()) {
      if (!row.arguments.empty() && !is_word_of(key, row.arguments)) {
        return fail(Errc::ambiguous,
                    fmt::format("{} is not an argument of {} that octroi knows", key, row.tool));
      }
      if (key == in_path) continue;
      OCTROI_CHECK(write_form(written, std::string(key), value));
    }
  }
  if (written.empty()) return out;
  const std::string text = written.text();
  if (row.method == "GET") {
    OCTROI_TRY(out.query, Form::parse(text, api.query_rules()));
    return out;
  }
  OCTROI_TRY(out.form, Form::parse(text, api.form_rules()));
  out.body_kind = BodyKind::form;
  out.content_type = "application/x-www-form-urlencoded";
  out.body = out.form.text();
  return out;
}

/// Errors of the API after which nothing was done.
bool is_refusal(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kTypes = {"card_error", "invalid_request_error",
                                                             "idempotency_error"};
  const auto doc = json::parse(text);
  if (!doc) return false;
  const auto inner = doc->root().find("error");
  const json::Value error = inner && inner->is_object() ? *inner : doc->root();
  return std::ranges::find(kTypes, error.string("type").value_or("")) != kTypes.end();
}

class Book final : public mcp::ToolBook {
 public:
  Book(const VendorPack& api, std::vector<ToolSettings> more)
      : api_(api), declared_(std::move(more)) {}

  std::optional<Tool> find(std::string_view name) const override {
    const auto row = std::ranges::find(kTools, name, &ToolRow::tool);
    if (row == kTools.end()) {
      auto tool = declared_.find(name);
      if (tool) tool->row += kDeclared;
      return tool;
    }
    const bool reads = row->method.empty() || row->method == "GET";
    return Tool{static_cast<std::size_t>(row - kTools.begin()),
                reads ? policy::Direction::read : api_.route(row->method, row->path).direction};
  }

  Result<> read(const Tool& tool, const mcp::ToolCall& call, policy::Call& out) const override {
    if (tool.row >= kDeclared) return declared_.read(declared(tool), call, out);
    const ToolRow& row = kTools[tool.row];
    if (row.method.empty()) {
      if (call.arguments) flatten(*call.arguments, "", out.fields);
      return {};
    }
    OCTROI_TRY(const Input request, as_request(row, call, api_));
    OCTROI_TRY(policy::Call judged,
               api_.extract(api_.route(request.method, request.path), request));
    // It is this call still, of that operation.
    judged.operation = std::move(out.operation);
    judged.method = std::move(out.method);
    judged.path = std::move(out.path);
    judged.direction = out.direction;
    out = std::move(judged);
    return {};
  }

  Outcome settle(const Tool& tool, const mcp::ToolResult& result) const override {
    if (tool.row >= kDeclared) return declared_.settle(declared(tool), result);
    Outcome out;
    if (result.is_error) {
      if (is_refusal(result.text)) out.state = Outcome::State::refused;
      return out;
    }
    const ToolRow& row = kTools[tool.row];
    out.state = Outcome::State::done;
    if (row.method.empty()) return out;
    return api_.settle(api_.route(row.method, row.path), 200, {}, result.text, true);
  }

  /// What the API would be asked about this call; nothing for tools that are none of the API's.
  [[nodiscard]] std::optional<Input> request_of(const Input& input) const {
    const auto call = mcp::tool_call_in(input);
    const auto tool = call ? find(call->tool) : std::nullopt;
    if (!tool || tool->row >= kDeclared || kTools[tool->row].method.empty()) return std::nullopt;
    auto request = as_request(kTools[tool->row], *call, api_);
    if (!request) return std::nullopt;
    return std::move(*request);
  }

 private:
  static Tool declared(const Tool& tool) { return {tool.row - kDeclared, tool.direction}; }

  const VendorPack& api_;
  mcp::DeclaredTools declared_;
};

/// Look-ups are those of the API. Nothing can be marked there, so no list says what was not done.
class DoorQuestions final : public VendorQuestions {
 public:
  DoorQuestions(const VendorPack& api, const Book& book) : api_(api), book_(book) {}

  std::string subject(const Operation& /*operation*/, const Input& input) const override {
    const auto request = book_.request_of(input);
    if (!request) return {};
    return api_.questions()->subject(api_.route(request->method, request->path), *request);
  }
  Result<> learn(const Operation& /*operation*/, const Input& input, const json::Value& object,
                 policy::Call& call) const override {
    const auto request = book_.request_of(input);
    if (!request) return {};
    return api_.questions()->learn(api_.route(request->method, request->path), *request, object,
                                   call);
  }

 private:
  const VendorPack& api_;
  const Book& book_;
};

class DoorPack final : public mcp::McpPack {
 public:
  DoorPack(std::unique_ptr<VendorPack> api, const DoorSettings& door, std::unique_ptr<Book> book)
      : McpPack(door.endpoint, AuthStyle{}, std::move(book)),
        api_(std::move(api)),
        questions_(*api_, static_cast<const Book&>(this->book())) {}

  std::vector<std::string> hosts() const override { return {"mcp.stripe.com"}; }
  KeyShape shape() const override { return api_->shape(); }
  std::optional<bool> is_live(const Secret& real) const override { return api_->is_live(real); }
  Result<> check_headers(const http::Headers& headers) const override {
    OCTROI_CHECK(McpPack::check_headers(headers));
    return api_->check_headers(headers);
  }
  const VendorQuestions* questions() const override { return &questions_; }

 private:
  std::unique_ptr<VendorPack> api_;
  DoorQuestions questions_;
};

}  // namespace

std::span<const ToolRow> tools() { return kTools; }

}  // namespace stripe

std::unique_ptr<VendorPack> make_stripe_mcp_pack(const VendorSettings& vendor) {
  auto api = make_stripe_pack();
  auto book = std::make_unique<stripe::Book>(*api, vendor.tools);
  return std::make_unique<stripe::DoorPack>(std::move(api), *vendor.door, std::move(book));
}

}  // namespace octroi::vault
