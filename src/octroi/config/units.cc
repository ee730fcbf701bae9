#include "octroi/config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "octroi/config/problem.h"

namespace octroi::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array kTimeUnits{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                                Unit{"s", 1'000}, Unit{"ms", 1}};
constexpr std::array kSizeUnits{Unit{"GiB", 1ULL << 30},
                                Unit{"MiB", 1ULL << 20},
                                Unit{"KiB", 1ULL << 10},
                                Unit{"GB", 1'000'000'000},
                                Unit{"MB", 1'000'000},
                                Unit{"KB", 1'000},
                                Unit{"B", 1}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Takes digits from the front; false when there are none or they do not fit.
bool take_number(std::string_view& text, std::uint64_t& value) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string_view take_word(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_letter(text[n])) ++n;
  const std::string_view word = text.substr(0, n);
  text.remove_prefix(n);
  return word;
}

template <std::size_t N>
const Unit* find_unit(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& u : units) {
    if (u.name == name) return &u;
  }
  return nullptr;
}

bool multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
  return !__builtin_mul_overflow(a, b, &out);
}

constexpr auto kMaxRaw = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  constexpr std::string_view kForm =
      "is not a duration; write digits and a unit: 250ms, 30s, 15m, 24h, 30d";
  std::uint64_t total = 0;
  const Unit* previous = nullptr;
  std::string_view rest = text;
  do {
    std::uint64_t n = 0;
    if (rest.empty() || !is_digit(rest.front()) || !take_number(rest, n))
      return fail(Errc::bad_unit, std::string(kForm));
    if (previous == nullptr && rest.starts_with(' ')) rest.remove_prefix(1);
    const Unit* unit = find_unit(kTimeUnits, take_word(rest));
    if (unit == nullptr || (previous != nullptr && unit->factor >= previous->factor)) {
      return fail(Errc::bad_unit, std::string(kForm));
    }
    std::uint64_t part = 0;
    if (!multiply(n, unit->factor, part) || part > kMaxRaw - total)
      return fail(Errc::bad_unit, "is too long a duration");
    total += part;
    previous = unit;
  } while (!rest.empty());
  return Millis(static_cast<std::int64_t>(total));
}

std::string format_duration(Millis d) {
  auto left = static_cast<std::uint64_t>(std::max<Millis::rep>(0, d.count() /* raw: ms */));
  if (left == 0) return "0s";
  std::string out;
  for (const Unit& u : kTimeUnits) {
    if (left >= u.factor) out += fmt::format("{}{}", left / u.factor, u.name);
    left %= u.factor;
  }
  return out;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view kForm =
      "is not a size; write digits and a unit: 512B, 64KiB, 10MiB, 1GB";
  std::uint64_t n = 0;
  std::string_view rest = text;
  if (rest.empty() || !is_digit(rest.front()) || !take_number(rest, n))
    return fail(Errc::bad_unit, std::string(kForm));
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  const Unit* unit = find_unit(kSizeUnits, take_word(rest));
  if (unit == nullptr || !rest.empty()) return fail(Errc::bad_unit, std::string(kForm));
  std::uint64_t bytes = 0;
  if (!multiply(n, unit->factor, bytes) || bytes > kMaxRaw)
    return fail(Errc::bad_unit, "is too large a size");
  return bytes;
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const Unit& u : kSizeUnits) {
    if (bytes % u.factor == 0) return fmt::format("{}{}", bytes / u.factor, u.name);
  }
  return fmt::format("{}B", bytes);
}

Result<std::uint32_t> parse_share(std::string_view text) {
  const auto bad = [] {
    return fail(Errc::bad_unit, "is not a share; write it as 5%, 0.1% or 100%");
  };
  if (!text.ends_with('%')) return bad();
  text.remove_suffix(1);
  std::uint32_t whole = 0;
  std::size_t digits = 0;
  for (; !text.empty() && is_digit(text.front()) && digits < 3; text.remove_prefix(1), ++digits)
    whole = whole * 10 + static_cast<std::uint32_t>(text.front() - '0');
  std::uint32_t parts = 0;  // of a percent, in ten thousandths
  if (digits > 0 && text.starts_with('.')) {
    text.remove_prefix(1);
    if (text.empty() || text.size() > 4) return bad();
    std::uint32_t weight = 1'000;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), weight /= 10)
      parts += static_cast<std::uint32_t>(text.front() - '0') * weight;
  }
  const std::uint32_t share = whole * 10'000 + parts;
  if (digits == 0 || !text.empty() || share > 1'000'000) return bad();
  return share;
}

std::uint16_t Url::port_or_default() const {
  if (port != 0) return port;
  if (scheme == "http") return 80;
  if (scheme == "https") return 443;
  if (scheme == "redis" || scheme == "rediss") return 6379;
  if (scheme == "postgresql" || scheme == "postgres") return 5432;
  return 0;
}

std::string Url::shown() const {
  std::string out = scheme + "://";
  if (!userinfo.empty()) out += "***@";
  out += host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 0) out += fmt::format(":{}", port);
  return out + path;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const auto bad = [](std::string_view why) { return fail(Errc::bad_url, std::string(why)); };
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0)
    return bad("has no scheme; write it as scheme://host:port");
  for (const char c : text.substr(0, colon)) {
    if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-') return bad("has a malformed scheme");
    url.scheme += lower(c);
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7F ||
        c == '\\') {
      return bad("holds a blank, a backslash or a character that must be percent-encoded");
    }
  }
  std::string_view rest = text.substr(colon + 3);
  if (rest.find_first_of("?#") != std::string_view::npos)
    return bad("has a query or fragment, which a server has not");
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) url.path = rest.substr(slash);
  std::string_view authority = rest.substr(0, slash);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.userinfo = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  std::string_view host = authority;
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos)
      return bad("has an IPv6 address without a closing bracket");
    host = authority.substr(1, close - 1);
    const std::string_view after = authority.substr(close + 1);
    if (!after.empty() && after.front() != ':') return bad("has text after the closing bracket");
    has_port = !after.empty();
    if (has_port) port = after.substr(1);
    if (host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos ||
        host.find(':') == std::string_view::npos) {
      return bad("has a malformed IPv6 address");
    }
  } else if (const std::size_t c = authority.find(':'); c != std::string_view::npos) {
    host = authority.substr(0, c);
    port = authority.substr(c + 1);
    has_port = true;
  }
  if (host.empty()) return bad("has no host");
  for (const char c : host) {
    if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_' && c != ':')
      return bad("has a malformed host");
    url.host += lower(c);
  }
  if (has_port) {
    unsigned value = 0;
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (ec != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65535) {
      return bad("has a malformed port; ports are 1 to 65535");
    }
    url.port = static_cast<std::uint16_t>(value);
  }
  return url;
}

Result<std::string> check_postgres_url(std::string_view text) {
  const auto bad = [](std::string why) { return fail(Errc::bad_url, std::move(why)); };
  std::string_view rest = text;
  if (rest.starts_with("postgresql://")) {
    rest.remove_prefix(13);
  } else if (rest.starts_with("postgres://")) {
    rest.remove_prefix(11);
  } else {
    return bad("is no postgresql:// URL");
  }
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7F ||
        c == '\\' || c == '#') {
      return bad("holds a character that must be percent-encoded");
    }
  }
  const std::size_t question = rest.find('?');
  const std::string_view before = rest.substr(0, question);
  const std::size_t slash = before.find('/');
  const std::string_view authority = before.substr(0, slash);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (authority.substr(0, at).find(':') != std::string_view::npos) {
      return bad("holds a password, which everybody who may read this file would know");
    }
  }
  if (slash == std::string_view::npos || slash + 1 == before.size()) {
    return bad("names no database");
  }
  constexpr std::array<std::string_view, 12> kParameters = {"host",
                                                            "port",
                                                            "sslmode",
                                                            "sslrootcert",
                                                            "sslcert",
                                                            "sslkey",
                                                            "sslcrl",
                                                            "channel_binding",
                                                            "connect_timeout",
                                                            "krbsrvname",
                                                            "gssencmode",
                                                            "target_session_attrs"};
  std::string_view query =
      question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::string_view key = one.substr(0, one.find('='));
    if (std::find(kParameters.begin(), kParameters.end(), key) == kParameters.end()) {
      return bad(fmt::format("has a parameter that has no place here; there are {}",
                             fmt::join(kParameters, ", ")));
    }
    // What is chosen anyway, and what people write beside several hosts.
    if (key == "target_session_attrs" && one != "target_session_attrs=read-write" &&
        one != "target_session_attrs=primary") {
      return bad(
          "asks for a server that need not be one to write to; target_session_attrs is "
          "read-write (as without it) or primary");
    }
  }
  return std::string(rest);
}

Result<RedisPlace> check_redis_url(const Url& url) {
  const auto bad = [](std::string why) { return fail(Errc::bad_url, std::move(why)); };
  RedisPlace out;
  out.host = url.host;
  out.port = url.port_or_default();
  out.tls = url.scheme == "rediss";
  if (url.userinfo.find(':') != std::string::npos) {
    return bad("holds a password, which everybody who may read this file would know");
  }
  out.user = url.userinfo;
  if (url.path.size() > 1) {
    const std::string_view number = std::string_view(url.path).substr(1);
    const auto [end, ec] =
        std::from_chars(number.data(), number.data() + number.size(), out.database);
    if (ec != std::errc{} || end != number.data() + number.size() || out.database < 0 ||
        out.database > 1'000'000) {
      return bad("must end in the number of a database, or in nothing");
    }
  }
  return out;
}

std::optional<upstream::StatusRange> parse_status_range(std::string_view text) {
  const auto status = [](std::string_view digits) -> int {
    if (digits.size() != 3 || !std::all_of(digits.begin(), digits.end(), is_digit)) return 0;
    const int n = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    return n >= 100 && n <= 599 ? n : 0;
  };
  const std::size_t dash = text.find('-');
  const int first = status(text.substr(0, dash));
  const int last = dash == std::string_view::npos ? first : status(text.substr(dash + 1));
  if (first == 0 || last < first) return std::nullopt;
  return upstream::StatusRange{first, last};
}

}  // namespace octroi::config
