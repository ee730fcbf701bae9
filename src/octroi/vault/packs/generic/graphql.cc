#include "octroi/vault/packs/generic/graphql.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/packs/generic/graphql_lexer.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault::generic {

namespace {

using json::Value;
using Token = GraphqlToken;
using TokenKind = GraphqlToken::Kind;

constexpr std::size_t kDeepest = 32;
/// One variable may stand in many places.
constexpr std::size_t kMostArgumentBytes = 1U << 20;
constexpr std::array<std::string_view, 4> kMembers = {"query", "variables", "operationName",
                                                      "extensions"};

tl::unexpected<Error> ambiguous(std::string_view message) {
  return fail(Errc::ambiguous, std::string(message));
}

/// Names as messages may show them; they are letters, digits and "_".
std::string_view shown(std::string_view name) { return name.substr(0, 60); }

struct Operation {
  GraphqlCall::Kind kind = GraphqlCall::Kind::query;
  std::string name;  // empty: none
  std::vector<std::string> fields;
  std::string arguments = "{}";
};

/// Reads a document to its end. Of its arguments only those of a mutation's root field are kept,
/// as JSON text, with the variables filled in as they come.
class Reader : private GraphqlCursor {
 public:
  Reader(std::string_view document, std::vector<Token> tokens, std::optional<Value> variables)
      : GraphqlCursor(document, std::move(tokens)), given_(variables) {}

  Result<Operation> read() {
    while (!at_end()) OCTROI_CHECK(definition());
    if (!operation_) return wrong("it has no operation: send a query or a mutation");
    for (const Token* used : used_) {
      if (!variables_.contains(used->text))
        return wrong(*used, fmt::format("define the variable ${}", shown(used->text)));
    }
    return *std::move(operation_);
  }

 private:
  /// One level of nesting.
  class Nest {
   public:
    explicit Nest(std::size_t& depth) : depth_(depth) { ++depth_; }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;
    ~Nest() { --depth_; }

   private:
    std::size_t& depth_;
  };

  [[nodiscard]] Result<> check_depth() const {
    if (depth_ > kDeepest) return wrong(fmt::format("it nests deeper than {} levels", kDeepest));
    return {};
  }

  // What is kept.
  void keep(std::string_view json) {
    if (out_ != nullptr) *out_ += json;
  }
  void keep_quoted(std::string_view text) {
    if (out_ != nullptr) json::append_quoted(*out_, text);
  }
  /// Before a member or an element.
  void keep_comma() {
    if (out_ != nullptr && out_->back() != '{' && out_->back() != '[') *out_ += ',';
  }

  // 2.2 Document; 2.8 Fragments
  Result<> definition() {
    if (at_word("fragment")) return fragment();
    if (at("{") || at_word("query") || at_word("mutation")) return operation();
    if (at_word("subscription")) return wrong("a subscription: send a query or a mutation");
    return wrong("only a query or a mutation and its fragments may stand here");
  }

  Result<> fragment() {
    advance();
    if (at_word("on")) return wrong("a fragment needs a name");
    OCTROI_CHECK(name("a fragment"));
    if (!at_word("on")) return wrong("a fragment needs \"on\" and a type");
    advance();
    OCTROI_CHECK(name("a type"));
    OCTROI_CHECK(directives(/*constant=*/false));
    return selection_set();
  }

  // 2.3 Operations
  Result<> operation() {
    if (operation_) return wrong("a second operation: send each in a request of its own");
    operation_.emplace();
    if (!at("{")) {
      if (at_word("mutation")) operation_->kind = GraphqlCall::Kind::mutation;
      advance();
      if (peek().kind == TokenKind::name) operation_->name = advance().text;
      if (at("(")) OCTROI_CHECK(variable_definitions());
      OCTROI_CHECK(directives(/*constant=*/false));
    }
    return root();
  }

  Result<> root() {
    const Nest nest(depth_);
    OCTROI_CHECK(expect("{"));
    const bool mutation = operation_->kind == GraphqlCall::Kind::mutation;
    do {
      if (at("...")) return wrong("a fragment at the root: write the fields themselves");
      OCTROI_CHECK(mutation ? mutation_field() : query_field());
    } while (!take("}"));
    return {};
  }

  Result<> query_field() {
    const bool aliased = peek(1).kind == TokenKind::punctuator && peek(1).text == ":";
    operation_->fields.push_back(peek(aliased ? 2 : 0).text);
    return field();
  }

  Result<> mutation_field() {
    if (!operation_->fields.empty() && !at_end())
      return wrong("a mutation runs one field: send each in a request of its own");
    OCTROI_TRY(const Token* field, name("a field"));
    operation_->fields.push_back(field->text);
    if (at(":")) return wrong("an alias at a mutation's root: leave it out");
    if (at("(")) {
      operation_->arguments.clear();
      out_ = &operation_->arguments;
      OCTROI_CHECK(arguments(/*constant=*/false));
      out_ = nullptr;
    }
    if (at("@")) return wrong("a directive at a mutation's root: leave it out");
    if (at("{")) OCTROI_CHECK(selection_set());
    return {};
  }

  // 2.10 Variables
  Result<> variable_definitions() {
    OCTROI_CHECK(expect("("));
    do {
      OCTROI_CHECK(variable_definition());
    } while (!take(")"));
    return {};
  }

  // 6.1.2 CoerceVariableValues: what is given, null too, goes before the default.
  Result<> variable_definition() {
    OCTROI_CHECK(expect("$"));
    OCTROI_TRY(const Token* variable, name("a variable"));
    OCTROI_CHECK(expect(":"));
    OCTROI_TRY(const bool required, type());
    std::optional<std::string> value;
    if (take("=")) {
      if (required && at_word("null")) return wrong("a default of null for a type that ends in !");
      out_ = &value.emplace();
      OCTROI_CHECK(this->value(/*constant=*/true));
      out_ = nullptr;
    }
    OCTROI_CHECK(directives(/*constant=*/true));
    if (const auto given = given_ ? given_->find(variable->text) : std::nullopt)
      value = given->to_json();
    if (!variables_.emplace(variable->text, std::move(value)).second)
      return wrong(*variable, fmt::format("${} is defined twice", shown(variable->text)));
    return {};
  }

  // 2.11 Type References
  /// Whether it ends in "!".
  Result<bool> type() {
    const Nest nest(depth_);
    OCTROI_CHECK(check_depth());
    if (take("[")) {
      OCTROI_CHECK(type());
      OCTROI_CHECK(expect("]"));
    } else {
      OCTROI_CHECK(name("a type"));
    }
    return take("!");
  }

  // 2.4 Selection Sets to 2.8 Fragments
  Result<> selection_set() {
    const Nest nest(depth_);
    OCTROI_CHECK(check_depth());
    OCTROI_CHECK(expect("{"));
    do {
      OCTROI_CHECK(take("...") ? spread() : field());
    } while (!take("}"));
    return {};
  }

  Result<> field() {
    OCTROI_CHECK(name("a field"));
    if (take(":")) OCTROI_CHECK(name("a field"));
    if (at("(")) OCTROI_CHECK(arguments(/*constant=*/false));
    OCTROI_CHECK(directives(/*constant=*/false));
    if (at("{")) OCTROI_CHECK(selection_set());
    return {};
  }

  Result<> spread() {
    const bool inline_fragment = at_word("on") || peek().kind != TokenKind::name;
    if (at_word("on")) {
      advance();
      OCTROI_CHECK(name("a type"));
    } else if (!inline_fragment) {
      advance();
    }
    OCTROI_CHECK(directives(/*constant=*/false));
    return inline_fragment ? selection_set() : Result<>();
  }

  // 2.12 Directives
  Result<> directives(bool constant) {
    while (take("@")) {
      OCTROI_CHECK(name("a directive"));
      if (at("(")) OCTROI_CHECK(arguments(constant));
    }
    return {};
  }

  // 2.6 Arguments
  Result<> arguments(bool constant) {
    OCTROI_CHECK(expect("("));
    if (at(")")) return wrong("expected an argument: leave () out");
    return pairs(")", constant);
  }

  /// Names and their values, as an object.
  Result<> pairs(std::string_view close, bool constant) {
    std::set<std::string_view> seen;
    keep("{");
    while (!take(close)) {
      OCTROI_TRY(const Token* key, name("an argument or a field"));
      if (!seen.insert(key->text).second)
        return wrong(*key, fmt::format("{} stands there twice", shown(key->text)));
      OCTROI_CHECK(expect(":"));
      // 6.4.1 CoerceArgumentValues, 3.10 Input Coercion: without a value, there is no entry.
      if (!at_missing_variable()) {
        keep_comma();
        keep_quoted(key->text);
        keep(":");
      }
      OCTROI_CHECK(value(constant));
    }
    keep("}");
    return {};
  }

  // 2.9 Input Values
  Result<> value(bool constant) {
    const Nest nest(depth_);
    OCTROI_CHECK(check_depth());
    if (take("$")) return variable(constant);
    if (take("[")) return list(constant);
    if (take("{")) return pairs("}", constant);
    const Token& token = peek();
    if (token.kind == TokenKind::punctuator || token.kind == TokenKind::end)
      return wrong("expected a value");
    const bool word = at_word("true") || at_word("false") || at_word("null");
    if (word || token.kind == TokenKind::number) {
      keep(token.text);
    } else {
      keep_quoted(token.text);
    }
    advance();
    return {};
  }

  Result<> list(bool constant) {
    keep("[");
    while (!take("]")) {
      keep_comma();
      if (at_missing_variable()) keep("null");
      OCTROI_CHECK(value(constant));
    }
    keep("]");
    return {};
  }

  [[nodiscard]] bool at_missing_variable() const {
    if (!at("$")) return false;
    const auto found = variables_.find(peek(1).text);
    return found == variables_.end() || !found->second;
  }

  Result<> variable(bool constant) {
    if (constant) return wrong("a variable where only a constant may stand");
    OCTROI_TRY(const Token* variable, name("a variable"));
    used_.push_back(variable);
    const auto found = variables_.find(variable->text);
    if (found == variables_.end() || !found->second || out_ == nullptr) return {};
    if (out_->size() + found->second->size() > kMostArgumentBytes)
      return wrong(*variable, "the arguments are too long with the variables filled in");
    keep(*found->second);
    return {};
  }

  std::size_t depth_ = 0;
  std::string* out_ = nullptr;  // null: nothing is kept
  std::optional<Operation> operation_;
  std::optional<Value> given_;
  // By name, the value as JSON text; nothing: it has none.
  std::map<std::string, std::optional<std::string>, std::less<>> variables_;
  std::vector<const Token*> used_;
};

Result<> check_body(const Value& body) {
  if (body.is_array())
    return ambiguous("a batch of GraphQL requests: send each in a request of its own");
  if (!body.is_object()) return ambiguous("a GraphQL request is a JSON object with query");
  OCTROI_CHECK(check_spelling(body));
  for (const auto& [key, unused] : body.members()) {
    if (std::ranges::find(kMembers, key) == kMembers.end())
      return ambiguous("a GraphQL request has query, variables and operationName: send no other");
  }
  const auto extensions = body.find("extensions");
  const bool none =
      !extensions || extensions->is_null() || (extensions->is_object() && extensions->size() == 0);
  if (!none) return ambiguous("extensions are not taken: leave them out and send the whole query");
  return {};
}

/// A member that may be left out or null, and is an object or a text otherwise.
Result<std::optional<Value>> optional_member(const Value& body, std::string_view name,
                                             json::Kind kind) {
  const auto found = body.find(name);
  if (!found || found->is_null()) return std::nullopt;
  if (found->kind() != kind)
    return ambiguous(fmt::format("{} must be {} or null", name, json::describe(kind)));
  return found;
}

}  // namespace

Result<GraphqlCall> read_graphql(const Value& body) {
  OCTROI_CHECK(check_body(body));
  const auto query = body.find("query");
  if (!query || !query->is_string()) return ambiguous("query must be the text of a document");
  OCTROI_TRY(const auto variables, optional_member(body, "variables", json::Kind::object));
  OCTROI_TRY(const auto chosen, optional_member(body, "operationName", json::Kind::string));
  OCTROI_TRY(const std::string_view document, query->as_string());
  OCTROI_TRY(auto tokens, graphql_tokens(document));
  OCTROI_TRY(auto operation, Reader(document, std::move(tokens), variables).read());
  // 6.1 GetOperation. The empty name is none for some servers.
  if (chosen && (operation.name.empty() || *chosen->as_string() != operation.name))
    return ambiguous("operationName must be the name of the operation in query, or left out");
  auto arguments = json::parse(operation.arguments);
  if (!arguments)
    return ambiguous(
        "the arguments are too long, nest too deeply or have a number that is too large");
  return GraphqlCall{operation.kind, std::move(operation.fields), *std::move(arguments)};
}

}  // namespace octroi::vault::generic
