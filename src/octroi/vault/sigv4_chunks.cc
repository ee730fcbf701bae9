#include "octroi/vault/sigv4_chunks.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/base/bytes.h"
#include "octroi/crypto/compare.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kStreaming = "STREAMING-";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kChunkSignature = ";chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature:";
constexpr std::size_t kSignature = 64;
constexpr std::size_t kLongestSize = 8;       // hexadecimal digits of a chunk's size
constexpr std::size_t kLongestLength = 18;    // decimal digits of the whole
constexpr std::size_t kLongestChecksum = 88;  // of 64 bytes, in base64

/// Fields that S3 takes in front of a body as well as behind it. A name that merely looks like one
/// could be a field with another meaning, which nobody has signed in front.
constexpr auto kChecksums = std::to_array<std::string_view>(
    {"x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme",
     "x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-sha512", "x-amz-checksum-md5",
     "x-amz-checksum-xxhash3", "x-amz-checksum-xxhash64", "x-amz-checksum-xxhash128"});

tl::unexpected<Error> unreadable(std::string_view why) {
  return fail(Errc::ambiguous, fmt::format("the body's chunks cannot be read: {}", why));
}

Result<Chunks::Is> kind_of(std::string_view body_hash) {
  if (body_hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") return Chunks::Is::signed_only;
  if (body_hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") return Chunks::Is::signed_trailer;
  if (body_hash == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return Chunks::Is::unsigned_trailer;
  return fail(Errc::unsupported_body,
              "bodies that are signed in this way are not taken: sign the body's SHA-256, or its "
              "chunks with AWS4-HMAC-SHA256");
}

/// X-Amz-Decoded-Content-Length.
Result<std::uint64_t> length_of(const http::Headers& headers) {
  const std::string_view text = headers.get("x-amz-decoded-content-length").value_or("");
  const bool digits = !text.empty() && text.size() <= kLongestLength &&
                      std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || headers.count("x-amz-decoded-content-length") > 1)
    return unreadable("x-amz-decoded-content-length says no length");
  std::uint64_t out = 0;
  for (const char c : text) out = out * 10 + static_cast<std::uint64_t>(c - '0');
  return out;
}

/// X-Amz-Trailer, which names one checksum.
Result<std::string> trailer_of(const http::Headers& headers) {
  const std::string_view said = headers.get("x-amz-trailer").value_or("");
  const auto* const found = std::ranges::find_if(
      kChecksums, [&](std::string_view name) { return http::equal_ignoring_case(name, said); });
  if (found == kChecksums.end() || headers.count("x-amz-trailer") > 1)
    return fail(Errc::unsupported_body, "x-amz-trailer must name one checksum, and nothing else");
  if (headers.has(*found))
    return fail(Errc::ambiguous,
                fmt::format("{} stands in front of the body and behind it", *found));
  return std::string(*found);
}

bool is_base64(std::string_view text) {
  return !text.empty() && text.size() <= kLongestChecksum && from_base64(text).has_value();
}

std::string hash_of(std::string_view text) { return to_hex(crypto::sha256(as_bytes(text))); }

/// The wire, from its first byte to its last.
class Joiner {
 public:
  Joiner(const Chunks& chunks, ChunkSigner& signer, std::string_view wire)
      : chunks_(chunks), signer_(signer), rest_(wire) {}

  Result<JoinedBody> join() {
    out_.body.reserve(std::min<std::uint64_t>(chunks_.length, rest_.size()));
    bool last = false;
    while (!last) {
      OCTROI_TRY(last, read_chunk());
    }
    if (out_.body.size() != chunks_.length)
      return unreadable("they do not make up x-amz-decoded-content-length");
    if (!chunks_.trailer.empty()) OCTROI_CHECK(read_trailer());
    OCTROI_CHECK(take(kLineEnd));
    if (!rest_.empty()) return unreadable("something follows their end");
    return std::move(out_);
  }

 private:
  /// True: it was the last. The last has no data, and no end of line of its own.
  Result<bool> read_chunk() {
    OCTROI_TRY(const std::size_t size, take_size());
    std::string_view signature;
    if (chunks_.is != Chunks::Is::unsigned_trailer) {
      OCTROI_CHECK(take(kChunkSignature));
      OCTROI_TRY(signature, take_bytes(kSignature));
    }
    OCTROI_CHECK(take(kLineEnd));
    OCTROI_TRY(const std::string_view data, take_bytes(size));
    if (chunks_.is != Chunks::Is::unsigned_trailer)
      OCTROI_CHECK(check(signer_.chunk(data), signature, "a chunk of the body"));
    if (size == 0) return true;
    OCTROI_CHECK(take(kLineEnd));
    out_.body += data;
    return false;
  }

  /// "name:value", and its signature where chunks are signed. What is signed ends in a single line
  /// feed; there are clients (and examples of S3's own) that send that too.
  Result<> read_trailer() {
    const std::size_t colon = std::min(rest_.find(':'), rest_.size());
    if (!http::equal_ignoring_case(rest_.substr(0, colon), chunks_.trailer))
      return unreadable("the trailer is not what x-amz-trailer names");
    rest_.remove_prefix(std::min(colon + 1, rest_.size()));
    const std::size_t end = std::min(rest_.find_first_of(kLineEnd), rest_.size());
    const std::string_view value = rest_.substr(0, end);
    if (!is_base64(value)) return unreadable("the trailer is no checksum");
    out_.checksum = value;
    rest_.remove_prefix(end);
    if (chunks_.is == Chunks::Is::signed_trailer && rest_.starts_with('\n')) rest_.remove_prefix(1);
    OCTROI_CHECK(take(kLineEnd));
    if (chunks_.is != Chunks::Is::signed_trailer) return {};
    OCTROI_CHECK(take(kTrailerSignature));
    OCTROI_TRY(const std::string_view signature, take_bytes(kSignature));
    OCTROI_CHECK(take(kLineEnd));
    return check(signer_.trailer(chunks_.trailer + ":" + out_.checksum), signature, "the trailer");
  }

  Result<std::size_t> take_size() {
    std::size_t size = 0;
    std::size_t digits = 0;
    while (digits < rest_.size() && digits <= kLongestSize) {
      const char c = rest_[digits];
      const int value = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (value < 0) break;
      size = size * 16 + static_cast<std::size_t>(value);
      ++digits;
    }
    if (digits == 0 || digits > kLongestSize) return unreadable("a chunk has no size");
    rest_.remove_prefix(digits);
    return size;
  }

  Result<std::string_view> take_bytes(std::size_t size) {
    if (rest_.size() < size) return unreadable("they end too soon");
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }

  Result<> take(std::string_view text) {
    if (!rest_.starts_with(text)) return unreadable("a line is not as it should be");
    rest_.remove_prefix(text.size());
    return {};
  }

  static Result<> check(std::string_view expected, std::string_view signature,
                        std::string_view what) {
    if (crypto::constant_time_equal(as_bytes(expected), as_bytes(signature))) return {};
    return fail(Errc::no_key, fmt::format("the AWS signature of {} is of something else", what));
  }

  const Chunks& chunks_;
  ChunkSigner& signer_;
  std::string_view rest_;
  JoinedBody out_;
};

}  // namespace

Result<Chunks> read_chunk_fields(const http::Headers& headers, std::string_view service,
                                 std::string_view body_hash) {
  Chunks out;
  if (!body_hash.starts_with(kStreaming)) return out;
  if (service != "s3")
    return fail(Errc::unsupported_body, "bodies in chunks are taken for S3 only: send it whole");
  OCTROI_TRY(out.is, kind_of(body_hash));
  // S3 takes the coding from X-Amz-Content-Sha256; this field may be left out.
  if (headers.count("content-encoding") > 1 ||
      !http::equal_ignoring_case(headers.get("content-encoding").value_or("aws-chunked"),
                                 "aws-chunked"))
    return fail(Errc::unsupported_body,
                "send the body without a Content-Encoding beside aws-chunked");
  OCTROI_TRY(out.length, length_of(headers));
  if (out.is == Chunks::Is::signed_only) {
    if (headers.has("x-amz-trailer"))
      return fail(Errc::ambiguous, "x-amz-trailer names what does not follow these chunks");
    return out;
  }
  OCTROI_TRY(out.trailer, trailer_of(headers));
  return out;
}

void remove_chunk_fields(http::Headers& headers) {
  for (const char* name : {"content-encoding", "x-amz-decoded-content-length", "x-amz-trailer"})
    headers.remove(name);
}

const std::string& ChunkSigner::chunk(std::string_view data) {
  // Between the two stands what S3 may sign of a chunk one day: the hash of nothing.
  return next("AWS4-HMAC-SHA256-PAYLOAD", hash_of("") + "\n" + hash_of(data));
}

const std::string& ChunkSigner::trailer(std::string_view line) {
  return next("AWS4-HMAC-SHA256-TRAILER", hash_of(std::string(line) + "\n"));
}

const std::string& ChunkSigner::next(std::string_view algorithm, std::string_view hashes) {
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}\n{}", algorithm, time_, scope_, before_, hashes);
  before_ = to_hex(key_.mac(as_bytes(text)));
  return before_;
}

Result<JoinedBody> join_chunks(const Chunks& chunks, ChunkSigner& signer, std::string_view wire) {
  return Joiner(chunks, signer, wire).join();
}

}  // namespace octroi::vault
