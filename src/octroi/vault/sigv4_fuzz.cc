// Whatever stands in a request: a signature that was made by us is verified, with every byte of the
// request as it is sent; one that somebody wrote is never of our key.
#include <cstdlib>
#include <string>
#include <string_view>

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
    require((*claim)->signature.size() == 64 && !(*claim)->body_hash.starts_with("STREAMING-"));
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
