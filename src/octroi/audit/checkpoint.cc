#include "octroi/audit/checkpoint.h"

#include <utility>

#include "octroi/audit/row.h"
#include "octroi/audit/time.h"
#include "octroi/base/bytes.h"
#include "octroi/crypto/ed25519.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::audit {
namespace {

constexpr std::string_view kTag{"octroi.audit.checkpoint.v1\0", 27};
constexpr std::size_t kLongestLine = 1024;

std::string signed_text(const Checkpoint& c) {
  json::Writer out;
  out.begin_object();
  out.field("at", time_text(c.at));
  out.field("row_hash", to_hex(c.row_hash));
  out.field("seq", c.seq);
  out.field("writer", c.writer);
  out.end_object();
  return std::string(kTag) + std::move(out).take();
}

tl::unexpected<Error> not_one(std::string_view why) {
  return fail(Errc::bad_checkpoint, fmt::format("not a checkpoint: {}", why));
}

}  // namespace

Result<Signer> Signer::from_seed(const Secret& seed) {
  auto key = crypto::ed25519_public_key(seed);
  if (!key) return fail(Errc::bad_key, "the key of the audit's checkpoints must have 32 bytes");
  return Signer(seed.clone(), *key);
}

Checkpoint Signer::sign(std::string writer, std::int64_t seq, const Digest& row_hash,
                        UnixMillis at) const {
  Checkpoint c{std::move(writer), seq, row_hash, at, public_, {}};
  // The seed made a public key before: signing with it cannot fail. If it did, nobody would accept
  // the empty signature.
  c.signature = crypto::ed25519_sign(seed_, as_bytes(signed_text(c))).value_or(Signature{});
  return c;
}

bool is_signed(const Checkpoint& c) {
  return crypto::ed25519_verify(c.key, as_bytes(signed_text(c)), c.signature);
}

std::string checkpoint_line(const Checkpoint& c) {
  json::Writer out;
  out.begin_object();
  out.field("at", time_text(c.at));
  out.field("kind", std::string(kCheckpointKind));
  out.field("public_key", to_hex(c.key));
  out.field("row_hash", to_hex(c.row_hash));
  out.field("seq", c.seq);
  out.field("signature", to_hex(c.signature));
  out.field("writer", c.writer);
  out.end_object();
  return std::move(out).take();
}

Result<Checkpoint> parse_checkpoint(std::string_view line) {
  OCTROI_TRY(const json::Document doc, json::parse(line, {2, kLongestLine, false}));
  const json::Value root = doc.root();
  OCTROI_TRY(const std::string_view kind, root.string("kind"));
  if (kind != kCheckpointKind) return not_one("kind is another word");
  Checkpoint c;
  OCTROI_TRY(const std::string_view at, root.string("at"));
  OCTROI_TRY(c.at, from_rfc3339(at));
  OCTROI_TRY(const std::string_view key, root.string("public_key"));
  OCTROI_TRY(c.key, parse_public_key(key));
  OCTROI_TRY(const std::string_view hash, root.string("row_hash"));
  OCTROI_TRY(c.row_hash, from_hex_exact<32>(hash, HexCase::lower));
  OCTROI_TRY(c.seq, root.int64("seq"));
  OCTROI_TRY(const std::string_view signature, root.string("signature"));
  OCTROI_TRY(c.signature, from_hex_exact<64>(signature, HexCase::lower));
  OCTROI_TRY(const std::string_view writer, root.string("writer"));
  c.writer = writer;
  if (!is_writer(c.writer) || c.seq < 1 || c.seq > kLargestNumber) return not_one("no place");
  if (root.size() != 7) return not_one("a member that octroi does not know");
  return c;
}

Result<PublicKey> parse_public_key(std::string_view hex) {
  auto key = from_hex_exact<32>(hex, HexCase::lower);
  if (!key) return fail(Errc::bad_key, "a public key of checkpoints is 64 lower-case hex digits");
  return *key;
}

}  // namespace octroi::audit
