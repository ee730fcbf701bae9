#include "octroi/vault/questions.h"

#include <fmt/format.h>

#include "octroi/http/client.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

std::string VendorQuestions::subject(const Operation& /*operation*/, const Input& /*input*/) const {
  return {};
}
Result<> VendorQuestions::learn(const Operation& /*operation*/, const Input& /*input*/,
                                const json::Value& /*object*/, policy::Call& /*call*/) const {
  return {};
}
void VendorQuestions::mark(const Operation& /*operation*/, Input& /*input*/,
                           std::string_view /*reservation*/) const {}
bool VendorQuestions::marks(std::string_view /*operation*/) const { return false; }
std::string VendorQuestions::match(const Operation& /*operation*/, const Input& /*input*/) const {
  return {};
}
std::vector<VendorList> VendorQuestions::lists(UnixMillis /*from*/, UnixMillis /*to*/) const {
  return {};
}
Result<VendorPage> VendorQuestions::read_list(std::string_view /*target*/,
                                              const json::Value& /*answer*/) const {
  return VendorPage{};
}
std::string VendorQuestions::object(std::string_view /*operation*/, std::string_view /*id*/) const {
  return {};
}
Result<VendorItem> VendorQuestions::read_object(const json::Value& /*answer*/) const {
  return fail(Errc::ambiguous, "this vendor shows no single objects");
}

Task<Result<json::Document>> ask(VendorClients* clients, const Vendor* vendor, std::string target,
                                 AskLimits limits) {
  const std::string& name = vendor->settings.name;
  if (vendor->real == nullptr)
    co_return fail(Errc::unavailable, fmt::format("{}: no real key is registered", name));
  const std::size_t mark = std::min(target.find('?'), target.size());
  Input input;
  input.method = "GET";
  input.path = target.substr(0, mark);
  const std::string query = target.substr(std::min(mark + 1, target.size()));
  OCTROI_CO_TRY(input.query, Form::parse(query, {.max_fields = 64, .free_names = true}));
  http::RequestHead head;
  const ledger::VaultKey nobody;
  vendor->pack->prepare({head, input, *vendor->real, nobody, ""});

  http::Request request;
  request.url.scheme = vendor->settings.scheme;
  request.url.host = vendor->settings.host;
  request.url.port = vendor->settings.port;
  request.url.target = vendor->settings.base_path + input.path;
  if (const std::string text = input.query.text(); !text.empty()) request.url.target += "?" + text;
  request.headers = std::move(head.headers);
  request.headers.set("Accept", "application/json");
  request.headers.set("Accept-Encoding", "identity");
  request.protocol = vendor->origin.protocol;
  auto got = co_await clients->client_for(*vendor).fetch(std::move(request), limits.max_body,
                                                         limits.deadline);
  // Messages of the layers below may speak of the target, which can hold a key.
  if (!got) co_return fail(Errc::upstream_failed, fmt::format("{} cannot be asked now", name));
  if (got->status != 200) {
    co_return fail(Errc::upstream_failed,
                   fmt::format("{} answered a question with {}", name, got->status));
  }
  auto doc = json::parse(got->body, {64, static_cast<std::size_t>(limits.max_body), false});
  if (!doc)
    co_return fail(Errc::upstream_failed, fmt::format("{} answered a question with no JSON", name));
  co_return std::move(*doc);
}

}  // namespace octroi::vault
