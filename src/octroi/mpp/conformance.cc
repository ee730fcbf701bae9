#include "octroi/mpp/conformance.h"

#include <array>

#include <fmt/core.h>

#include "octroi/base/bytes.h"
#include "octroi/json/canonical.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/mpp/accept_payment.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/ids.h"
#include "octroi/mpp/receipt.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

using Value = json::Value;
using Answer = Result<std::string>;

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

/// A text member; absent, null and "" are empty. An object is encoded as `request` and `opaque`
/// are.
Result<std::string> text_of(Value input, std::string_view key) {
  const auto member = input.find(key);
  if (!member || member->is_null()) return std::string();
  if (member->is_object()) return detail::encode(json::canonicalize(*member));
  OCTROI_TRY(const std::string_view text, member->as_string());
  return std::string(text);
}

/// As text_of, but present and empty is not the same as absent.
Result<std::optional<std::string>> optional_text_of(Value input, std::string_view key) {
  const auto member = input.find(key);
  if (!member || member->is_null()) return std::optional<std::string>();
  OCTROI_TRY(std::string text, text_of(input, key));
  return std::optional<std::string>(std::move(text));
}

Result<Challenge> challenge_of(Value input) {
  OCTROI_CHECK(input.as_object());
  Challenge c;
  OCTROI_TRY(c.id, text_of(input, "id"));
  for (const std::string_view key : {"realm", "method", "intent", "request"})
    OCTROI_CHECK(input.member(key));
  OCTROI_TRY(c.realm, text_of(input, "realm"));
  OCTROI_TRY(c.method, text_of(input, "method"));
  OCTROI_TRY(c.intent, text_of(input, "intent"));
  OCTROI_TRY(c.request, text_of(input, "request"));
  OCTROI_TRY(c.expires, optional_text_of(input, "expires"));
  OCTROI_TRY(c.digest, optional_text_of(input, "digest"));
  OCTROI_TRY(c.description, optional_text_of(input, "description"));
  OCTROI_TRY(c.opaque, optional_text_of(input, "opaque"));
  OCTROI_TRY(c.header, optional_text_of(input, "header"));
  return c;
}

void write_challenge(json::Writer& out, const Challenge& c) {
  out.begin_object();
  out.field("id", c.id).field("realm", c.realm).field("method", c.method).field("intent", c.intent);
  out.field("request", c.request).field("expires", c.expires).field("digest", c.digest);
  out.field("description", c.description).field("opaque", c.opaque).field("header", c.header);
  out.end_object();
}

Answer canonicalize(Value input) {
  OCTROI_TRY(const std::string_view text, input.as_string());
  OCTROI_TRY(const std::string canonical, json::canonicalize(text));
  return quoted(canonical);
}

Answer encode_base64url(Value input) {
  OCTROI_TRY(const std::string_view hex, input.as_string());
  OCTROI_TRY(const Bytes bytes, from_hex(hex));
  return quoted(to_base64url(bytes));
}

Answer decode_base64url(Value input) {
  OCTROI_TRY(const std::string_view text, input.as_string());
  OCTROI_TRY(const Bytes bytes, from_base64url(text));
  return quoted(to_hex(bytes));
}

Answer format_one_challenge(Value input) {
  OCTROI_TRY(const Challenge challenge, challenge_of(input));
  OCTROI_TRY(const std::string text, format_challenge(challenge));
  return quoted(text);
}

Answer parse_all_challenges(Value input) {
  std::vector<std::string_view> values;
  if (input.is_string()) {
    values.push_back(*input.as_string());
  } else {
    OCTROI_TRY(const Value list, input.as_array());
    for (const Value element : list.elements()) {
      OCTROI_TRY(const std::string_view text, element.as_string());
      values.push_back(text);
    }
  }
  OCTROI_TRY(const std::vector<Challenge> challenges, parse_challenges(values));
  json::Writer out;
  out.begin_array();
  for (const Challenge& c : challenges) write_challenge(out, c);
  out.end_array();
  return std::move(out).take();
}

/// Hashes what it is given: no validation, so that any vector can be reproduced.
Answer make_challenge_id(Value input) {
  OCTROI_TRY(const std::string_view hex, input.string("secret_hex"));
  OCTROI_TRY(const Bytes secret, from_hex(hex));
  std::array<std::string, 8> s;
  constexpr std::array<std::string_view, 8> kNames = {"realm",   "method", "intent", "request",
                                                      "expires", "digest", "opaque", "header"};
  for (std::size_t i = 0; i < s.size(); ++i) {
    OCTROI_TRY(s[i], text_of(input, kNames[i]));
  }
  return quoted(challenge_id(crypto::HmacSha256Key(ByteView(secret)), {.realm = s[0],
                                                                       .method = s[1],
                                                                       .intent = s[2],
                                                                       .request = s[3],
                                                                       .expires = s[4],
                                                                       .digest = s[5],
                                                                       .opaque = s[6],
                                                                       .header = s[7]}));
}

Answer format_one_credential(Value input) {
  OCTROI_TRY(const Value echoed, input.object("challenge"));
  OCTROI_TRY(const Challenge challenge, challenge_of(echoed));
  OCTROI_TRY(const Value payload, input.object("payload"));
  OCTROI_TRY(const std::optional<std::string> source, optional_text_of(input, "source"));
  OCTROI_TRY(const std::string text, format_credential(challenge, payload.to_json(), source));
  return quoted(text);
}

Answer parse_one_credential(Value input) {
  OCTROI_TRY(const std::string_view text, input.as_string());
  OCTROI_TRY(const Credential credential, parse_credential(text));
  json::Writer out;
  out.begin_object();
  write_challenge(out.key("challenge"), credential.challenge());
  out.key("payload").raw(credential.payload().to_json());
  out.field("source", credential.source());
  out.end_object();
  return std::move(out).take();
}

Answer format_one_receipt(Value input) {
  OCTROI_CHECK(input.as_object());
  Receipt receipt;
  for (const auto& [key, value] : input.members()) {
    if (key == "challengeId") {
      OCTROI_TRY(receipt.challenge_id, optional_text_of(input, key));
    } else if (key != "status" && key != "method" && key != "timestamp" && key != "reference") {
      receipt.extra.emplace_back(key, value.to_json());
    }
  }
  if (input.find("status")) {
    OCTROI_TRY(receipt.status, input.string("status"));
  }
  OCTROI_TRY(receipt.method, input.string("method"));
  OCTROI_TRY(receipt.timestamp, input.string("timestamp"));
  OCTROI_TRY(receipt.reference, input.string("reference"));
  OCTROI_TRY(const std::string text, format_receipt(receipt));
  return quoted(text);
}

Answer parse_one_receipt(Value input) {
  OCTROI_TRY(const std::string_view text, input.as_string());
  OCTROI_TRY(const Receipt receipt, parse_receipt(text));
  json::Writer out;
  out.begin_object();
  out.field("status", receipt.status)
      .field("method", receipt.method)
      .field("timestamp", receipt.timestamp);
  out.field("reference", receipt.reference).field("challengeId", receipt.challenge_id);
  for (const auto& [name, value] : receipt.extra) out.key(name).raw(value);
  out.end_object();
  return std::move(out).take();
}

Result<Offer> offer_of(Value element) {
  if (element.is_object()) {
    OCTROI_TRY(const std::string_view method, element.string("method"));
    OCTROI_TRY(const std::string_view intent, element.string("intent"));
    return Offer{method, intent};
  }
  OCTROI_TRY(const std::string_view text, element.as_string());
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return fail(Errc::bad_identifier, "offers: must be \"method/intent\"");
  return Offer{text.substr(0, slash), text.substr(slash + 1)};
}

Answer rank(Value input) {
  OCTROI_TRY(const Value list, input.array("offers"));
  std::vector<Offer> offers;
  std::vector<std::string> texts;
  for (const Value element : list.elements()) {
    OCTROI_TRY(const Offer offer, offer_of(element));
    offers.push_back(offer);
    texts.push_back(element.to_json());
  }
  OCTROI_TRY(const std::optional<std::string> header, optional_text_of(input, "header"));
  const std::array<std::string_view, 1> lines = {header ? std::string_view(*header)
                                                        : std::string_view()};
  json::Writer out;
  out.begin_array();
  for (const std::size_t i : choose_offers(parse_accept_payment(lines), offers)) out.raw(texts[i]);
  out.end_array();
  return std::move(out).take();
}

struct Operation {
  std::string_view name;
  Answer (*run)(Value input);
};
constexpr std::array<Operation, 11> kOperations = {{
    {"jcs.canonicalize", canonicalize},
    {"base64url.encode", encode_base64url},
    {"base64url.decode", decode_base64url},
    {"challenge.format", format_one_challenge},
    {"challenge.parse", parse_all_challenges},
    {"challenge.id", make_challenge_id},
    {"credential.format", format_one_credential},
    {"credential.parse", parse_one_credential},
    {"receipt.format", format_one_receipt},
    {"receipt.parse", parse_one_receipt},
    {"accept_payment.rank", rank},
}};

constexpr json::ParseLimits kInputLimits = {.max_depth = 64, .max_bytes = 16U << 20};

}  // namespace

Result<std::string> run_conformance_operation(std::string_view operation,
                                              std::string_view input_json) {
  for (const Operation& op : kOperations) {
    if (op.name != operation) continue;
    OCTROI_TRY(const json::Document input, json::parse(input_json, kInputLimits));
    return op.run(input.root());
  }
  return fail(Errc::unknown_operation, fmt::format("no operation {}", operation));
}

bool is_conformance_operation(std::string_view operation) {
  for (const Operation& op : kOperations) {
    if (op.name == operation) return true;
  }
  return false;
}

}  // namespace octroi::mpp
