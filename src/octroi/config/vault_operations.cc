#include "octroi/config/vault_operations.h"

#include <algorithm>

#include <fmt/format.h>

#include "octroi/vault/field_path.h"

namespace octroi::config {

namespace {

constexpr std::string_view kGraphqlFix =
    "write mutation or query and the name of its field, such as mutation refundCreate, or query *";

bool is_name(std::string_view text) {
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

void check_graphql(const std::string& path, const Value& operation, Context& context) {
  const Value& at = operation.at("graphql");
  if (!at.given) return;
  const std::string_view text = at.str();
  const std::size_t space = std::min(text.find(' '), text.size());
  const std::string_view kind = text.substr(0, space);
  const std::string_view field = text.substr(std::min(space + 1, text.size()));
  if ((kind != "mutation" || !is_name(field)) &&
      (kind != "query" || (field != "*" && !is_name(field))))
    context.error(at, path + ".graphql", fmt::format("\"{}\" names no field", text),
                  std::string(kGraphqlFix));
  if (kind == "query") {
    for (const char* key : {"amount", "customer"}) {
      if (operation.at(key).given)
        context.error(operation.at(key), path + "." + key, "is read of mutations only",
                      "take it away");
    }
  }
  for (const char* key : {"mark", "query", "method"}) {
    if (operation.at(key).given)
      context.error(operation.at(key), path + "." + key, "has no meaning beside graphql",
                    "take it away");
  }
}

void check_quantity(const std::string& path, const Value& operation, Context& context) {
  const Value& at = operation.at("quantity");
  if (!at.given) return;
  const auto amount = vault::path_lines(operation.at("amount").str());
  if (amount.elements != vault::path_lines(at.str()).elements || amount.rest.empty())
    context.error(at, path + ".quantity", "does not stand beside amount",
                  "let both begin alike, such as lines[*].price and lines[*].quantity");
}

void check_operation(const std::string& path, const Value& operation, Context& context) {
  for (const char* key : {"amount", "quantity", "currency", "customer", "answer_amount",
                          "answer_currency", "answer_id", "errors", "mark"}) {
    const Value& at = operation.at(key);
    const bool fixed = std::string_view(key).ends_with("currency") && at.str().starts_with('=');
    if (at.given && !fixed && !vault::is_field_path(at.str()))
      context.error(at, path + "." + key, fmt::format("\"{}\" is no path of a field", at.str()),
                    "write names with dots between, and [0] or [*] for elements: lines[*].price");
  }
  if (const Value& at = operation.at("mark"); at.str().find('[') != std::string::npos)
    context.error(at, path + ".mark", "stands in a list", "name a field outside of lists");
  check_graphql(path, operation, context);
  check_quantity(path, operation, context);
}

}  // namespace

void check_operations(const std::string& path, const Value& vendor, Context& context) {
  for (const auto& [key, operation] : vendor.at("operations").children)
    check_operation(path + ".operations", operation, context);
}

}  // namespace octroi::config
