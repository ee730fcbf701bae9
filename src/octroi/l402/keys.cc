#include "octroi/l402/keys.h"

#include <algorithm>

namespace octroi::l402 {
namespace {

constexpr std::string_view kRootLabel = "octroi/l402/root/1";
constexpr std::string_view kKeyIdLabel = "octroi/l402/key-id/1";

}  // namespace

Result<> RootKeys::add(const Secret& key) {
  if (key.size() < kMinRingKeySize) {
    return fail(Errc::bad_key,
                "l402_keys: each key needs at least 32 bytes, such as 32 random bytes in a file");
  }
  Entry entry{.key = crypto::HmacSha256Key(key), .id = {}};
  std::ranges::copy_n(entry.key.mac(as_bytes(kKeyIdLabel)).begin(), kKeyIdSize, entry.id.begin());
  const bool known =
      std::ranges::any_of(ring_, [&](const Entry& other) { return other.id == entry.id; });
  if (known)
    return fail(Errc::bad_key, "l402_keys: the same key stands in the list twice; remove one");
  ring_.push_back(std::move(entry));
  return {};
}

Result<RootKeys> RootKeys::make(std::span<const std::shared_ptr<const Secret>> newest_first) {
  if (newest_first.empty()) return fail(Errc::bad_key, "l402_keys: at least one key is needed");
  RootKeys keys;
  keys.ring_.reserve(newest_first.size());
  for (const auto& key : newest_first) OCTROI_CHECK(keys.add(*key));
  return keys;
}

Result<RootKeys> RootKeys::make(const Secret& only) {
  RootKeys keys;
  OCTROI_CHECK(keys.add(only));
  return keys;
}

TokenId RootKeys::new_token_id(Random& random) const {
  auto raw = random.bytes<TokenId::kSize>();
  std::ranges::copy(ring_.front().id, raw.begin());
  return TokenId(raw);
}

std::optional<std::size_t> RootKeys::find(const TokenId& id) const {
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    if (std::ranges::equal(ring_[i].id, id.bytes().first(kKeyIdSize))) return i;
  }
  return std::nullopt;
}

crypto::Sha256Digest RootKeys::root_of(std::size_t index, const TokenId& id) const {
  // Label and id fit one block after the key's pad: two compressions a token.
  std::array<std::uint8_t, kRootLabel.size() + TokenId::kSize> message{};
  std::ranges::copy(as_bytes(kRootLabel), message.begin());
  std::ranges::copy(id.bytes(), message.begin() + kRootLabel.size());
  return ring_[index].key.mac(message);
}

}  // namespace octroi::l402
