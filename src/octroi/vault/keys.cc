#include "octroi/vault/keys.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "octroi/crypto/compare.h"
#include "octroi/crypto/hash.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kSecretSize = 32;
constexpr std::size_t kCheckSize = 6;
constexpr std::size_t kPairSize = 34;  // AC and 32 digits
static_assert(kKeyIdSize + kSecretSize + kCheckSize == kKeyBodySize);

enum class Mode : std::uint8_t { live, test, any };
struct Dress {
  std::string_view prefix;
  Mode mode;
};
// A longer prefix stands before one that it begins with.
constexpr std::array<Dress, 9> kDresses = {{{"vault_live_", Mode::live},
                                            {"vault_test_", Mode::test},
                                            {"sk_live_vault", Mode::live},
                                            {"sk_test_vault", Mode::test},
                                            {"rk_live_vault", Mode::live},
                                            {"rk_test_vault", Mode::test},
                                            {"re_vault", Mode::any},
                                            {"sk-ant-vault", Mode::any},
                                            {"sk-vault", Mode::any}}};

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
bool is_lower_hex(std::string_view text) {
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

ledger::Digest tagged(std::string_view tag, std::string_view text) {
  crypto::Sha256 h;
  h.update(as_bytes(tag));
  h.update(as_bytes(text));
  return h.finish();
}

/// Six characters over everything before them. No secret: it only catches mistakes.
std::array<char, kCheckSize> check_of(std::string_view text) {
  const auto digest = tagged("octroi vault key check\n", text);
  std::uint64_t n = 0;
  std::memcpy(&n, digest.data(), sizeof n);
  std::array<char, kCheckSize> out{};
  for (char& c : out) {
    c = kAlphabet[n % kAlphabet.size()];
    n /= kAlphabet.size();
  }
  return out;
}

ledger::Digest secret_hash(std::string_view body) { return tagged("octroi vault key\n", body); }
std::string pair_token(std::string_view body) {
  const auto digest = tagged("octroi vault key pair token\n", body);
  return to_hex(ByteView(digest).first(16));
}
ledger::Digest pair_hash(std::string_view token) {
  return tagged("octroi vault key pair\n", token);
}

/// Without bias: bytes beyond the last whole multiple of the alphabet are drawn again.
void fill_letters(std::span<char> out, Random& random) {
  constexpr std::size_t kLimit = 256 / kAlphabet.size() * kAlphabet.size();
  std::size_t filled = 0;
  while (filled < out.size()) {
    auto drawn = random.bytes<64>();
    for (const std::uint8_t b : drawn) {
      if (b < kLimit && filled < out.size()) out[filled++] = kAlphabet[b % kAlphabet.size()];
    }
    secure_wipe(drawn.data(), drawn.size());
  }
}

std::string_view prefix_of(KeyShape shape, bool live) {
  switch (shape) {
    case KeyShape::vault:
      return live ? "vault_live_" : "vault_test_";
    case KeyShape::stripe:
      return live ? "sk_live_vault" : "sk_test_vault";
    case KeyShape::restricted:
      return live ? "rk_live_vault" : "rk_test_vault";
    case KeyShape::resend:
      return "re_vault";
    case KeyShape::openai:
      return "sk-vault";
    case KeyShape::anthropic:
      return "sk-ant-vault";
    case KeyShape::pair:
    case KeyShape::aws:
      break;
  }
  return {};
}

tl::unexpected<Error> no_key() {
  return fail(Errc::no_key,
              "this is no vault key: show the key that octroi key issue gave, complete");
}

}  // namespace

std::string pair_name(std::string_view id) {
  const auto digest = tagged("octroi vault key pair name\n", id);
  return "AC" + to_hex(ByteView(digest).first(16));
}

Secret IssuedKey::text(KeyShape shape) const {
  const std::string_view b = body.reveal_text();
  if (shape == KeyShape::pair) {
    return Secret::take(pair_name(b.substr(0, kKeyIdSize)) + ":" + pair_token(b));
  }
  if (shape == KeyShape::aws) {
    return Secret::take(signer_name(record) + ":" + std::string(signing.reveal_text()));
  }
  std::string out(prefix_of(shape, record.live));
  out += b;
  return Secret::take(std::move(out));
}

std::string signer_name(const ledger::VaultKey& key) {
  // Sixteen characters of base32 over eighty bits of the pair's name, which is a hash.
  static constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string out = "AKIA";
  const auto raw =
      from_hex(std::string_view(key.pair_id).substr(std::min<std::size_t>(2, key.pair_id.size())));
  if (!raw || raw->size() < 10) return out;
  std::uint32_t bits = 0;
  int have = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    bits = (bits << 8U) | (*raw)[i];
    for (have += 8; have >= 5; have -= 5)
      out += kBase32[(bits >> static_cast<unsigned>(have - 5)) & 31U];
  }
  return out;
}

Secret signer_secret(const Secret& master, std::string_view key_id) {
  const std::string text = "octroi vault key that signs\n" + std::string(key_id);
  auto mac = crypto::hmac_sha256(master.reveal(), as_bytes(text));
  std::string secret = to_base64(mac).substr(0, 40);
  secure_wipe(mac.data(), mac.size());
  return Secret::take(std::move(secret));
}

IssuedKey issue_key(bool live, Random& random) {
  std::string body(kKeyBodySize, '\0');
  body[0] = live ? 'l' : 't';
  fill_letters(std::span(body).subspan(1, kKeyIdSize + kSecretSize - 1), random);
  const auto check = check_of(std::string_view(body).substr(0, kKeyIdSize + kSecretSize));
  std::memcpy(body.data() + kKeyIdSize + kSecretSize, check.data(), check.size());

  IssuedKey out;
  out.record.live = live;
  out.record.id = body.substr(0, kKeyIdSize);
  out.record.secret_hash = secret_hash(body);
  out.record.pair_id = pair_name(out.record.id);
  std::string token = pair_token(body);
  out.record.pair_hash = pair_hash(token);
  secure_wipe(token.data(), token.size());
  out.body = Secret::take(std::move(body));
  return out;
}

Result<PresentedKey> read_key(std::string_view text) {
  for (const Dress& dress : kDresses) {
    if (!text.starts_with(dress.prefix)) continue;
    const std::string_view body = text.substr(dress.prefix.size());
    if (body.size() != kKeyBodySize) return no_key();
    for (const char c : body) {
      if (!is_letter_or_digit(c)) return no_key();
    }
    const bool live = body[0] == 'l';
    if (!live && body[0] != 't') return no_key();
    if ((dress.mode == Mode::live && !live) || (dress.mode == Mode::test && live)) return no_key();
    const auto check = check_of(body.substr(0, kKeyIdSize + kSecretSize));
    if (body.substr(kKeyIdSize + kSecretSize) != std::string_view(check.data(), check.size())) {
      return no_key();
    }
    return PresentedKey{.body = body, .name = {}, .token = {}};
  }
  return no_key();
}

Result<PresentedKey> read_pair(std::string_view name, std::string_view token) {
  if (name.size() == kPairSize && name.starts_with("AC") && is_lower_hex(name.substr(2))) {
    if (token.size() != 32 || !is_lower_hex(token)) return no_key();
    return PresentedKey{.body = {}, .name = name, .token = token};
  }
  // `curl -u KEY:`, and programs that put an account's name before the key.
  if (token.empty() || token == "x") return read_key(name);
  if (auto key = read_key(token)) return key;
  return no_key();
}

Result<Secret> dress_as(std::string_view text, KeyShape shape) {
  OCTROI_TRY(const PresentedKey key, read_key(text));
  if (shape == KeyShape::pair)
    return Secret::take(pair_name(key.body.substr(0, kKeyIdSize)) + ":" + pair_token(key.body));
  std::string out(prefix_of(shape, key.body[0] == 'l'));
  out += key.body;
  return Secret::take(std::move(out));
}

KeyBook::KeyBook(ledger::VaultKeyList list) : list_(std::move(list)) {
  for (std::size_t i = 0; i < list_.keys.size(); ++i) {
    by_id_.emplace(list_.keys[i].id, i);
    by_pair_.emplace(list_.keys[i].pair_id, i);
    by_signer_.emplace(signer_name(list_.keys[i]), i);
    if (list_.keys[i].networks.empty()) continue;
    // What cannot be read allows nothing.
    auto ranges = parse_networks(list_.keys[i].networks);
    networks_.emplace(list_.keys[i].id, ranges ? std::move(*ranges) : std::vector<net::Cidr>{});
  }
}

Result<std::vector<net::Cidr>> parse_networks(std::string_view text) {
  std::vector<net::Cidr> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    OCTROI_TRY(auto range, net::Cidr::parse(text.substr(0, end)));
    out.push_back(range);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (out.size() > kMostNetworks) return fail(Errc::ambiguous, "too many networks");
  }
  return out;
}

const ledger::VaultKey* KeyBook::above(const ledger::VaultKey& key) const {
  return key.parent.empty() ? nullptr : by_id(key.parent);
}

Result<> KeyBook::check(const ledger::VaultKey& key, UnixMillis now) const {
  const ledger::VaultKey* at = &key;
  for (int i = 0; i <= kDeepest; ++i) {
    OCTROI_CHECK(check_key(*at, now));
    if (at->parent.empty()) return {};
    at = by_id(at->parent);
    if (at == nullptr) break;
  }
  return fail(Errc::key_revoked, "the key that this vault key was made from is not there any more");
}

std::optional<UnixMillis> KeyBook::end_of(const ledger::VaultKey& key) const {
  std::optional<UnixMillis> first;
  for (const ledger::VaultKey* at = &key; at != nullptr; at = above(*at)) {
    if (at->expires && (!first || *at->expires < *first)) first = at->expires;
  }
  return first;
}

bool KeyBook::allows(const ledger::VaultKey& key, const net::IpAddress& from) const {
  for (const ledger::VaultKey* at = &key; at != nullptr; at = above(*at)) {
    const auto found = networks_.find(at->id);
    if (found == networks_.end()) continue;
    if (std::none_of(found->second.begin(), found->second.end(),
                     [&](const net::Cidr& range) { return range.contains(from); }))
      return false;
  }
  return true;
}

const ledger::VaultKey* KeyBook::by_id(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &list_.keys[found->second];
}

const ledger::VaultKey* KeyBook::by_signer(std::string_view name) const {
  const auto found = by_signer_.find(name);
  return found == by_signer_.end() ? nullptr : &list_.keys[found->second];
}

const ledger::VaultKey* KeyBook::find(const PresentedKey& key) const {
  if (!key.body.empty()) {
    const ledger::VaultKey* found = by_id(key.body.substr(0, kKeyIdSize));
    if (found == nullptr) return nullptr;
    return crypto::constant_time_equal(secret_hash(key.body), found->secret_hash) ? found : nullptr;
  }
  const auto at = by_pair_.find(key.name);
  if (at == by_pair_.end()) return nullptr;
  const ledger::VaultKey& found = list_.keys[at->second];
  return crypto::constant_time_equal(pair_hash(key.token), found.pair_hash) ? &found : nullptr;
}

Result<> check_key(const ledger::VaultKey& key, UnixMillis now) {
  if (key.canary) return fail(Errc::unknown_key, "this vault key is not known here");
  switch (key.state) {
    case ledger::VaultKeyState::active:
      break;
    case ledger::VaultKeyState::paused:
      return fail(Errc::key_paused,
                  "this vault key is paused; its owner can resume it: do not retry before that");
    case ledger::VaultKeyState::revoked:
      return fail(Errc::key_revoked, "this vault key was revoked: do not retry");
  }
  if (key.expires && now >= *key.expires) {
    return fail(Errc::key_expired, "this vault key has expired: do not retry");
  }
  return {};
}

}  // namespace octroi::vault
