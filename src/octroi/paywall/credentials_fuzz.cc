// A request head of any shape: whatever it presents, nothing that pays reaches the upstream, at
// most one ordinary Authorization does, and the path that is forwarded reads as the one judged.
#include <cstdlib>

#include "octroi/mpp/auth_params.h"
#include "octroi/mpp/binding.h"
#include "octroi/paywall/answers.h"
#include "octroi/paywall/client_identity.h"
#include "octroi/paywall/credentials.h"
#include "octroi/paywall/route.h"

using namespace octroi;
using namespace octroi::paywall;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string lower_dashed(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '_' ? '-' : (c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c);
  return out;
}

bool pays(std::string_view value) {
  const std::array<std::string_view, 1> lines = {value};
  for (const auto& c : mpp::parse_auth_challenges(lines)) {
    if (c.has_scheme("Payment") || c.has_scheme("L402") || c.has_scheme("LSAT")) return true;
  }
  const auto scheme = lower_dashed(value.substr(0, value.find_first_of(" \t")));
  return scheme == "payment" || scheme == "l402" || scheme == "lsat";
}

http::Headers read_fields(std::string_view text) {
  http::Headers headers;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    headers.add(line.substr(0, colon), value);  // what breaks the syntax is not kept
  }
  return headers;
}

void check_request(http::Headers headers) {
  const std::size_t authorizations = headers.count("Authorization");
  const auto credentials = collect_credentials(headers);
  require(credentials.payment.size() + credentials.l402.size() + credentials.ordinary.size() ==
          authorizations);
  strip_credentials(headers, credentials);
  require(headers.count("Authorization") <= 1);
  for (const auto field : headers) {
    const auto name = lower_dashed(field.name);
    require(name != "payment-authorization" && name != "macaroon" &&
            name != "grpc-metadata-macaroon" && name != "accept-payment" &&
            name != "payment-receipt" && name != "x-octroi-token-id" &&
            name != "x-octroi-session-id" && name != "x-octroi-service" &&
            name != "x-octroi-amount-msat");
    if (name == "authorization") require(!pays(field.value));
  }
}

void check_answer(http::Headers headers) {
  strip_upstream_payment(headers);
  require(!headers.has("Payment-Receipt"));
  for (const auto value : headers.all("WWW-Authenticate")) require(!pays(value));
  const bool stored_nowhere = headers.has_token("Cache-Control", "no-store");
  make_private(headers);
  require(stored_nowhere || (headers.has_token("Cache-Control", "private") &&
                             !headers.has_token("Cache-Control", "public")));
}

void check_identity(const http::Headers& headers) {
  static const auto peer = *net::Endpoint::parse("10.0.0.1:1");
  static const std::vector<net::Cidr> trusted = {*net::Cidr::parse("10.0.0.0/8")};
  require(identify(peer, false, headers, {}).address == peer.address);
  const auto id = identify(peer, false, headers, trusted);
  require(id.through_trusted_proxy);
  require(id.proto == "http" || id.proto == "https");
}

const RouteTable& routes() {
  static const RouteTable table = [] {
    std::vector<ServiceSettings> services(4);
    services[0].name = ServiceName("literal");
    services[0].path = "^/v1/";
    services[1].name = ServiceName("letters");
    services[1].path = "/caf\xC3\xA9?/[a-z]+$";
    services[2].name = ServiceName("host");
    services[2].host = "api\\.example";
    services[3].name = ServiceName("dear");
    services[3].path = "/(a|b)/.*";
    return std::move(*RouteTable::build(services));
  }();
  return table;
}

void check_target(std::string_view target) {
  const auto question = target.find('?');
  const auto judged = mpp::normalise_path(target.substr(0, question));
  if (!judged) return;
  const Service* first = nullptr;
  for (const auto& s : routes().services()) {
    if (s.host.matches("api.example") && s.path.matches(*judged)) {
      first = &s;
      break;
    }
  }
  require(routes().find("api.example", *judged) == first);
  const auto sent = upstream_target({}, target, *judged);
  const auto again = mpp::normalise_path(std::string_view(sent).substr(0, sent.find('?')));
  require(again && *again == *judged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  const auto end = text.find('\n');
  check_target(text.substr(0, end));
  const auto headers =
      read_fields(end == std::string_view::npos ? std::string_view{} : text.substr(end + 1));
  check_request(headers);
  check_answer(headers);
  check_identity(headers);
  return 0;
}
