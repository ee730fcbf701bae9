// octroi/vault/sigv4_chunks.h: bodies that S3 takes in chunks ("aws-chunked"), each signed with
// what came before it, or none; and the checksum that may follow them as a trailer.
//
//   STREAMING-AWS4-HMAC-SHA256-PAYLOAD          SIZE;chunk-signature=SIG CRLF DATA CRLF …, the last
//                                               of size 0
//   STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER  the same, then NAME:VALUE and
//                                               x-amz-trailer-signature:SIG
//   STREAMING-UNSIGNED-PAYLOAD-TRAILER          SIZE CRLF DATA CRLF …, then NAME:VALUE
//
// What does not verify to its last byte is refused whole. What was joined is judged and sent on as
// one body, signed by its hash with the real key: S3 stores the same bytes either way, nothing of
// the chunks reaches it, and one way out is easier to get right than three.
//
// Errors   Errc::no_key (a signature that is not of these bytes), ambiguous, unsupported_body.
// Thread   pure.
// Source   Amazon S3 API reference, "Signature calculations for the Authorization header:
//          transferring payload in multiple chunks", and the same "including trailing headers".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "octroi/crypto/hash.h"
#include "octroi/http/headers.h"
#include "octroi/vault/errors.h"

namespace octroi::vault {

/// What a request's head says about the chunks of its body.
struct Chunks {
  enum class Is : std::uint8_t {
    none,
    signed_only,
    signed_trailer,
    unsigned_trailer
  } is = Is::none;
  std::uint64_t length = 0;  // bytes of what they hold
  std::string trailer;       // "x-amz-checksum-crc32"; empty: none follows
};

/// `body_hash` is X-Amz-Content-Sha256; what does not begin with "STREAMING-" has no chunks.
[[nodiscard]] Result<Chunks> read_chunk_fields(const http::Headers& headers,
                                               std::string_view service,
                                               std::string_view body_hash);
/// Takes out what the claim of a body in chunks knows: it is not true of the body that is sent.
void remove_chunk_fields(http::Headers& headers);

/// The signatures of chunks, each of which is also of all before it.
class ChunkSigner {
 public:
  /// `first` is the signature of the request itself, in hexadecimal.
  ChunkSigner(crypto::HmacSha256Key key, std::string time, std::string scope, std::string first)
      : key_(std::move(key)),
        time_(std::move(time)),
        scope_(std::move(scope)),
        before_(std::move(first)) {}

  /// Of the next chunk, in hexadecimal; the last is empty.
  const std::string& chunk(std::string_view data);
  /// Of the trailer, "name:value" without an end of line.
  const std::string& trailer(std::string_view line);

 private:
  const std::string& next(std::string_view algorithm, std::string_view hashes);

  crypto::HmacSha256Key key_;
  std::string time_, scope_;
  std::string before_;  // the last signature
};

struct JoinedBody {
  std::string body;
  std::string checksum;  // what the trailer says; empty: none follows
};
/// `wire` is the body as it came. `signer` is not used where the chunks are not signed.
[[nodiscard]] Result<JoinedBody> join_chunks(const Chunks& chunks, ChunkSigner& signer,
                                             std::string_view wire);

}  // namespace octroi::vault
