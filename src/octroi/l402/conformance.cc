#include "octroi/l402/conformance.h"

#include <algorithm>
#include <vector>

#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/l402/caveat.h"
#include "octroi/l402/identifier.h"
#include "octroi/l402/macaroon.h"
#include "octroi/l402/preimage.h"

namespace octroi::l402 {
namespace {

constexpr std::string_view kDecode = "macaroon.decode";
constexpr std::string_view kVerify = "macaroon.verify";

bool is_printable(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
}

Result<Bytes> decode_base64(std::string_view text) {
  auto bytes = from_base64_any(text);
  if (!bytes) return fail(Errc::malformed, "macaroon: not base64");
  return bytes;
}

Result<std::string> decode(std::string_view input_json) {
  OCTROI_TRY(const json::Document input, json::parse(input_json));
  OCTROI_TRY(const std::string_view text, input.root().as_string());
  OCTROI_TRY(const Bytes bytes, decode_base64(text));
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(bytes));

  json::Writer out;
  out.begin_object().field("version", 2).field("location", macaroon.location);
  out.field("identifier_hex", to_hex(macaroon.identifier));
  if (is_printable(macaroon.identifier)) out.field("identifier", as_text(macaroon.identifier));
  if (const auto id = decode_identifier(macaroon.identifier)) {
    out.field("payment_hash", id->hash.hex()).field("token_id", id->token.hex());
  }
  out.key("caveats").begin_array();
  for (const CaveatView& caveat : macaroon.caveats) out.string(caveat.id);
  out.end_array().key("third_party").begin_array();
  for (const CaveatView& caveat : macaroon.caveats) {
    if (!caveat.third_party()) continue;
    out.begin_object()
        .field("location", caveat.location)
        .field("id_hex", to_hex(as_bytes(caveat.id)));
    out.field("vid_hex", to_hex(as_bytes(caveat.vid))).end_object();
  }
  out.end_array().field("signature_hex", to_hex(macaroon.signature)).end_object();
  return std::move(out).take();
}

/// What the input says of the request, kept alive beside the views that check_caveats takes.
struct Request {
  std::vector<std::string_view> capabilities;
  std::vector<Fact> facts;
};

Result<Request> request_of(json::Value in) {
  Request out;
  if (in.find("capabilities")) {
    OCTROI_TRY(const json::Value list, in.array("capabilities"));
    for (const json::Value item : list.elements()) {
      OCTROI_TRY(const std::string_view name, item.as_string());
      out.capabilities.push_back(name);
    }
  }
  OCTROI_TRY(const auto facts, in.optional_object("facts"));
  if (!facts) return out;
  for (const auto& [key, value] : facts->members()) {
    OCTROI_TRY(const std::string_view text, value.as_string());
    out.facts.push_back({.name = key, .value = text});
  }
  return out;
}

Result<> check_preimage(const MacaroonView& macaroon, std::string_view hex) {
  OCTROI_TRY(const Identifier id, decode_identifier(macaroon.identifier));
  const auto bytes = from_hex_exact<32>(hex);
  if (!bytes) return fail(Errc::malformed, "preimage_hex: must be 64 hex digits");
  if (!Preimage(*bytes).opens(id.hash)) {
    return fail(Errc::wrong_preimage,
                "preimage_hex: not the preimage of the macaroon's payment hash");
  }
  return {};
}

Result<std::string> verify(std::string_view input_json) {
  OCTROI_TRY(const json::Document input, json::parse(input_json));
  OCTROI_TRY(const json::Value in, input.root().as_object());
  OCTROI_TRY(const std::string_view text, in.string("macaroon"));
  OCTROI_TRY(const Bytes bytes, decode_base64(text));
  OCTROI_TRY(const std::string_view key_hex, in.string("root_key_hex"));
  OCTROI_TRY(const Bytes root_key, from_hex(key_hex));
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(bytes));

  if (macaroon.has_third_party)
    return fail(Errc::third_party, "macaroon: third-party caveats are not accepted");
  if (!signature_matches(macaroon, root_key)) {
    return fail(Errc::bad_signature, "macaroon: the signature does not verify");
  }
  OCTROI_TRY(const auto preimage, in.optional_string("preimage_hex"));
  if (preimage) OCTROI_CHECK(check_preimage(macaroon, *preimage));

  json::Writer out;
  out.begin_object().field("valid", true);
  OCTROI_TRY(const auto service, in.optional_string("service"));
  if (service) {
    OCTROI_TRY(const auto now, in.optional_int64("now"));
    OCTROI_TRY(const Request request, request_of(in));
    const ServiceView view{
        .name = *service, .capabilities = request.capabilities, .facts = request.facts};
    OCTROI_TRY(const CaveatGrant grant,
               check_caveats(macaroon.caveats, view, from_unix_seconds(now.value_or(0))));
    if (grant.valid_until) out.field("valid_until", grant.valid_until->seconds());
  }
  return std::move(out.end_object()).take();
}

}  // namespace

bool is_conformance_operation(std::string_view operation) {
  return operation == kDecode || operation == kVerify;
}

Result<std::string> run_conformance_operation(std::string_view operation,
                                              std::string_view input_json) {
  if (operation == kDecode) return decode(input_json);
  if (operation == kVerify) return verify(input_json);
  return fail(Errc::malformed, "op: unknown operation");
}

}  // namespace octroi::l402
