// octroi/audit/checkpoint.h: a signature over how far a chain had come, kept outside the database,
// so that a tail that was cut off, or a chain that was made anew, is found.
//
//   signed    "octroi.audit.checkpoint.v1" 00 ‖ canonical JSON of writer, seq, row_hash, at
//   with      Ed25519 (RFC 8032)
//   line      {"at","kind":"checkpoint","public_key","row_hash","seq","signature","writer"}
//
// Errors   Errc::bad_checkpoint, Errc::bad_key.
// Thread   pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "octroi/audit/event.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi::audit {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

struct Checkpoint {
  std::string writer;
  std::int64_t seq = 0;
  Digest row_hash{};
  UnixMillis at;
  PublicKey key{};
  Signature signature{};
  bool operator==(const Checkpoint&) const = default;
};

/// The key that signs: a seed of 32 bytes.
class Signer {
 public:
  [[nodiscard]] static Result<Signer> from_seed(const Secret& seed);
  [[nodiscard]] const PublicKey& public_key() const { return public_; }
  [[nodiscard]] Checkpoint sign(std::string writer, std::int64_t seq, const Digest& row_hash,
                                UnixMillis at) const;

 private:
  Signer(Secret seed, const PublicKey& key) : seed_(std::move(seed)), public_(key) {}
  Secret seed_;
  PublicKey public_;
};

/// Whether the signature is that of checkpoint.key. Whose key that is, is the caller's question.
[[nodiscard]] bool is_signed(const Checkpoint& checkpoint);

[[nodiscard]] std::string checkpoint_line(const Checkpoint& checkpoint);
[[nodiscard]] Result<Checkpoint> parse_checkpoint(std::string_view line);

/// Lower-case hex, 64 characters.
[[nodiscard]] Result<PublicKey> parse_public_key(std::string_view hex);

}  // namespace octroi::audit
