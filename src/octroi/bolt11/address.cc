#include <algorithm>
#include <string>

#include "octroi/base/bech32.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"

namespace octroi::bolt11 {
namespace {

// First byte of base58 addresses, as each chain's parameters have it.
struct Base58Versions {
  std::uint8_t p2pkh;
  std::uint8_t p2sh;
};

Base58Versions base58_versions(Network n) {
  switch (n) {
    case Network::mainnet:
      return {0x00, 0x05};
    case Network::testnet:
    case Network::signet:
    case Network::regtest:
      return {0x6f, 0xc4};
    case Network::simnet:
      return {0x3f, 0x7b};
  }
  return {0, 0};
}

std::string_view segwit_prefix(Network n) {
  return n == Network::signet ? "tb" : currency_prefix(n);
}

// Long division of the big number by 58, byte by byte; addresses are 25 bytes.
std::string base58(ByteView bytes) {
  constexpr std::string_view kAlphabet =
      "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  Bytes digits;  // least significant first
  for (const std::uint8_t byte : bytes) {
    unsigned carry = byte;
    for (std::uint8_t& d : digits) {
      carry += static_cast<unsigned>(d) << 8;
      d = static_cast<std::uint8_t>(carry % 58);
      carry /= 58;
    }
    for (; carry != 0; carry /= 58) digits.push_back(static_cast<std::uint8_t>(carry % 58));
  }
  std::string out;
  for (std::size_t i = 0; i < bytes.size() && bytes[i] == 0; ++i) out += kAlphabet.front();
  for (auto d = digits.rbegin(); d != digits.rend(); ++d) out += kAlphabet[*d];
  return out;
}

std::string base58check(std::uint8_t version, ByteView program) {
  Bytes bytes{version};
  bytes.insert(bytes.end(), program.begin(), program.end());
  const auto checksum = crypto::sha256d(bytes);
  bytes.insert(bytes.end(), checksum.begin(), checksum.begin() + 4);
  return base58(bytes);
}

std::string segwit(Network n, std::uint8_t version, ByteView program) {
  std::vector<std::uint8_t> words = bytes_to_words(program);
  words.insert(words.begin(), version);
  // BIP 350: version 0 keeps the first checksum, later versions have the second.
  const Bech32Kind kind = version == 0 ? Bech32Kind::bech32 : Bech32Kind::bech32m;
  return bech32_encode(kind, segwit_prefix(n), words).value_or("");
}

}  // namespace

std::string address_text(Network network, const Fallback& fallback) {
  switch (fallback.kind) {
    case FallbackKind::p2pkh:
      return base58check(base58_versions(network).p2pkh, fallback.program);
    case FallbackKind::p2sh:
      return base58check(base58_versions(network).p2sh, fallback.program);
    case FallbackKind::p2wpkh:
    case FallbackKind::p2wsh:
      return segwit(network, 0, fallback.program);
    case FallbackKind::p2tr:
      return segwit(network, 1, fallback.program);
  }
  return {};
}

}  // namespace octroi::bolt11
