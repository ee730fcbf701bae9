// The answer of a token endpoint, and a vendor's 401: outside bytes that a credential depends on.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "octroi/vault/oauth.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;         // NOLINT(google-build-using-namespace)
  using namespace octroi::vault;  // NOLINT(google-build-using-namespace)
  if (size < 1) return 0;
  constexpr int kStatus[] = {200, 201, 302, 400, 401, 429, 503};
  const int status = kStatus[data[0] % std::size(kStatus)];
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto got = read_token(status, body);
  if (got) {
    require(status < 300);
    const std::string_view text = got->text.reveal_text();
    require(!text.empty() && text.size() <= 16 * 1024);
    for (const char c : text) require(c > ' ' && c < 127);  // fits a header, and nothing else does
    require(got->lifetime >= Millis(0) && got->lifetime <= Seconds(365LL * 86'400));
    require(body.find("access_token") != std::string_view::npos ||
            body.find('\\') != std::string_view::npos);
  } else {
    // A message repeats registered words only.
    require(got.error().is(Errc::upstream_failed) || got.error().is(Errc::token_refused));
    require(got.error().message().size() < 100);
  }
  http::Headers headers;
  const bool added = headers.add("WWW-Authenticate", body);
  const bool bad = says_token_is_bad(headers, body);
  if (bad && added) {
    std::string lower(body);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    require(lower.find("token") != std::string::npos ||
            lower.find("session") != std::string::npos || lower.find('\\') != std::string::npos);
  }
  return 0;
}
