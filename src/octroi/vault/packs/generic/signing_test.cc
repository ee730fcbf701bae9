#include "octroi/vault/packs/generic/signing.h"

#include <gmock/gmock.h>

#include "octroi/vault/packs/generic/generic.h"

namespace octroi::vault::generic {
namespace {

using ::testing::HasSubstr;

constexpr UnixMillis kNow{1'700'000'000'250};

struct Signed {
  http::RequestHead head;
  Input input;
};

Signed signed_by(const HmacSettings& settings, std::string_view real, std::string method,
                 std::string path, std::string query, std::string body) {
  Signed out;
  out.head.method = std::move(method);
  out.input.query = *Form::parse(query, {.max_fields = 64, .free_names = true});
  out.input.body = std::move(body);
  out.input.content_type = "application/json";
  out.head.target = path;
  if (!query.empty()) out.head.target += "?" + out.input.query.text();
  const ledger::VaultKey key;
  const Secret secret(real);
  HmacSigning(settings).sign({out.head, out.input, secret, key, "", "0a0b"}, "api.example", kNow);
  return out;
}

std::string mac(crypto::HashName hash, std::string_view key, std::string_view message) {
  return to_hex(crypto::hmac(hash, as_bytes(key), as_bytes(message)));
}

TEST(HmacSigning, SignsWhatIsSent) {
  HmacSettings s;
  s.sign =
      "{timestamp}{newline}{method}{newline}{path}{newline}{query}{newline}{host}{newline}"
      "{content_type}{newline}{nonce}{newline}{body_hash}{newline}{body}{{}}";
  s.headers = {{"X-Sign", "t={timestamp},n={nonce},v1={signature}"}};
  const Signed got = signed_by(s, "a secret key", "POST", "/base/pay", "b=2&a=1", R"({"a":1})");
  const std::string hash = to_hex(crypto::hash(crypto::HashName::sha256, as_bytes(R"({"a":1})")));
  const std::string message =
      "1700000000\nPOST\n/base/pay\nb=2&a=1\napi.example\napplication/json\n0a0b\n" + hash +
      "\n{\"a\":1}{}";
  EXPECT_EQ(got.head.headers.get("X-Sign"),
            "t=1700000000,n=0a0b,v1=" + mac(crypto::HashName::sha256, "a secret key", message));
  EXPECT_EQ(got.head.target, "/base/pay?b=2&a=1");
}

TEST(HmacSigning, SignsTheQueryButForTheSignature) {
  // What a well-known exchange publishes as its example.
  HmacSettings s;
  s.sign = "{query}{body}";
  s.timestamp = "ms";
  s.headers = {{"X-MBX-APIKEY", "{key_id}"}};
  s.query = {{"signature", "{signature}"}};
  const std::string query =
      "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&"
      "timestamp=1499827319559";
  const Signed got =
      signed_by(s, "myid:NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j", "POST",
                "/api/v3/order", query, "");
  EXPECT_EQ(got.head.target,
            "/api/v3/order?" + query +
                "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
  EXPECT_EQ(got.head.headers.get("X-MBX-APIKEY"), "myid");
}

TEST(HmacSigning, OwnParametersAreSignedInTheirPlace) {
  HmacSettings s;
  s.sign = "{target}";
  s.query = {{"sig", "{signature}"}, {"at", "{timestamp}"}, {"key", "{key_id}"}};
  s.key_id = "k1";
  s.timestamp = "ms";
  const Signed got = signed_by(s, "a secret key", "GET", "/x", "at=5&q=1", "");
  const std::string covered = "/x?q=1&at=1700000000250&key=k1";
  EXPECT_EQ(got.head.target,
            covered + "&sig=" + mac(crypto::HashName::sha256, "a secret key", covered));
}

TEST(HmacSigning, KeysAndSignaturesInTheirSpellings) {
  struct Row {
    const char* name;
    const char* hash;
    const char* key;
    const char* encoding;
    std::string real;
    std::string signature;
  };
  // RFC 4231 case 1; RFC 2202 case 1.
  const std::string key(20, '\x0b');
  const std::string sha256 = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
  const Row rows[] = {
      {"hex", "sha256", "hex", "hex", to_hex(as_bytes(key)), sha256},
      {"base64", "sha256", "base64", "base64", to_base64(as_bytes(key)),
       to_base64(*from_hex(sha256))},
      {"base64url", "sha256", "base64", "base64url", to_base64url(as_bytes(key)),
       to_base64url(*from_hex(sha256))},
      {"sha1", "sha1", "hex", "hex", to_hex(as_bytes(key)),
       "b617318655057264e28bc0b6fb378c8ef146be00"},
      {"sha384", "sha384", "hex", "hex", to_hex(as_bytes(key)),
       "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
       "faea9ea9076ede7f4af152e8b2fa9cb6"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    HmacSettings s;
    s.hash = row.hash;
    s.key = row.key;
    s.encoding = row.encoding;
    s.sign = "{body}";
    s.headers = {{"X-Sign", "{signature}"}};
    EXPECT_TRUE(HmacSigning(s).check_credential(Secret(row.real)));
    const Signed got = signed_by(s, row.real, "POST", "/", "", "Hi There");
    EXPECT_EQ(got.head.headers.get("X-Sign"), row.signature);
  }
}

TEST(HmacSigning, TimeAsVendorsWriteIt) {
  for (const auto& [style, text] :
       {std::pair{"seconds", "1700000000"}, std::pair{"ms", "1700000000250"},
        std::pair{"rfc3339", "2023-11-14T22:13:20Z"},
        std::pair{"http", "Tue, 14 Nov 2023 22:13:20 GMT"}}) {
    HmacSettings s;
    s.sign = "{timestamp}";
    s.timestamp = style;
    s.headers = {{"X-At", "{timestamp}"}, {"X-Sign", "{signature}"}};
    const Signed got = signed_by(s, "a secret key", "GET", "/", "", "");
    EXPECT_EQ(got.head.headers.get("X-At"), text);
    EXPECT_EQ(got.head.headers.get("X-Sign"), mac(crypto::HashName::sha256, "a secret key", text));
  }
}

TEST(HmacSigning, ChecksWhatIsStored) {
  struct Row {
    const char* name;
    const char* key;
    bool names_id;
    const char* real;
    const char* says;  // empty: it is good
  };
  const Row rows[] = {
      {"text", "text", false, "12345678", ""},
      {"short", "text", false, "1234567", "too short"},
      {"short in hex", "hex", false, "01020304", "too short"},
      {"no hex", "hex", false, "12345678901234567g", "not hexadecimal"},
      {"no base64", "base64", false, "12345678*", "not base64"},
      {"id and key", "hex", true, "me:0102030405060708", ""},
      {"no id", "text", true, "12345678", "ID:SECRET"},
      {"an empty id", "text", true, ":12345678", "ID:SECRET"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    HmacSettings s;
    s.key = row.key;
    s.sign = row.names_id ? "{key_id}{body}" : "{body}";
    const auto good = HmacSigning(s).check_credential(Secret(std::string_view(row.real)));
    EXPECT_EQ(good.has_value(), std::string_view(row.says).empty());
    if (!good) EXPECT_THAT(std::string(good.error().message()), HasSubstr(row.says));
  }
}

TEST(HmacSigning, PlacesOfTheAgentsKey) {
  VendorSettings vendor;
  vendor.hmac.emplace();
  vendor.hmac->sign = "{query}";
  vendor.hmac->headers = {{"X-Key", "{key_id}"}, {"X-Sign", "{signature}"}};
  vendor.hmac->query = {{"key", "{key_id}"}, {"sig", "{signature}"}, {"at", "{timestamp}"}};
  const auto pack = make_generic_pack(vendor);
  const auto places = pack->places();
  ASSERT_EQ(places.size(), 2U);
  EXPECT_EQ(places[0].name, "X-Key");
  EXPECT_EQ(places[1].name, "key");
  // What an agent signed itself is not what is judged.
  Input input;
  input.query = *Form::parse("a=1&sig=x&at=5");
  ASSERT_TRUE(pack->name({}, {}, input));
  EXPECT_EQ(input.query.text(), "a=1");
  // The secret is looked for by itself, and in the spelling in which it signs.
  const auto hidden = pack->hidden(Secret(std::string_view("id:a long secret")), {});
  ASSERT_EQ(hidden.size(), 2U);
  EXPECT_TRUE(hidden[1].text.equals("a long secret"));
}

TEST(SignTemplate, Problems) {
  for (const auto& [text, problem] :
       {std::pair{"{body", "has a { without its }"}, std::pair{"body}", "has a } without its {"},
        std::pair{"{bodies}", "has a field {bodies} that is not known here"},
        std::pair{"{}", "has a field {} that is not known here"}, std::pair{"{{body}}", ""},
        std::pair{"", ""}}) {
    std::string said;
    std::ignore = SignTemplate::parse(text, kSignedFields, said);
    EXPECT_EQ(said, problem) << text;
  }
}

}  // namespace
}  // namespace octroi::vault::generic
