#include "octroi/adapters/redis/options.h"

#include <charconv>

#include "octroi/adapters/redis/reply.h"

namespace octroi::redis {
namespace {

tl::unexpected<Error> bad(std::string_view why) {
  return fail(Errc::bad_url, fmt::format("shared: {}; write redis://host:6379/0", why));
}

Result<int> number(std::string_view text, int most) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 0 || n > most) {
    return bad("a number in it is none");
  }
  return n;
}

}  // namespace

Result<RedisOptions> read_redis_url(std::string_view url) {
  RedisOptions out;
  if (url.starts_with("rediss://")) {
    out.tls = true;
    url.remove_prefix(9);
  } else if (url.starts_with("redis://")) {
    url.remove_prefix(8);
  } else {
    return bad("is no redis:// URL");
  }
  if (url.find_first_of("?#") != std::string_view::npos) return bad("has parameters");
  if (const auto slash = url.find('/'); slash != std::string_view::npos) {
    const std::string_view path = url.substr(slash + 1);
    if (!path.empty()) {
      OCTROI_TRY(out.database, number(path, 1'000'000));
    }
    url = url.substr(0, slash);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    out.user = std::string(url.substr(0, at));
    if (out.user.find(':') != std::string::npos) return bad("holds a password");
    url = url.substr(at + 1);
  }
  std::string_view host = url;
  std::string_view port;
  if (url.starts_with('[')) {
    const auto end = url.find(']');
    if (end == std::string_view::npos) return bad("has no host");
    host = url.substr(1, end - 1);
    port = url.substr(end + 1);
  } else if (const auto colon = url.find(':'); colon != std::string_view::npos) {
    host = url.substr(0, colon);
    port = url.substr(colon);
  }
  if (host.empty()) return bad("has no host");
  out.host = std::string(host);
  if (!port.empty()) {
    if (port.front() != ':') return bad("has no port behind its host");
    OCTROI_TRY(const int n, number(port.substr(1), 65535));
    if (n == 0) return bad("has port 0");
    out.port = static_cast<std::uint16_t>(n);
  }
  return out;
}

}  // namespace octroi::redis
