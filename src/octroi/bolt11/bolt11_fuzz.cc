// Text that decodes is encoded again with a key of ours and must decode to the same invoice; and
// the input's data part, signed by us so that the fuzzer gets past the checksum and the signature,
// must obey the same rule.
#include <cstdlib>

#include "octroi/base/bech32.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"

namespace {

using namespace octroi;

const crypto::PrivateKey& key() {
  static const crypto::PrivateKey k =
      crypto::PrivateKey::from_hex(
          "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")
          .value();
  return k;
}

void check(std::string_view text) {
  auto first = bolt11::decode(text);
  if (!first) return;
  if (first->payee.empty() || (first->amount && first->amount->is_zero())) std::abort();
  if (first->description.has_value() == first->description_hash.has_value()) std::abort();
  if (first->expires() < first->created) std::abort();
  for (const bolt11::Fallback& f : first->fallbacks)
    if (bolt11::address_text(first->network, f).empty()) std::abort();

  first->payee = key().public_key();
  const auto again = bolt11::encode(*first, key());
  if (!again) std::abort();
  auto second = bolt11::decode(*again);
  if (!second) std::abort();
  if (bolt11::encode(*second, key()).value() != *again) std::abort();
  first->signature = second->signature = {};
  if (!(*first == *second)) std::abort();
}

// First byte: how much of the rest is prefix. Then the prefix, then words.
void check_signed(ByteView input) {
  if (input.empty()) return;
  const std::size_t prefix_size = std::min<std::size_t>(input[0] % 32, input.size() - 1);
  const std::string prefix = "ln" + std::string(as_text(input.subspan(1, prefix_size)));
  std::vector<std::uint8_t> words;
  for (const std::uint8_t b : input.subspan(1 + prefix_size)) words.push_back(b & 31);
  const Bytes data = words_to_bytes(words, Bech32Tail::pad).value();
  const auto s =
      key().sign_recoverable(crypto::Sha256().update(as_bytes(prefix)).update(data).finish());
  Bytes raw(s.compact.begin(), s.compact.end());
  raw.push_back(s.recovery_id);
  const auto tail = bytes_to_words(raw);
  words.insert(words.end(), tail.begin(), tail.end());
  if (const auto text = bech32_encode(Bech32Kind::bech32, prefix, words)) check(*text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(as_text({data, size}));
  check_signed({data, size});
  return 0;
}
