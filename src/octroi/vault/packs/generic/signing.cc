#include "octroi/vault/packs/generic/signing.h"

#include <algorithm>
#include <map>

namespace octroi::vault::generic {

namespace {

constexpr std::string_view kRedacted = "vault_redacted";

template <std::size_t N>
SignTemplate read(std::string_view text, const std::array<std::string_view, N>& known) {
  std::string problem;
  SignTemplate out = SignTemplate::parse(text, known, problem);
  return problem.empty() ? std::move(out) : SignTemplate{};
}

std::string_view text_in(const std::map<std::string, std::string, std::less<>>& values,
                         std::string_view name) {
  const auto at = values.find(name);
  return at == values.end() ? std::string_view() : at->second;
}

}  // namespace

std::vector<HmacSigning::Field> HmacSigning::compile(
    const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<Field> out, last;
  for (const auto& [name, value] : fields) {
    Field field{name, read(value, kSentFields)};
    // What the signature covers stands before it.
    (field.value.names("signature") ? last : out).push_back(std::move(field));
  }
  for (Field& f : last) out.push_back(std::move(f));
  return out;
}

HmacSigning::HmacSigning(const HmacSettings& settings)
    : settings_(settings),
      hash_(crypto::hash_from_string(settings.hash).value_or(crypto::HashName::sha256)),
      message_(read(settings.sign, kSignedFields)),
      headers_(compile(settings.headers)),
      query_(compile(settings.query)) {
  const auto names = [](const Field& f) { return f.value.names("key_id"); };
  names_id_ = message_.names("key_id") || std::ranges::any_of(headers_, names) ||
              std::ranges::any_of(query_, names);
}

Result<HmacSigning::Key> HmacSigning::key_of(const Secret& real) const {
  std::string_view text = real.reveal_text();
  Key out{settings_.key_id, {}};
  if (splits()) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos)
      return fail(Errc::bad_sealed, "write the real key as ID:SECRET, or name hmac.key_id");
    out.id = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (settings_.key == "text") {
    out.bytes = Secret(text);
  } else {
    auto bytes = settings_.key == "hex" ? from_hex(text) : from_base64_any(text);
    if (!bytes)
      return fail(Errc::bad_sealed, settings_.key == "hex"
                                        ? "the real key is not hexadecimal, as hmac.key says"
                                        : "the real key is not base64, as hmac.key says");
    out.bytes = Secret::take(std::move(*bytes));
  }
  if (out.bytes.size() < 8) return fail(Errc::bad_sealed, "this is too short for a key that signs");
  return out;
}

Result<> HmacSigning::check_credential(const Secret& real) const {
  OCTROI_TRY(const Key key, key_of(real));
  std::ignore = key;
  return {};
}

std::vector<Place> HmacSigning::places() const {
  std::vector<Place> out;
  for (const Field& f : headers_) {
    if (f.value.is_only("key_id") && !http::equal_ignoring_case(f.name, "authorization"))
      out.push_back({Place::Is::header, f.name});
  }
  for (const Field& f : query_) {
    if (f.value.is_only("key_id")) out.push_back({Place::Is::query, f.name});
  }
  return out;
}

std::vector<VendorPack::Hidden> HmacSigning::hidden(const Secret& real) const {
  std::vector<VendorPack::Hidden> out;
  if (splits()) {
    const std::string_view text = real.reveal_text();
    const std::size_t colon = std::min(text.find(':'), text.size());
    out.push_back({Secret(text.substr(std::min(colon + 1, text.size()))), std::string(kRedacted)});
  }
  // A key that is stored in one spelling may come back in another.
  if (auto key = key_of(real); key && settings_.key != "text")
    out.push_back({std::move(key->bytes), std::string(kRedacted)});
  return out;
}

void HmacSigning::drop(Input& input) const {
  for (const Field& f : query_) input.query.remove(f.name);
}

std::string HmacSigning::written(ByteView signature) const {
  if (settings_.encoding == "base64") return to_base64(signature);
  if (settings_.encoding == "base64url") return to_base64url(signature);
  return to_hex(signature);
}

std::string HmacSigning::timestamp(UnixMillis now) const {
  if (settings_.timestamp == "ms") return std::to_string(now.value);
  if (settings_.timestamp == "rfc3339") return to_rfc3339(now);
  if (settings_.timestamp == "http") return to_http_date(now);
  return std::to_string(now.seconds());
}

void HmacSigning::sign(const VendorPack::Sending& s, std::string_view authority,
                       UnixMillis now) const {
  auto key = key_of(s.real);
  if (!key) return;  // it was looked at before: never here
  std::map<std::string, std::string, std::less<>> values;
  const auto fill = [&](const SignTemplate& t) {
    return t.fill([&](std::string_view name) { return text_in(values, name); });
  };
  const Bytes body_hash = crypto::hash(hash_, as_bytes(s.input.body));
  values["timestamp"] = timestamp(now);
  values["nonce"] = s.nonce;
  values["newline"] = "\n";
  values["key_id"] = key->id;
  values["body_hash"] = to_hex(body_hash);
  values["body_hash_base64"] = to_base64(body_hash);

  std::string& target = s.head.target;
  const std::string path = target.substr(0, target.find('?'));
  const auto put_query = [&](bool signature) {
    for (const Field& f : query_) {
      if (f.value.names("signature") == signature) s.input.query.set(f.name, fill(f.value));
    }
    target = path;
    if (const std::string query = s.input.query.text(); !query.empty()) target += "?" + query;
  };
  put_query(false);

  values["method"] = s.head.method;
  values["path"] = path;
  values["query"] = s.input.query.text();
  values["target"] = target;
  values["host"] = authority;
  values["content_type"] = s.input.body.empty() ? "" : s.input.content_type;
  values["body"] = s.input.body;
  values["signature"] = written(crypto::hmac(hash_, key->bytes.reveal(), as_bytes(fill(message_))));
  put_query(true);
  for (const Field& f : headers_) s.head.headers.set(f.name, fill(f.value));
}

}  // namespace octroi::vault::generic
