#include "octroi/mpp/digest.h"

#include "octroi/base/secret.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

constexpr std::string_view kAlgorithm = "sha-256";

tl::unexpected<Error> malformed(std::string why) {
  return fail(Errc::malformed_digest, "digest: " + std::move(why));
}

/// ":<base64>:" as RFC 9530 has it, or the bare base64 of the SDKs.
Result<Bytes> decode_value(std::string_view value) {
  if (value.size() >= 2 && value.front() == ':' && value.back() == ':') {
    value.remove_prefix(1);
    value.remove_suffix(1);
  }
  auto bytes = from_base64(value);
  if (!bytes || bytes->size() != 32) return malformed("sha-256 must be the base64 of 32 bytes");
  return *std::move(bytes);
}

}  // namespace

std::string format_digest(const crypto::Sha256Digest& body_sha256) {
  return std::string(kAlgorithm) + "=:" + to_base64(body_sha256) + ':';
}
std::string format_digest(ByteView body) { return format_digest(crypto::sha256(body)); }

// RFC 9530 section 2: a list of algorithms; unknown ones say nothing, known ones must all agree.
// rule: MPP-50 MPP-51
Result<> verify_digest(std::string_view digest, const crypto::Sha256Digest& body_sha256) {
  bool checked = false;
  for (std::string_view rest = digest; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view member = detail::trim(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos) return malformed("must be algorithm=value");
    if (!detail::equal_ignoring_case(detail::trim(member.substr(0, equals)), kAlgorithm)) continue;
    const std::string_view value = detail::trim(member.substr(equals + 1));
    OCTROI_TRY(const Bytes expected, decode_value(detail::trim(value.substr(0, value.find(';')))));
    if (!constant_time_equal(expected, body_sha256)) {
      return fail(Errc::digest_mismatch, "the body is not the one the challenge was made for");
    }
    checked = true;
  }
  if (!checked) return malformed("sha-256 is needed");
  return {};
}

Result<> verify_digest(std::string_view digest, ByteView body) {
  return verify_digest(digest, crypto::sha256(body));
}

}  // namespace octroi::mpp
