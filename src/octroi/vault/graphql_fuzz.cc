// Whatever is read as a GraphQL request is read the same when it is read again, names what it runs,
// and has an object of arguments. The input is the document; behind a NUL stand the variables.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/generic/graphql.h"

namespace {

using octroi::vault::generic::GraphqlCall;

void require(bool yes) {
  if (!yes) std::abort();
}

std::string body_of(std::string_view text) {
  const std::size_t end = std::min(text.find('\0'), text.size());
  octroi::json::Writer w;
  w.begin_object().field("query", text.substr(0, end));
  if (end < text.size()) {
    const std::string_view variables = text.substr(end + 1);
    if (octroi::json::parse(variables)) w.key("variables").raw(variables);
  }
  w.end_object();
  return std::move(w).take();
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

void check(const octroi::json::Document& body) {
  const auto call = octroi::vault::generic::read_graphql(body.root());
  const auto again = octroi::vault::generic::read_graphql(body.root());
  require(call.has_value() == again.has_value());
  if (!call) {
    require(call.error().code() == "vault.ambiguous" && !call.error().message().empty());
    return;
  }
  const auto arguments = call->arguments.root();
  require(arguments.is_object());
  require(call->kind == again->kind && call->fields == again->fields);
  require(arguments.to_json() == again->arguments.root().to_json());
  require(std::ranges::all_of(call->fields, is_name));
  const bool mutation = call->kind == GraphqlCall::Kind::mutation;
  require(mutation ? call->fields.size() == 1 : !call->fields.empty() && arguments.size() == 0);
  for (const auto& [name, unused] : arguments.members()) require(is_name(name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto body = octroi::json::parse(text)) check(*body);
  if (const auto body = octroi::json::parse(body_of(text))) check(*body);
  return 0;
}
