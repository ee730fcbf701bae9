#include "octroi/bolt11/bolt11.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "octroi/base/bech32.h"
#include "octroi/bolt11/amount.h"
#include "octroi/bolt11/tags.h"
#include "octroi/json/value.h"

namespace octroi::bolt11 {
namespace {

// ---- the examples of the specification ----

json::Document spec_table() {
  const char* const set = std::getenv("OCTROI_TESTDATA");
  const std::filesystem::path root = set != nullptr ? set : OCTROI_TESTDATA_DIR;
  std::ifstream in(root / "bolt11" / "bolt11_spec.json");
  std::stringstream text;
  text << in.rdbuf();
  auto doc = json::parse(text.str());
  if (!doc) ADD_FAILURE() << doc.error().message();
  return *std::move(doc);
}

crypto::PrivateKey spec_key() {
  return crypto::PrivateKey::from_hex(
             "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")
      .value();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

void expect_route(const std::vector<RouteHop>& route, json::Value expected) {
  ASSERT_EQ(route.size(), expected.size());
  std::size_t i = 0;
  for (const json::Value hop : expected.elements()) {
    EXPECT_EQ(route[i].node.hex(), hop.string("node").value());
    EXPECT_EQ(short_channel_id_text(route[i].short_channel_id),
              hop.string("short_channel_id").value());
    EXPECT_EQ(route[i].fee_base, Msat::from_raw(hop.int64("fee_base_msat").value()).value());
    EXPECT_EQ(route[i].fee_proportional_millionths,
              hop.uint64("fee_proportional_millionths").value());
    EXPECT_EQ(route[i].cltv_expiry_delta, hop.uint64("cltv_expiry_delta").value());
    ++i;
  }
}

void expect_fields(const Invoice& got, json::Value row) {
  EXPECT_EQ(to_string(got.network), row.string("network").value());
  const auto amount = row.optional_int64("amount_msat").value();
  ASSERT_EQ(got.amount.has_value(), amount.has_value());
  if (amount) EXPECT_EQ(*got.amount, Msat::from_raw(*amount).value());
  EXPECT_EQ(got.created.seconds(), row.int64("timestamp").value());
  EXPECT_EQ(got.payment_hash.hex(), row.string("payment_hash").value());
  EXPECT_EQ(got.payment_secret.hex(), row.string("payment_secret").value());
  EXPECT_EQ(got.payee.hex(), row.string("payee").value());
  EXPECT_EQ(got.expires().seconds(), row.int64("timestamp").value() + row.int64("expiry").value());
  EXPECT_EQ(got.final_cltv(), row.uint64("min_final_cltv").value());
  const auto text = row.optional_string("description").value();
  EXPECT_EQ(got.description.has_value(), text.has_value());
  EXPECT_EQ(got.description.value_or(""), text.value_or(""));
  const auto hash = row.optional_string("description_hash").value();
  EXPECT_EQ(got.description_hash ? got.description_hash->hex() : "", hash.value_or(""));
  const auto metadata = row.optional_string("metadata").value();
  EXPECT_EQ(got.metadata ? to_hex(*got.metadata) : "", metadata.value_or(""));
  std::vector<std::uint16_t> features;
  const json::Value expected_features = row.array("features").value();
  for (const json::Value f : expected_features.elements())
    features.push_back(static_cast<std::uint16_t>(f.as_uint64().value()));
  EXPECT_EQ(got.features, features);
  EXPECT_EQ(got.other_fields.size(),
            static_cast<std::size_t>(row.optional_int64("other_fields").value().value_or(0)));

  std::vector<std::string> addresses;
  for (const Fallback& f : got.fallbacks) addresses.push_back(address_text(got.network, f));
  std::vector<std::string> expected_addresses;
  if (const auto list = row.find("fallbacks"))
    for (const json::Value a : list->elements())
      expected_addresses.emplace_back(a.as_string().value());
  EXPECT_EQ(addresses, expected_addresses);

  const auto routes = row.find("routes");
  ASSERT_EQ(got.routes.size(), routes ? routes->size() : 0);
  if (!routes) return;
  std::size_t i = 0;
  for (const json::Value route : routes->elements()) expect_route(got.routes[i++], route);
}

TEST(SpecExamples, DecodeToTheStatedFields) {
  const json::Document doc = spec_table();
  const json::Value rows = doc.root().array("valid").value();
  ASSERT_EQ(rows.size(), 16U);
  for (const json::Value row : rows.elements()) {
    SCOPED_TRACE(row.string("name").value());
    const auto got = decode(row.string("invoice").value());
    ASSERT_TRUE(got) << got.error().message();
    expect_fields(*got, row);
  }
}

TEST(SpecExamples, EncodeToTheSameText) {
  const json::Document doc = spec_table();
  const json::Value rows = doc.root().array("valid").value();
  std::size_t same = 0;
  for (const json::Value row : rows.elements()) {
    SCOPED_TRACE(row.string("name").value());
    auto invoice = decode(row.string("invoice").value());
    ASSERT_TRUE(invoice);
    if (row.boolean("canonical").value()) {
      EXPECT_EQ(encode(*invoice, spec_key()).value(), lower(row.string("invoice").value()));
      ++same;
      continue;
    }
    // Its signature cannot be made again; everything before the signature can.
    const std::string text(row.string("invoice").value());
    invoice->payee = {};
    const std::string again = encode(*invoice, spec_key()).value();
    EXPECT_NE(again, text);
    EXPECT_EQ(again.substr(0, again.size() - kSignatureWords - 6),
              text.substr(0, text.size() - kSignatureWords - 6));
    EXPECT_EQ(decode(again)->payee, spec_key().public_key());
  }
  EXPECT_EQ(same, 15U);
}

TEST(SpecExamples, RefuseTheInvalidOnes) {
  const json::Document doc = spec_table();
  const json::Value rows = doc.root().array("invalid").value();
  ASSERT_EQ(rows.size(), 10U);
  for (const json::Value row : rows.elements()) {
    SCOPED_TRACE(row.string("name").value());
    const auto got = decode(row.string("invoice").value());
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), row.string("error").value()) << got.error().message();
  }
}

// ---- amounts ----

TEST(Amount, WritesTheShortestFormAndReadsEveryForm) {
  struct Row {
    const char* text;
    Msat amount;
    const char* shortest;
  };
  const Row rows[] = {
      {"1", 100'000'000'000_msat, "1"},
      {"1000m", 100'000'000'000_msat, "1"},
      {"20m", 2'000'000'000_msat, "20m"},
      {"2500u", 250'000'000_msat, "2500u"},
      {"2500000n", 250'000'000_msat, "2500u"},
      {"1u", 100'000_msat, "1u"},
      {"10n", 1'000_msat, "10n"},
      {"1n", 100_msat, "1n"},
      {"10p", 1_msat, "10p"},
      {"9678785340p", 967'878'534_msat, "9678785340p"},
      {"21000000", Msat::from_raw_unchecked(Msat::kMax), "21000000"},
      {"20999999999999999990p", Msat::from_raw_unchecked(Msat::kMax - 1), "20999999999999999990p"},
  };
  for (const Row& row : rows) {
    const auto got = parse_amount(row.text);
    ASSERT_TRUE(got) << row.text << ": " << got.error().message();
    EXPECT_EQ(*got, row.amount) << row.text;
    EXPECT_EQ(format_amount(row.amount), row.shortest) << row.text;
  }
}

TEST(Amount, RefusesEverythingElse) {
  for (const char* bad : {"0",
                          "0u",
                          "00p",
                          "01u",
                          "1x",
                          "u",
                          "p",
                          "0p",
                          "1p",
                          "11p",
                          "25001p",
                          "-1u",
                          "+1u",
                          "1.5m",
                          "1 m",
                          "1mm",
                          "m1",
                          "1u2",
                          "21000001",
                          "21000000001m",
                          "210000000000000000010p",
                          "99999999999999999999999",
                          "99999999999999999999999p"})
    EXPECT_FALSE(parse_amount(bad)) << bad;
}

// ---- reading and writing ----

Invoice sample() {
  Invoice in;
  in.network = Network::regtest;
  in.amount = 1500_msat;
  in.created = from_unix_seconds(1'700'000'000);
  in.payment_hash = PaymentHash::from_hex(std::string(64, 'a')).value();
  in.payment_secret = PaymentSecret::from_hex(std::string(64, 'b')).value();
  in.description = "a page of weather";
  return in;
}

/// What decode must give back for what encode was given.
Invoice read_back(const Invoice& in) {
  const auto text = encode(in, spec_key());
  if (!text) {
    ADD_FAILURE() << text.error().message();
    return {};
  }
  auto out = decode(*text);
  if (!out) {
    ADD_FAILURE() << out.error().message() << " in " << *text;
    return {};
  }
  EXPECT_EQ(encode(*out, spec_key()).value(), *text);
  return *std::move(out);
}

void expect_same(Invoice got, Invoice want) {
  want.payee = spec_key().public_key();
  got.signature = want.signature = {};
  got.field_order = want.field_order = {};
  EXPECT_TRUE(got == want);
}

TEST(Invoice, EveryNetworkHasItsPrefix) {
  const std::pair<Network, std::string_view> rows[] = {{Network::mainnet, "lnbc15n1"},
                                                       {Network::testnet, "lntb15n1"},
                                                       {Network::signet, "lntbs15n1"},
                                                       {Network::regtest, "lnbcrt15n1"},
                                                       {Network::simnet, "lnsb15n1"}};
  for (const auto& [network, prefix] : rows) {
    Invoice in = sample();
    in.network = network;
    EXPECT_TRUE(encode(in, spec_key())->starts_with(prefix)) << prefix;
    expect_same(read_back(in), in);
    in.amount.reset();
    expect_same(read_back(in), in);
  }
}

TEST(Invoice, EveryFieldSurvives) {
  Invoice in = sample();
  in.metadata = Bytes{1, 2, 3};
  in.expiry = Seconds(0);
  in.min_final_cltv = 144;
  in.features = {8, 14, 17, 99, 5113};
  in.names_payee = true;
  in.fallbacks = {{FallbackKind::p2tr, Bytes(32, 1)},
                  {FallbackKind::p2wsh, Bytes(32, 2)},
                  {FallbackKind::p2wpkh, Bytes(20, 3)},
                  {FallbackKind::p2sh, Bytes(20, 4)},
                  {FallbackKind::p2pkh, Bytes(20, 5)}};
  RouteHop hop;
  hop.node = spec_key().public_key();
  hop.short_channel_id = 0xfedcba9876543210;
  hop.fee_base = 4'294'967'295_msat;
  hop.fee_proportional_millionths = 0xffffffff;
  hop.cltv_expiry_delta = 0xffff;
  in.routes = {{hop, hop}, {hop}};
  in.other_fields = {{2, {0, 31, 7}}, {30, {}}};
  expect_same(read_back(in), in);

  in.description.reset();
  in.description_hash = DescriptionHash::from_hex(std::string(64, 'c')).value();
  expect_same(read_back(in), in);
}

TEST(Invoice, LimitsOfValues) {
  Invoice in = sample();
  in.created = from_unix_seconds((std::int64_t{1} << 35) - 1);
  in.expiry = Seconds(static_cast<std::int64_t>(kMaxExpirySeconds));
  in.min_final_cltv = 0xffffffff;
  in.description = std::string(kMaxDescription, 'd');
  in.metadata = Bytes(kMaxDescription, 9);
  expect_same(read_back(in), in);
  EXPECT_GT(in.expires().value, in.created.value);
}

TEST(Invoice, DefaultsAndExpiry) {
  const Invoice in = read_back(sample());
  EXPECT_EQ(in.final_cltv(), 18U);
  EXPECT_EQ(in.expires(), from_unix_seconds(1'700'003'600));
  EXPECT_FALSE(in.expired(in.expires() - Millis(1)));
  EXPECT_TRUE(in.expired(in.expires()));
  EXPECT_EQ(in.features, (std::vector<std::uint16_t>{8, 14}));
}

TEST(Invoice, UpperCaseIsTheSameInvoice) {
  std::string text = encode(sample(), spec_key()).value();
  const auto small = decode(text);
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  const auto large = decode(text);
  ASSERT_TRUE(small && large);
  EXPECT_TRUE(*small == *large);
}

TEST(Encode, RefusesWhatNoPayerWouldAccept) {
  struct Row {
    const char* name;
    void (*change)(Invoice&);
    Errc error;
  };
  const Row rows[] = {
      {"another payee",
       [](Invoice& i) { i.payee = crypto::PrivateKey::generate(system_random()).public_key(); },
       Errc::wrong_key},
      {"zero amount", [](Invoice& i) { i.amount = Msat(); }, Errc::bad_amount},
      {"part of a second", [](Invoice& i) { i.created.value += 1; }, Errc::bad_field},
      {"before 1970", [](Invoice& i) { i.created.value = -1000; }, Errc::bad_field},
      {"too late", [](Invoice& i) { i.created = from_unix_seconds(std::int64_t{1} << 35); },
       Errc::bad_field},
      {"no description", [](Invoice& i) { i.description.reset(); }, Errc::missing_field},
      {"both descriptions", [](Invoice& i) { i.description_hash = DescriptionHash(); },
       Errc::conflict},
      {"long description", [](Invoice& i) { i.description = std::string(640, 'd'); },
       Errc::bad_field},
      {"description not UTF-8", [](Invoice& i) { i.description = "\xff"; }, Errc::bad_field},
      {"long metadata", [](Invoice& i) { i.metadata = Bytes(640); }, Errc::bad_field},
      {"negative expiry", [](Invoice& i) { i.expiry = Seconds(-1); }, Errc::bad_field},
      {"endless expiry", [](Invoice& i) { i.expiry = Seconds(std::int64_t{1} << 51); },
       Errc::bad_field},
      {"empty route", [](Invoice& i) { i.routes.emplace_back(); }, Errc::bad_field},
      {"hop without node", [](Invoice& i) { i.routes = {{RouteHop{}}}; }, Errc::bad_field},
      {"route of 13 hops",
       [](Invoice& i) {
         RouteHop hop;
         hop.node = spec_key().public_key();
         i.routes = {std::vector<RouteHop>(13, hop)};
       },
       Errc::bad_field},
      {"short fallback", [](Invoice& i) { i.fallbacks = {{FallbackKind::p2tr, Bytes(20)}}; },
       Errc::bad_field},
      {"feature beyond the field", [](Invoice& i) { i.features = {5115}; }, Errc::bad_field},
      {"other field of type 32", [](Invoice& i) { i.other_fields = {{32, {}}}; }, Errc::bad_field},
      {"other field of 6 bits", [](Invoice& i) { i.other_fields = {{2, {32}}}; }, Errc::bad_field},
  };
  for (const Row& row : rows) {
    Invoice in = sample();
    row.change(in);
    const auto got = encode(in, spec_key());
    EXPECT_TRUE(!got && got.error().is(row.error)) << row.name;
  }
}

// ---- texts that a careless or hostile writer could make: signed well, but wrong inside ----

using Words = std::vector<std::uint8_t>;

Words field(std::uint8_t type, const Words& words) {
  Words out{type, static_cast<std::uint8_t>(words.size() / 32),
            static_cast<std::uint8_t>(words.size() % 32)};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}
Words zeros(std::size_t n) { return Words(n, 0); }
Words text_words(std::string_view text) { return bytes_to_words(as_bytes(text)); }

std::string signed_invoice(const std::vector<Words>& fields,
                           std::string_view prefix = "lnbcrt15n") {
  Words words = zeros(kTimestampWords);
  for (const Words& f : fields) words.insert(words.end(), f.begin(), f.end());
  const Bytes data = words_to_bytes(words, Bech32Tail::pad).value();
  const auto s =
      spec_key().sign_recoverable(crypto::Sha256().update(as_bytes(prefix)).update(data).finish());
  Bytes raw(s.compact.begin(), s.compact.end());
  raw.push_back(s.recovery_id);
  const Words tail = bytes_to_words(raw);
  words.insert(words.end(), tail.begin(), tail.end());
  return bech32_encode(Bech32Kind::bech32, prefix, words).value();
}

const Words kHash = field(tag::kPaymentHash, zeros(52));
const Words kSecret = field(tag::kPaymentSecret, zeros(52));
const Words kText = field(tag::kDescription, text_words("d"));

TEST(Decode, RefusesWrongContentWithAGoodSignature) {
  Words padded = zeros(52);
  padded.back() = 1;
  Words hop = bytes_to_words(Bytes(kHopBytes, 0));
  Words version0{0};
  version0.resize(1 + 26, 0);  // 16 bytes
  Words key53 = zeros(53);
  struct Row {
    const char* name;
    std::vector<Words> fields;
    Errc error;
  };
  const Row rows[] = {
      {"no payment hash", {kSecret, kText}, Errc::missing_field},
      {"payment hash of a wrong length only",
       {field(tag::kPaymentHash, zeros(51)), kSecret, kText},
       Errc::missing_field},
      {"no secret", {kHash, kText}, Errc::missing_field},
      {"no description", {kHash, kSecret}, Errc::missing_field},
      {"description and hash",
       {kHash, kSecret, kText, field(tag::kDescriptionHash, zeros(52))},
       Errc::conflict},
      {"padding of a hash", {field(tag::kPaymentHash, padded), kSecret, kText}, Errc::bad_field},
      {"description not UTF-8",
       {kHash, kSecret, field(tag::kDescription, text_words("\xc0\x80"))},
       Errc::bad_field},
      {"description with a loose word",
       {kHash, kSecret, field(tag::kDescription, {0})},
       Errc::bad_field},
      {"expiry with leading zero",
       {kHash, kSecret, kText, field(tag::kExpiry, {0, 1})},
       Errc::bad_field},
      {"expiry too large",
       {kHash, kSecret, kText, field(tag::kExpiry, Words(11, 31))},
       Errc::bad_field},
      {"cltv with leading zero",
       {kHash, kSecret, kText, field(tag::kMinFinalCltv, {0, 1})},
       Errc::bad_field},
      {"cltv too large",
       {kHash, kSecret, kText, field(tag::kMinFinalCltv, Words(7, 31))},
       Errc::bad_field},
      {"features with leading zero",
       {kHash, kSecret, kText, field(tag::kFeatures, {0, 8, 8, 0})},
       Errc::bad_field},
      {"required feature 30",
       {kHash, kSecret, kText, field(tag::kFeatures, {1, 0, 0, 0, 0, 0, 0})},
       Errc::unknown_feature},
      {"empty route", {kHash, kSecret, kText, field(tag::kRoute, {})}, Errc::bad_field},
      {"route of no point", {kHash, kSecret, kText, field(tag::kRoute, hop)}, Errc::bad_field},
      {"route of half a hop",
       {kHash, kSecret, kText, field(tag::kRoute, bytes_to_words(Bytes(25)))},
       Errc::bad_field},
      {"empty fallback", {kHash, kSecret, kText, field(tag::kFallback, {})}, Errc::bad_field},
      {"fallback v0 of 16 bytes",
       {kHash, kSecret, kText, field(tag::kFallback, version0)},
       Errc::bad_field},
      {"payee that is no point",
       {kHash, kSecret, kText, field(tag::kPayee, key53)},
       Errc::bad_field},
      {"field cut short", {kHash, kSecret, kText, {2, 0, 5, 1}}, Errc::too_short},
      {"field without length", {kHash, kSecret, kText, {2, 0}}, Errc::too_short},
  };
  for (const Row& row : rows) {
    const auto got = decode(signed_invoice(row.fields));
    ASSERT_FALSE(got) << row.name;
    EXPECT_TRUE(got.error().is(row.error)) << row.name << ": " << got.error().message();
  }
}

TEST(Decode, OfARepeatedFieldTheFirstCounts) {
  Words other = zeros(52);
  other.front() = 31;
  const auto got = decode(signed_invoice({kHash, field(tag::kPaymentHash, other), kSecret, kText,
                                          field(tag::kDescription, text_words("second")),
                                          field(tag::kExpiry, {1}), field(tag::kExpiry, {2})}));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->payment_hash, PaymentHash());
  EXPECT_EQ(got->description, "d");
  EXPECT_EQ(got->expiry, Seconds(1));
  EXPECT_EQ(got->other_fields.size(), 3U);
}

TEST(Decode, AFieldOfWrongLengthDoesNotHideTheRightOne) {
  const auto got = decode(signed_invoice({field(tag::kPaymentHash, zeros(51)), kHash,
                                          field(tag::kPaymentSecret, zeros(53)), kSecret, kText}));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->other_fields.size(), 2U);
}

TEST(Decode, AnEmptyFeatureFieldIsSkippedAndKept) {
  const Words empty = field(tag::kFeatures, {});
  const Words some = field(tag::kFeatures, {8, 8, 0});
  for (const auto& [fields, features] :
       {std::pair{std::vector{kHash, kSecret, kText, empty}, std::vector<std::uint16_t>{}},
        std::pair{std::vector{kHash, kSecret, kText, empty, some},
                  std::vector<std::uint16_t>{8, 13}},
        std::pair{std::vector{kHash, kSecret, kText, some, empty},
                  std::vector<std::uint16_t>{8, 13}}}) {
    const std::string text = signed_invoice(fields);
    const auto got = decode(text);
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(got->features, features);
    EXPECT_EQ(encode(*got, spec_key()).value(), text);
  }
}

TEST(Decode, RefusesOtherPrefixes) {
  for (const char* prefix : {"lnxx15n", "bcrt15n", "ln15n", "l", "lnbcrtx", "lnbcrt15nx"}) {
    const auto got = decode(signed_invoice({kHash, kSecret, kText}, prefix));
    EXPECT_TRUE(!got && (got.error().is(Errc::bad_prefix) || got.error().is(Errc::bad_amount)))
        << prefix;
  }
}

TEST(Decode, RefusesTheOtherChecksum) {
  const auto parts = bech32_decode(signed_invoice({kHash, kSecret, kText})).value();
  const auto got = decode(bech32_encode(Bech32Kind::bech32m, parts.prefix, parts.words).value());
  EXPECT_TRUE(!got && got.error().is(Errc::bad_bech32));
}

TEST(Decode, ANamedPayeeMustHaveSigned) {
  SeededRandom random(1);
  const auto stranger = crypto::PrivateKey::generate(random).public_key();
  const Words named = field(tag::kPayee, bytes_to_words(stranger.bytes()));
  const auto got = decode(signed_invoice({kHash, kSecret, kText, named}));
  EXPECT_TRUE(!got && got.error().is(Errc::bad_signature));
}

TEST(Decode, RecoveryIdOverThreeIsRefused) {
  auto parts = bech32_decode(signed_invoice({kHash, kSecret, kText})).value();
  parts.words.back() = 4;
  const auto got = decode(bech32_encode(Bech32Kind::bech32, parts.prefix, parts.words).value());
  EXPECT_TRUE(!got && got.error().is(Errc::bad_signature));
}

TEST(Decode, EveryCutIsRefused) {
  const std::string text = encode(sample(), spec_key()).value();
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(decode(text.substr(0, n))) << n;
}

TEST(Decode, AnotherAmountUnderTheSameSignatureIsAnotherPayee) {
  // Without a named payee a change of the text recovers some other key, never the real one.
  const auto parts = bech32_decode(encode(sample(), spec_key()).value()).value();
  const auto got = decode(bech32_encode(Bech32Kind::bech32, "lnbcrt14n", parts.words).value());
  EXPECT_TRUE(!got || got->payee != spec_key().public_key());
}

}  // namespace
}  // namespace octroi::bolt11
