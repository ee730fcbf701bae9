// octroi-conformance: reads {"op","input"} a line from stdin and answers each with one line,
// {"ok":true,"value"} or {"ok":false,"error":{"type","message"}}, so that vector files of any
// origin can be run against the modules that octroi itself uses.
//
//   bolt11.decode   "lnbc…"                         → fields
//   ssrf.check      {"url", "answers": ["1.2.3.4"]} → {"allowed": true}
//
// The other operations live beside what they test (mpp, l402, secrets: conformance.h). An operation
// that belongs to a later version answers with the type "unsupported". Messages never hold a
// secret: what comes in is test data, and it is not logged. Source: architecture 3.2. Thread: one.

#include <iostream>
#include <string>
#include <vector>

#include "octroi/bolt11/bolt11.h"
#include "octroi/http/message.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/l402/conformance.h"
#include "octroi/mpp/conformance.h"
#include "octroi/net/ssrf.h"
#include "octroi/secrets/conformance.h"

namespace octroi::app {
namespace {

enum class ConformanceErrc : std::uint8_t {
  bad_request,  // the line is not {"op","input"}
  unknown_op,   // no such operation
  unsupported,  // an operation of a later version
};

ErrorInfo error_info(ConformanceErrc e) {
  switch (e) {
    case ConformanceErrc::bad_request:
      return {"bad_request", ErrorKind::invalid};
    case ConformanceErrc::unknown_op:
      return {"unknown_op", ErrorKind::not_found};
    case ConformanceErrc::unsupported:
      return {"unsupported", ErrorKind::not_found};
  }
  return {"unknown", ErrorKind::internal};
}

// Pretty names are for people; what comes in may be deep, so the limits are wide.
constexpr json::ParseLimits kLimits{.max_depth = 128, .max_bytes = std::size_t{8} << 20};

void write_routes(json::Writer& w, const bolt11::Invoice& invoice) {
  w.key("routes").begin_array();
  for (const auto& route : invoice.routes) {
    w.begin_array();
    for (const bolt11::RouteHop& hop : route) {
      w.begin_object();
      w.field("pubkey", to_hex(hop.node.bytes()));
      w.field("short_channel_id", bolt11::short_channel_id_text(hop.short_channel_id));
      w.field("fee_base_msat", std::to_string(hop.fee_base.count() /* raw: wire */));
      w.field("fee_proportional_millionths",
              static_cast<std::uint64_t>(hop.fee_proportional_millionths));
      w.field("cltv_expiry_delta", static_cast<std::uint64_t>(hop.cltv_expiry_delta));
      w.end_object();
    }
    w.end_array();
  }
  w.end_array();
}

void write_lists(json::Writer& w, const bolt11::Invoice& invoice) {
  w.key("features").begin_array();
  for (const std::uint16_t bit : invoice.features) w.unsigned_integer(bit);
  w.end_array();
  w.key("fallbacks").begin_array();
  for (const bolt11::Fallback& f : invoice.fallbacks)
    w.string(bolt11::address_text(invoice.network, f));
  w.end_array();
  write_routes(w, invoice);
}

Result<std::string> bolt11_decode(const json::Value& input) {
  OCTROI_TRY(const std::string_view text, input.as_string());
  OCTROI_TRY(const bolt11::Invoice invoice, bolt11::decode(text));
  json::Writer w;
  w.begin_object();
  w.field("network", bolt11::to_string(invoice.network));
  if (invoice.amount) {
    w.field("amount_msat", std::to_string(invoice.amount->count() /* raw: wire */));
  } else {
    w.key("amount_msat").null();
  }
  w.field("timestamp", invoice.created.seconds());
  w.field("expiry",
          static_cast<std::int64_t>(
              invoice.expiry.value_or(bolt11::kDefaultExpiry).count() /* raw: seconds */));
  w.field("payment_hash", invoice.payment_hash.hex());
  w.field("payment_secret", invoice.payment_secret.hex());
  w.field("description", invoice.description);
  if (invoice.description_hash) w.field("description_hash", invoice.description_hash->hex());
  if (invoice.metadata) w.field("metadata", to_hex(*invoice.metadata));
  w.field("min_final_cltv_expiry", static_cast<std::uint64_t>(invoice.final_cltv()));
  w.field("payee", to_hex(invoice.payee.bytes()));
  w.field("names_payee", invoice.names_payee);
  write_lists(w, invoice);
  w.end_object();
  return std::move(w).take();
}

/// What the wallet does before a request leaves: the name first, then each address it resolved to.
Result<std::string> ssrf_check(const json::Value& input) {
  OCTROI_TRY(const std::string_view text, input.string("url"));
  OCTROI_TRY(const http::Url url, http::Url::parse(text));
  OCTROI_CHECK(net::check_public_host(url.host));
  if (const auto answers = input.find("answers"); answers && !answers->is_null()) {
    OCTROI_TRY(const json::Value list, answers->as_array());
    std::vector<net::IpAddress> addresses;
    for (const json::Value& item : list.elements()) {
      OCTROI_TRY(const std::string_view spelled, item.as_string());
      OCTROI_TRY(const net::IpAddress address, net::IpAddress::parse(spelled));
      addresses.push_back(address);
    }
    OCTROI_CHECK(net::check_public(addresses));
  }
  return std::string(R"({"allowed":true})");
}

Result<std::string> run(std::string_view op, const json::Value& input) {
  if (op == "bolt11.decode") return bolt11_decode(input);
  if (op == "ssrf.check") return ssrf_check(input);
  if (mpp::is_conformance_operation(op)) return mpp::run_conformance_operation(op, input.to_json());
  if (secrets::is_conformance_operation(op))
    return secrets::run_conformance_operation(op, input.to_json());
  if (l402::is_conformance_operation(op))
    return l402::run_conformance_operation(op, input.to_json());
  if (op == "jwt.verify")
    return fail(ConformanceErrc::unsupported, "jwt.verify is not available in this version");
  return fail(ConformanceErrc::unknown_op, "no such operation; see architecture 3.2 for the list");
}

Result<std::string> answer(const std::string& line) {
  OCTROI_TRY(const json::Document document, json::parse(line, kLimits));
  OCTROI_TRY(const std::string_view op, document.root().string("op"));
  const auto input = document.root().find("input");
  if (!input) return fail(ConformanceErrc::bad_request, "the line has no \"input\"");
  return run(op, *input);
}

std::string to_line(const Result<std::string>& result) {
  json::Writer w;
  w.begin_object();
  if (result) {
    w.field("ok", true).key("value").raw(*result);
  } else {
    w.field("ok", false).key("error").begin_object();
    w.field("type", result.error().code()).field("message", result.error().message());
    w.end_object();
  }
  w.end_object();
  return std::move(w).take();
}

}  // namespace
}  // namespace octroi::app

int main() {
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    // Flushed each time: the peer waits for its answer before it sends the next line.
    std::cout << octroi::app::to_line(octroi::app::answer(line)) << std::endl;
  }
  return 0;
}
