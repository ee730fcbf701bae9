// Whatever stands in a request: a signature that was made by us is verified, with every byte of the
// request as it is sent; one that somebody wrote is never of our key. The same of bodies in chunks.
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "octroi/base/bytes.h"
#include "octroi/vault/sigv4.h"

namespace {

void require(bool yes) {
  if (!yes) std::abort();
}

/// Up to the next line end.
std::string_view line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return out;
}

octroi::vault::ChunkSigner signer_of(std::string_view key) {
  return {octroi::crypto::HmacSha256Key(octroi::as_bytes(key)), "20231114T221320Z",
          "20231114/eu-west-1/s3/aws4_request", std::string(64, '0')};
}

/// A body in signed chunks of this size, with a trailer where one is said.
std::string in_chunks(const octroi::vault::Chunks& chunks, std::string_view body,
                      std::size_t size) {
  using octroi::vault::Chunks;
  const bool is_signed = chunks.is != Chunks::Is::unsigned_trailer;
  octroi::vault::ChunkSigner signer = signer_of("ours");
  std::string out;
  for (bool last = false; !last;) {
    const std::string_view data = body.substr(0, size);
    body.remove_prefix(data.size());
    last = data.empty();
    out += fmt::format("{:x}", data.size());
    if (is_signed) out += ";chunk-signature=" + signer.chunk(data);
    out += "\r\n";
    if (!last) out += std::string(data) + "\r\n";
  }
  if (!chunks.trailer.empty()) {
    const std::string line = chunks.trailer + ":AAAAAA==";
    out += line + "\r\n";
    if (chunks.is == Chunks::Is::signed_trailer)
      out += "x-amz-trailer-signature:" + signer.trailer(line) + "\r\n";
  }
  return out + "\r\n";
}

octroi::Result<octroi::vault::JoinedBody> join(const octroi::vault::Chunks& chunks,
                                               std::string_view wire,
                                               std::string_view key = "ours") {
  octroi::vault::ChunkSigner signer = signer_of(key);
  return join_chunks(chunks, signer, wire);
}

void check_chunks(std::string_view body) {
  using octroi::vault::Chunks;
  const std::size_t at = body.empty() ? 0 : static_cast<unsigned char>(body.front());
  for (const auto is :
       {Chunks::Is::signed_only, Chunks::Is::signed_trailer, Chunks::Is::unsigned_trailer}) {
    Chunks chunks{is, body.size(), is == Chunks::Is::signed_only ? "" : "x-amz-checksum-crc32"};
    const bool is_signed = is != Chunks::Is::unsigned_trailer;
    // As somebody wrote it: without our key nothing is signed, and what is read has its length.
    for (chunks.length = 0; chunks.length < 8; ++chunks.length) {
      const auto read = join(chunks, body);
      require(!read || (!is_signed && read->body.size() == chunks.length &&
                        !read->checksum.empty() && body.size() > read->body.size()));
    }
    chunks.length = body.size();
    const std::string wire = in_chunks(chunks, body, 1 + at);
    const auto joined = join(chunks, wire);
    require(joined && joined->body == body);
    require(joined->checksum.empty() == chunks.trailer.empty());
    require(!is_signed || !join(chunks, wire, "another"));
    // One byte of it changed: not taken, or (a digit in upper case) the same body.
    std::string changed = wire;
    char& byte = changed[at * 31 % changed.size()];
    byte = static_cast<char>(byte ^ 0x20);
    const auto other = join(chunks, changed);
    require(!other || !is_signed || other->body == body);
    require(!join(chunks, wire.substr(0, wire.size() - 1 - at % wire.size())));
  }
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  using namespace octroi::vault;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string target = "/" + std::string(line(rest));
  const std::string_view authorization = line(rest);
  const std::string_view extra = line(rest);
  const std::string_view body = rest;
  check_chunks(body);
  if (!is_printable(target) || !is_printable(authorization) || !is_printable(extra)) return 0;
  const Secret secret(std::string_view("a secret that nobody has"));
  const UnixMillis now{1'700'000'000'000};

  http::RequestHead written;
  written.method = "POST";
  written.target = target;
  written.authority = "localhost";
  written.headers.add("Authorization", authorization);
  written.headers.add("X-Amz-Date", "20231114T221320Z");
  if (const auto claim = read_signature(written); claim && *claim) {
    require((*claim)->signature.size() == 64 && (*claim)->chunks.is == Chunks::Is::none);
    require(!check_signature(**claim, secret, crypto::sha256(as_bytes(body)), now));
  }

  // A plus in a query is a space to those who send forms, and a plus to those who sign.
  if (target.find('+') != std::string::npos) return 0;
  http::RequestHead sent;
  sent.method = "PUT";
  sent.target = target;
  sent.authority = "localhost";
  if (!extra.empty()) sent.headers.add("X-Amz-Meta-Some", extra);
  const auto hash = crypto::sha256(as_bytes(body));
  for (const char* service : {"s3", "sns"}) {
    sign_request(sent, sent.authority, hash, {"AKIDEXAMPLE", secret}, "eu-west-1", service, now);
    const auto claim = read_signature(sent);
    require(claim && *claim);
    require(check_signature(**claim, secret, hash, now).has_value());
    http::RequestHead other = sent;
    other.target += "x";
    const auto changed = read_signature(other);
    require(changed && *changed && !check_signature(**changed, secret, hash, now));
  }
  return 0;
}
