#include "octroi/vault/questions.h"

#include <algorithm>
#include <charconv>

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
bool VendorQuestions::counts_whole(std::string_view /*operation*/) const { return false; }
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

std::string join_matches(const std::vector<std::string>& each) {
  // Fewer characters would find what others made.
  constexpr std::size_t kShortest = 5;
  if (each.empty()) return {};
  if (each.size() == 1) return each.front();
  std::string out = fmt::format("{}*", each.size());
  const std::size_t room = std::min(each.front().size(), (kMostMatch - out.size()) / each.size());
  if (room < kShortest) return {};
  for (const std::string& match : each) out += std::string_view(match).substr(0, room);
  return out;
}

std::vector<std::string_view> split_matches(std::string_view kept) {
  const std::size_t star = kept.find('*');
  if (star == std::string_view::npos) return {kept};
  const std::string_view number = kept.substr(0, star);
  const auto* const end = number.data() + number.size();
  std::size_t count = 0;
  const auto read = std::from_chars(number.data(), end, count);
  kept.remove_prefix(star + 1);
  if (read.ec != std::errc() || read.ptr != end || count == 0 || kept.size() % count != 0 ||
      kept.empty())
    return {};
  std::vector<std::string_view> out;
  for (const std::size_t size = kept.size() / count; !kept.empty(); kept.remove_prefix(size))
    out.push_back(kept.substr(0, size));
  return out;
}

namespace {

/// The question with what opens the account: the real key, or the token that it was exchanged for.
Result<http::Request> request_of(VendorClients& clients, const Vendor& vendor, const Secret& shown,
                                 const Question& asked) {
  const std::string_view target = asked.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  const bool elsewhere = !asked.host.empty();
  Input input;
  input.method = asked.method;
  input.path = target.substr(0, mark);
  input.body = asked.body;
  input.content_type = asked.content_type;
  input.scope = asked.scope;
  OCTROI_TRY(input.query, Form::parse(target.substr(std::min(mark + 1, target.size())),
                                      {.max_fields = 64, .free_names = true}));
  http::RequestHead head;
  head.method = input.method;
  if (!asked.content_type.empty()) head.headers.set("Content-Type", asked.content_type);
  const ledger::VaultKey nobody;
  const std::string nonce = to_hex(clients.randomness().bytes<16>());
  const VendorPack::Sending sending{head, input, shown, nobody, "", nonce};
  vendor.pack->prepare(sending);
  head.target = (elsewhere ? std::string() : vendor.settings.base_path) + input.path;
  if (const std::string text = input.query.text(); !text.empty()) head.target += "?" + text;
  vendor.pack->sign(sending, elsewhere ? asked.host : vendor.authority, clients.clock().now());

  http::Request request;
  request.method = input.method;
  request.url.scheme = vendor.settings.scheme;
  request.url.host = elsewhere ? asked.host : vendor.settings.host;
  request.url.port = vendor.settings.port;
  request.url.target = head.target;
  request.headers = std::move(head.headers);
  request.headers.set("Accept", asked.accept);
  request.headers.set("Accept-Encoding", "identity");
  request.body = std::move(input.body);
  request.protocol = vendor.origin.protocol;
  return request;
}

}  // namespace

Task<Result<http::Response>> ask_plainly(VendorClients* clients, const Vendor* vendor,
                                         Question question, AskLimits limits) {
  const std::string& name = vendor->settings.name;
  if (vendor->real == nullptr)
    co_return fail(Errc::unavailable, fmt::format("{}: no real key is registered", name));
  TokenPtr token;
  Result<http::Response> got;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (vendor->tokens != nullptr) {
      OCTROI_CO_TRY(token, co_await token_for(clients, vendor, &clients->clock(),
                                              &clients->randomness(), token ? token->number : 0));
    }
    OCTROI_CO_TRY(auto request,
                  request_of(*clients, *vendor, token ? token->text : *vendor->real, question));
    got = co_await clients->client_for(*vendor).fetch(std::move(request), limits.max_body,
                                                      limits.deadline);
    const bool again =
        token && got && got->status == 401 && says_token_is_bad(got->headers, got->body);
    if (!again) break;
  }
  // Messages of the layers below may speak of the target, which can hold a key.
  if (!got) co_return fail(Errc::upstream_failed, fmt::format("{} cannot be asked now", name));
  co_return std::move(*got);
}

Task<Result<json::Document>> ask(VendorClients* clients, const Vendor* vendor, std::string target,
                                 AskLimits limits) {
  const std::string& name = vendor->settings.name;
  Question question;
  question.target = std::move(target);
  OCTROI_CO_TRY(const auto got, co_await ask_plainly(clients, vendor, std::move(question), limits));
  if (got.status != 200) {
    co_return fail(Errc::upstream_failed,
                   fmt::format("{} answered a question with {}", name, got.status));
  }
  auto doc = json::parse(got.body, {64, static_cast<std::size_t>(limits.max_body), false});
  if (!doc)
    co_return fail(Errc::upstream_failed, fmt::format("{} answered a question with no JSON", name));
  co_return std::move(*doc);
}

}  // namespace octroi::vault
