#include "octroi/l402/mint.h"

#include <algorithm>

#include "octroi/l402/caveat.h"
#include "octroi/l402/identifier.h"
#include "octroi/l402/macaroon.h"

namespace octroi::l402 {
namespace {

bool is_constraint_value(std::string_view value) {
  return !value.empty() && std::ranges::all_of(value, [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// Conditions with a meaning of their own would change what the token opens.
bool is_reserved(std::string_view condition) {
  return condition == "services" || condition == "preimage" ||
         condition.ends_with("_capabilities") || condition.ends_with("_valid_until") ||
         condition.ends_with("_max_requests") || condition.ends_with("_meter");
}

}  // namespace

Result<> check_terms(const TokenTerms& terms) {
  if (!is_caveat_name(terms.service.str())) {
    return fail(Errc::bad_mint,
                "name: a service sold over l402 needs a name of printable ASCII without blanks, "
                "commas, colons, equals signs, quotes and backslashes");
  }
  for (const std::string& capability : terms.capabilities) {
    if (is_caveat_name(capability)) continue;
    return fail(Errc::bad_mint,
                "token.capabilities: each must be printable ASCII without blanks, commas, colons, "
                "equals signs, quotes and backslashes");
  }
  for (const auto& [condition, value] : terms.constraints) {
    if (!is_caveat_name(condition) || is_reserved(condition)) {
      return fail(Errc::bad_mint,
                  "token.constraints: a condition must be a name, and not services, preimage, "
                  "*_capabilities, *_valid_until, *_max_requests or *_meter");
    }
    if (!is_constraint_value(value)) {
      return fail(Errc::bad_mint,
                  "token.constraints: a value must be printable ASCII and not empty");
    }
  }
  if (terms.max_requests && *terms.max_requests <= 0)
    return fail(Errc::bad_mint, "token.max_requests: must be positive");
  if (terms.meter && (terms.meter->units <= 0 || !is_caveat_name(terms.meter->unit)))
    return fail(Errc::bad_mint, "token.meter: counts a positive number of units");
  if (terms.valid_until && terms.valid_until->value < 0)
    return fail(Errc::bad_mint, "token.valid_for: ends before 1970");
  return {};
}

Result<Bytes> mint(const RootKeys& keys, const PaymentHash& hash, const TokenId& id,
                   const TokenTerms& terms) {
  OCTROI_CHECK(check_terms(terms));
  const auto index = keys.find(id);
  if (!index) return fail(Errc::unknown_key, "token id: not made under a key of this ring");

  crypto::Sha256Digest root = keys.root_of(*index, id);
  MacaroonWriter writer(root, kLocation, encode_identifier({.hash = hash, .token = id}));
  secure_wipe(root.data(), root.size());

  const std::string& service = terms.service.str();
  writer.add("services=" + service + ":" + std::to_string(terms.tier));
  if (!terms.capabilities.empty()) {
    std::string caveat = service + "_capabilities=";
    for (std::size_t i = 0; i < terms.capabilities.size(); ++i) {
      if (i > 0) caveat += ',';
      caveat += terms.capabilities[i];
    }
    writer.add(caveat);
  }
  for (const auto& [condition, value] : terms.constraints) writer.add(condition + "=" + value);
  if (terms.max_requests)
    writer.add(service + "_max_requests=" + std::to_string(*terms.max_requests));
  if (terms.valid_until)
    writer.add(service + "_valid_until=" + std::to_string(terms.valid_until->seconds()));
  // The last one, so that what stands before it is the seller's word (MeterGrant::sold_until).
  if (terms.meter) {
    writer.add(service + "_meter=" + terms.meter->unit + ":" + std::to_string(terms.meter->units));
  }
  return std::move(writer).finish();
}

}  // namespace octroi::l402
