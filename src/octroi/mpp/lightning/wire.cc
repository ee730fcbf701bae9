#include "octroi/mpp/lightning/wire.h"

#include <fmt/core.h>

#include "octroi/mpp/lightning/charge.h"

namespace octroi::mpp::lightning::detail {

namespace {

tl::unexpected<Error> at(json::Value object, std::string_view key, Errc code,
                         std::string_view why) {
  const std::string where = object.path();
  return fail(code, fmt::format("{}{}{}: {}", where, where.empty() ? "" : ".", key, why));
}

}  // namespace

std::string sat_text(Sat amount) {
  return std::to_string(amount.count() /* raw: decimal text of the wire */);
}

Result<Sat> positive_sat(json::Value object, std::string_view key) {
  OCTROI_TRY(const std::string digits, required(object, key, Errc::malformed_request));
  const auto amount = sat_from_wire(digits);
  if (!amount || amount->is_zero()) {
    return at(object, key, Errc::malformed_request,
              "must be a positive whole number of satoshi, as a string");
  }
  return *amount;
}

Result<Sat> sat_number(json::Value object, std::string_view key) {
  const auto number = object.int64(key);
  if (!number) return fail(Errc::malformed_request, std::string(number.error().message()));
  const auto amount = Sat::from_raw(*number);
  if (!amount) return at(object, key, Errc::malformed_request, "must be a whole number of satoshi");
  return *amount;
}

// Lightning charge and session: the unit is the satoshi and is written in lower case. rule: MPP-101
Result<> check_currency(json::Value object) {
  OCTROI_TRY(const std::string currency, required(object, "currency", Errc::malformed_request));
  if (currency != kCurrency)
    return at(object, "currency", Errc::malformed_request, "must be \"sat\"");
  return {};
}

Result<PaymentHash> payment_hash(json::Value object, std::string_view key, Errc code) {
  OCTROI_TRY(const std::string hex, required(object, key, code));
  auto hash = PaymentHash::from_hex(hex, HexCase::lower);
  if (!hash) return at(object, key, code, "must be 64 lower-case hex digits");
  return *hash;
}

Result<std::string> required(json::Value object, std::string_view key, Errc code) {
  auto text = object.string(key);
  if (!text) return fail(code, std::string(text.error().message()));
  return std::string(*text);
}

Result<std::optional<std::string>> optional(json::Value object, std::string_view key, Errc code) {
  auto text = object.optional_string(key);
  if (!text) return fail(code, std::string(text.error().message()));
  return *text ? std::optional<std::string>(**text) : std::nullopt;
}

std::string preimage_hex(const Secret& preimage) { return to_hex(preimage.reveal()); }

}  // namespace octroi::mpp::lightning::detail
