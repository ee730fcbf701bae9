#include "octroi/vault/packs/generic/generic.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/field_path.h"
#include "octroi/vault/oauth.h"
#include "octroi/vault/packs/generic/declared.h"
#include "octroi/vault/packs/generic/fields.h"
#include "octroi/vault/packs/generic/graphql.h"
#include "octroi/vault/packs/generic/questions.h"
#include "octroi/vault/packs/generic/signing.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kUndeclared = 100'000;
constexpr std::size_t kGraphql = 100'001;  // at a path of GraphQL operations, none of them yet

bool is_read_method(std::string_view method) { return method == "GET" || method == "HEAD"; }

std::string_view word_of(Errc code) {
  std::string_view text = error_info(code).code;
  text.remove_prefix(text.find('.') + 1);
  return text;
}

using generic::tree_of;

class GenericPack final : public VendorPack {
 public:
  explicit GenericPack(const VendorSettings& vendor)
      : operations_(vendor.operations),
        auth_(parse_auth_style(vendor.auth).value_or(AuthStyle{})),
        questions_(vendor) {
    if (!vendor.hosts.empty()) hosts_ = vendor.hosts;
    if (vendor.hmac) signing_.emplace(*vendor.hmac);
    if (vendor.oauth) grant_.emplace(*vendor.oauth);
  }

  std::vector<std::string> hosts() const override { return hosts_; }
  std::vector<Place> places() const override {
    return signing_ ? signing_->places() : places_of(auth_);
  }
  Result<> check_credential(const Secret& real) const override {
    if (grant_) return grant_->check_credential(real);
    OCTROI_CHECK(VendorPack::check_credential(real));
    return signing_ ? signing_->check_credential(real) : Result<>{};
  }
  const TokenGrant* grant() const override { return grant_ ? &*grant_ : nullptr; }

  Form::Rules form_rules() const override { return {.max_fields = 2000}; }
  Form::Rules query_rules() const override { return {.max_fields = 512, .free_names = true}; }

  bool takes(const Operation& operation, const Input& input) const override {
    if (operation.row == kGraphql) return false;
    // What is judged by a field must be read; what is judged by its path alone passes as it is.
    if (input.body_kind != BodyKind::other || operation.row == kUndeclared) return true;
    const OperationSettings& o = operations_[operation.row];
    return o.amount.empty() && o.customer.empty();
  }

  bool has_operation(std::string_view name) const override {
    return names_operation(operations_, name);
  }

  Operation route(std::string_view method, std::string_view path) const override {
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const OperationSettings& o = operations_[i];
      if (!o.graphql.empty()) {
        if (path_matches(o.path, path)) return {"", policy::Direction::write, kGraphql};
      } else if (o.method == method && path_matches(o.path, path)) {
        return declared(i);
      }
    }
    return {"", is_read_method(method) ? policy::Direction::read : policy::Direction::write,
            kUndeclared};
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    OCTROI_CHECK(check_method_field(input));
    policy::Call call = call_of(operation, input);
    call.unread = input.body_kind == BodyKind::other;
    std::optional<json::Document> made;
    OCTROI_TRY(const json::Value root, judged(input, made));
    list_fields(input, root, call);
    if (operation.row == kUndeclared) return call;
    OCTROI_CHECK(generic::read_request(operations_[operation.row], input, root, call));
    return call;
  }

  Result<Operation> name(Operation routed, const http::Headers& /*headers*/,
                         Input& input) const override {
    if (signing_) signing_->drop(input);
    return routed.row == kGraphql ? name_graphql(input) : std::move(routed);
  }

  void prepare(Sending s) const override {
    if (!signing_) put_credential(auth_, s);
  }
  void sign(const Sending& s, std::string_view authority, UnixMillis now) const override {
    if (signing_) signing_->sign(s, authority, now);
  }

  std::vector<Hidden> hidden(const Secret& real, const ledger::VaultKey& shown) const override {
    std::vector<Hidden> out = VendorPack::hidden(real, shown);
    if (signing_) {
      for (Hidden& h : signing_->hidden(real)) out.push_back(std::move(h));
    } else if (grant_) {
      for (Secret& text : grant_->spellings(real))
        out.push_back({std::move(text), "vault_redacted"});
    } else {
      hide_parts(auth_, real, out);
    }
    return out;
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    Outcome out = outcome_by(status, headers, "x-request-id");
    if (operation.row >= operations_.size() || !whole || out.state != Outcome::State::done)
      return out;
    generic::read_answer(operations_[operation.row], body, out);
    return out;
  }

  const VendorQuestions* questions() const override { return &questions_; }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    json::Writer w;
    w.begin_object().key("error").begin_object();
    w.field("type", std::string(word_of(denial.code)));
    w.field("code", denial.reason);
    w.field("message", denial.message);
    if (denial.resets_at) w.field("resets_at", to_rfc3339(*denial.resets_at));
    w.end_object().end_object();
    out.body = std::move(w).take();
    return out;
  }

 private:
  Operation declared(std::size_t row) const {
    const OperationSettings& o = operations_[row];
    return {o.name, policy::direction_from_string(o.direction).value_or(policy::Direction::write),
            row};
  }

  /// What the declared paths are looked up in: the body, or the query of a request without one.
  static Result<json::Value> judged(const Input& input, std::optional<json::Document>& made) {
    if (input.arguments) return input.arguments->root();
    if (input.document) return input.document->root();
    const bool unread = input.body_kind == BodyKind::other;
    const Form& form = input.body_kind == BodyKind::form ? input.form : input.query;
    OCTROI_TRY(made, tree_of(unread ? Form() : form));
    return made->root();
  }

  /// Every field, under its name as it was sent and, of forms, as paths are written.
  static void list_fields(const Input& input, const json::Value& root, policy::Call& call) {
    flatten(root, "", call.fields);
    for (const Form* form : {&input.form, &input.query}) {
      for (const auto& [name, value] : form->fields()) {
        const bool listed =
            std::ranges::find(call.fields, std::pair(name, value)) != call.fields.end();
        if (!listed) call.fields.emplace_back(name, value);
      }
    }
  }

  /// A field that some frameworks take for the method.
  static Result<> check_method_field(const Input& input) {
    constexpr std::string_view kField = "_method";
    bool there = false;
    if (input.document) {
      for (const auto& [key, unused] : input.document->root().members())
        there = there || folded(key) == kField;
    }
    for (const Form* form : {&input.form, &input.query}) {
      for (const auto& [name, unused] : form->fields()) there = there || folded(name) == kField;
    }
    return there ? fail(Errc::ambiguous, "the field _method is not allowed") : Result<>{};
  }

  /// Which of the declared ones a GraphQL request runs; what it gives to it is what is judged.
  Result<Operation> name_graphql(Input& input) const {
    if (input.method != "POST" || !input.document || !input.query.empty())
      return fail(Errc::unsupported_body, "send GraphQL as POST, with JSON and without a query");
    OCTROI_TRY(generic::GraphqlCall call, generic::read_graphql(input.document->root()));
    const std::string_view kind =
        call.kind == generic::GraphqlCall::Kind::mutation ? "mutation" : "query";
    const auto runs = [&](const OperationSettings& o) {
      const std::size_t space = o.graphql.find(' ');
      const std::string_view field = std::string_view(o.graphql).substr(space + 1);
      return o.graphql.starts_with(kind) && path_matches(o.path, input.path) &&
             (field == "*" || std::ranges::count(call.fields, field) == std::ssize(call.fields));
    };
    const auto found = std::ranges::find_if(operations_, runs);
    if (found == operations_.end())
      return fail(Errc::unknown_operation,
                  fmt::format("no operation is declared for {} {}", kind, call.fields[0]));
    input.arguments.emplace(std::move(call.arguments));
    return declared(static_cast<std::size_t>(found - operations_.begin()));
  }

  std::vector<OperationSettings> operations_;
  AuthStyle auth_;
  std::optional<generic::HmacSigning> signing_;
  std::optional<TokenGrant> grant_;
  std::vector<std::string> hosts_;
  generic::Questions questions_;
};

}  // namespace

Result<AuthStyle> parse_auth_style(std::string_view text) {
  if (text == "bearer" || text.empty()) return AuthStyle{};
  if (text == "basic") return AuthStyle{AuthStyle::Is::basic, ""};
  for (const auto& [prefix, is] : {std::pair{std::string_view("header:"), AuthStyle::Is::header},
                                   std::pair{std::string_view("query:"), AuthStyle::Is::query},
                                   std::pair{std::string_view("cookie:"), AuthStyle::Is::cookie}}) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view name = text.substr(prefix.size());
    if (!http::is_token(name)) break;
    return AuthStyle{is, std::string(name)};
  }
  return fail(Errc::ambiguous, "auth: write bearer, basic, header:NAME, query:NAME or cookie:NAME");
}

std::vector<Place> places_of(const AuthStyle& auth) {
  switch (auth.is) {
    case AuthStyle::Is::bearer:
    case AuthStyle::Is::basic:
      return {};
    case AuthStyle::Is::header:
      return {{Place::Is::header, auth.name}};
    case AuthStyle::Is::query:
      return {{Place::Is::query, auth.name}};
    case AuthStyle::Is::cookie:
      return {{Place::Is::cookie, auth.name}};
  }
  return {};
}

void put_credential(const AuthStyle& auth, VendorPack::Sending& sending) {
  switch (auth.is) {
    case AuthStyle::Is::bearer:
      set_bearer(sending.head.headers, sending.real);
      return;
    case AuthStyle::Is::basic:
      set_basic(sending.head.headers, sending.real);
      return;
    case AuthStyle::Is::header:
      sending.head.headers.set(auth.name, sending.real.reveal_text());
      return;
    case AuthStyle::Is::query:
      sending.input.query.set(auth.name, sending.real.reveal_text());
      return;
    case AuthStyle::Is::cookie: {
      std::string value = auth.name + "=" + std::string(sending.real.reveal_text());
      sending.head.headers.set("Cookie", value);
      secure_wipe(value.data(), value.size());
      return;
    }
  }
}

void hide_parts(const AuthStyle& auth, const Secret& real, std::vector<VendorPack::Hidden>& out) {
  const std::string_view text = real.reveal_text();
  if (auth.is == AuthStyle::Is::basic && text.find(':') != std::string_view::npos)
    out.push_back({Secret(text.substr(text.find(':') + 1)), "vault_redacted"});
}

Result<std::int64_t> parse_major(std::string_view field, std::string_view text,
                                 std::string_view currency) {
  const auto digits = policy::minor_digits(currency, policy::MinorUnits::iso);
  if (!digits) return fail(Errc::ambiguous, fmt::format("{}: unknown currency", field));
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  std::string joined(text.substr(0, point));
  const bool trailing_point = point + 1 == text.size();
  // "12.3400" is 12.34; "12.341" is no amount of cents.
  while (fraction.size() > static_cast<std::size_t>(*digits) && fraction.ends_with('0'))
    fraction.remove_suffix(1);
  if (joined.empty() || trailing_point || fraction.size() > static_cast<std::size_t>(*digits) ||
      (joined.size() > 1 && joined[0] == '0'))
    return fail(Errc::ambiguous, fmt::format("{} must be an amount such as 12.34", field));
  joined += fraction;
  joined.append(static_cast<std::size_t>(*digits) - fraction.size(), '0');
  const std::size_t first = std::min(joined.find_first_not_of('0'), joined.size() - 1);
  return parse_minor(field, std::string_view(joined).substr(first));
}

std::unique_ptr<VendorPack> make_generic_pack(const VendorSettings& vendor) {
  return std::make_unique<GenericPack>(vendor);
}

}  // namespace octroi::vault
