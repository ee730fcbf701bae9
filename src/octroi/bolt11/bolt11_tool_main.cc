// Test tool: invoices as JSON lines, for comparing with readers and writers by others.
//
//   bolt11_tool make COUNT SEED   writes COUNT random invoices: {"invoice": …, "fields": …}
//   bolt11_tool decode            reads invoices, one a line: {"fields": …} or {"error": code}
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "octroi/bolt11/bolt11.h"
#include "octroi/json/writer.h"

namespace octroi::bolt11 {
namespace {

/// Small choices from a repeatable stream.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t n) {
    std::uint64_t v = 0;
    for (const std::uint8_t b : random_.bytes<8>()) v = v << 8 | b;
    return v % n;
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  Bytes bytes(std::size_t n) {
    Bytes out(n);
    random_.fill(out);
    return out;
  }
  crypto::PrivateKey key() { return crypto::PrivateKey::generate(random_); }

 private:
  SeededRandom random_;
};

std::optional<Msat> random_amount(Dice& dice) {
  if (dice.one_in(6)) return std::nullopt;
  // Each magnitude, so that each multiplier is written.
  std::int64_t msat = static_cast<std::int64_t>(dice.below(9999) + 1);
  for (std::uint64_t i = dice.below(12); i > 0; --i) msat *= 10;
  return Msat::from_raw_unchecked(msat);
}

Fallback random_fallback(Dice& dice) {
  constexpr std::array kKinds = {FallbackKind::p2pkh, FallbackKind::p2sh, FallbackKind::p2wpkh,
                                 FallbackKind::p2wsh, FallbackKind::p2tr};
  const FallbackKind kind = kKinds[dice.below(kKinds.size())];
  const bool wide = kind == FallbackKind::p2wsh || kind == FallbackKind::p2tr;
  return {kind, dice.bytes(wide ? 32 : 20)};
}

std::vector<RouteHop> random_route(Dice& dice) {
  std::vector<RouteHop> route(1 + dice.below(3));
  for (RouteHop& hop : route) {
    hop.node = dice.key().public_key();
    hop.short_channel_id = dice.below(1'000'000) << 40 | dice.below(4000) << 16 | dice.below(9);
    hop.fee_base = Msat::from_raw_unchecked(static_cast<std::int64_t>(dice.below(5000)));
    hop.fee_proportional_millionths = static_cast<std::uint32_t>(dice.below(1'000'000));
    hop.cltv_expiry_delta = static_cast<std::uint16_t>(dice.below(2016));
  }
  return route;
}

std::string random_description(Dice& dice) {
  constexpr std::array<std::string_view, 6> kWords = {"forecast",   "ナンセンス", "1杯",
                                                      "\"quoted\"", "☕",         "a\\b"};
  std::string out;
  for (std::uint64_t i = dice.below(12); i > 0; --i) {
    if (!out.empty()) out += ' ';
    out += kWords[dice.below(kWords.size())];
  }
  return out;
}

Invoice random_invoice(Dice& dice) {
  constexpr std::array kNetworks = {Network::mainnet, Network::testnet, Network::signet,
                                    Network::regtest, Network::simnet};
  Invoice in;
  in.network = kNetworks[dice.below(kNetworks.size())];
  in.amount = random_amount(dice);
  in.created =
      from_unix_seconds(1'500'000'000 + static_cast<std::int64_t>(dice.below(500'000'000)));
  in.payment_hash = PaymentHash::from_bytes(dice.bytes(32)).value();
  in.payment_secret = PaymentSecret::from_bytes(dice.bytes(32)).value();
  if (dice.one_in(4))
    in.description_hash = DescriptionHash::from_bytes(dice.bytes(32)).value();
  else
    in.description = random_description(dice);
  if (dice.one_in(5)) in.metadata = dice.bytes(1 + dice.below(40));
  if (dice.one_in(2)) in.expiry = Seconds(static_cast<std::int64_t>(1 + dice.below(10'000'000)));
  if (dice.one_in(2)) in.min_final_cltv = static_cast<std::uint32_t>(1 + dice.below(2016));
  for (std::uint64_t i = dice.below(3); i > 0; --i) in.fallbacks.push_back(random_fallback(dice));
  for (std::uint64_t i = dice.below(3); i > 0; --i) in.routes.push_back(random_route(dice));
  if (dice.one_in(2)) in.features.push_back(17);
  if (dice.one_in(3)) in.features.push_back(static_cast<std::uint16_t>(101 + 2 * dice.below(100)));
  in.names_payee = dice.one_in(3);
  return in;
}

void write_routes(json::Writer& w, const Invoice& in) {
  w.key("routes").begin_array();
  for (const auto& route : in.routes) {
    w.begin_array();
    for (const RouteHop& hop : route)
      w.begin_object()
          .field("node", hop.node.hex())
          .field("short_channel_id", short_channel_id_text(hop.short_channel_id))
          .field("fee_base_msat", hop.fee_base.count() /* raw: for the peer's decoder */)
          .field("fee_proportional_millionths", std::uint64_t{hop.fee_proportional_millionths})
          .field("cltv_expiry_delta", std::uint64_t{hop.cltv_expiry_delta})
          .end_object();
    w.end_array();
  }
  w.end_array();
}

void write_fields(json::Writer& w, const Invoice& in) {
  w.key("fields").begin_object();
  w.field("network", to_string(in.network));
  w.field("prefix", currency_prefix(in.network));
  if (in.amount) w.field("amount_msat", in.amount->count() /* raw: for the peer's decoder */);
  w.field("timestamp", in.created.seconds());
  w.field("payment_hash", in.payment_hash.hex());
  w.field("payment_secret", in.payment_secret.hex());
  w.field("payee", in.payee.hex());
  w.field("expiry", std::int64_t{in.expiry.value_or(kDefaultExpiry).count() /* raw: seconds */});
  w.field("min_final_cltv", std::uint64_t{in.final_cltv()});
  w.field("description", in.description);
  if (in.description_hash) w.field("description_hash", in.description_hash->hex());
  if (in.metadata) w.field("metadata", to_hex(*in.metadata));
  w.key("features").begin_array();
  for (const std::uint16_t f : in.features) w.unsigned_integer(f);
  w.end_array();
  w.key("fallbacks").begin_array();
  for (const Fallback& f : in.fallbacks) w.string(address_text(in.network, f));
  w.end_array();
  write_routes(w, in);
  w.end_object();
}

int make(std::uint64_t count, std::uint64_t seed) {
  Dice dice(seed);
  for (std::uint64_t i = 0; i < count; ++i) {
    const crypto::PrivateKey key = dice.key();
    Invoice in = random_invoice(dice);
    in.payee = key.public_key();
    const auto text = encode(in, key);
    if (!text) {
      std::cerr << text.error().message() << '\n';
      return 1;
    }
    json::Writer w;
    w.begin_object().field("invoice", *text);
    write_fields(w, in);
    w.end_object();
    std::cout << std::move(w).take() << '\n';
  }
  return 0;
}

int decode_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto in = decode(line);
    json::Writer w;
    w.begin_object();
    if (in)
      write_fields(w, *in);
    else
      w.field("error", in.error().code());
    w.end_object();
    std::cout << std::move(w).take() << '\n';
  }
  return 0;
}

}  // namespace
}  // namespace octroi::bolt11

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "make" && argc == 4)
    return octroi::bolt11::make(std::strtoull(argv[2], nullptr, 10),
                                std::strtoull(argv[3], nullptr, 10));
  if (what == "decode" && argc == 2) return octroi::bolt11::decode_lines();
  std::cerr << "usage: bolt11_tool make COUNT SEED | bolt11_tool decode\n";
  return 2;
}
