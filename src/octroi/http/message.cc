#include "octroi/http/message.h"

#include <charconv>

#include "octroi/http/char_class.h"
#include "octroi/http/h1_parser.h"
#include "octroi/net/address.h"

namespace octroi::http {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::bad_message:
      return {"http.bad_message", ErrorKind::invalid};
    case Errc::head_too_large:
      return {"http.head_too_large", ErrorKind::limit};
    case Errc::body_too_large:
      return {"http.body_too_large", ErrorKind::limit};
    case Errc::bad_version:
      return {"http.bad_version", ErrorKind::invalid};
    case Errc::unsupported:
      return {"http.unsupported", ErrorKind::invalid};
    case Errc::closed:
      return {"http.closed", ErrorKind::unavailable};
    case Errc::timeout:
      return {"http.timeout", ErrorKind::timeout};
    case Errc::connect_failed:
      return {"http.connect_failed", ErrorKind::unavailable};
    case Errc::tls_failed:
      return {"http.tls_failed", ErrorKind::unavailable};
    case Errc::upstream_invalid:
      return {"http.upstream_invalid", ErrorKind::unavailable};
    case Errc::cancelled:
      return {"http.cancelled", ErrorKind::unavailable};
    case Errc::bad_url:
      return {"http.bad_url", ErrorKind::invalid};
  }
  return {"http.unknown", ErrorKind::internal};
}

std::string_view reason_phrase(int status) noexcept {
  struct Name {
    int status;
    std::string_view phrase;
  };
  static constexpr std::array<Name, 49> kNames = {{
      {100, "Continue"},
      {101, "Switching Protocols"},
      {102, "Processing"},
      {103, "Early Hints"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {203, "Non-Authoritative Information"},
      {204, "No Content"},
      {205, "Reset Content"},
      {206, "Partial Content"},
      {207, "Multi-Status"},
      {300, "Multiple Choices"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {425, "Too Early"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  }};
  if (status == 200) return "OK";
  if (status == 505) return "HTTP Version Not Supported";
  for (const Name& n : kNames) {
    if (n.status == status) return n.phrase;
  }
  return "";
}

Task<Result<std::string>> read_all(BodySource& body, std::uint64_t limit) {
  std::string all;
  const auto announced = body.length();
  if (announced && *announced > limit) co_return fail(Errc::body_too_large);
  if (announced)
    all.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*announced, 1U << 20)));
  for (;;) {
    OCTROI_CO_TRY(const ByteView piece, co_await body.next());
    if (piece.empty()) co_return std::move(all);
    if (piece.size() > limit - all.size()) co_return fail(Errc::body_too_large);
    all.append(as_text(piece));
  }
}

namespace {

std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

tl::unexpected<Error> bad_url(std::string_view why) {
  return fail(Errc::bad_url, "URL: " + std::string(why));
}

void lower_all(std::string& text) {
  for (char& c : text) c = lower(c);
}

/// A character that stands as it is in a URL's path or query as we send it.
bool is_url_char(char c) { return is_class(c, detail::kTargetChar); }

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  Url url;
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return bad_url("expected http:// or https://");
  url.scheme = text.substr(0, scheme_end);
  lower_all(url.scheme);
  if (url.scheme != "http" && url.scheme != "https") return bad_url("expected http:// or https://");
  std::string_view rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  const std::string_view path = rest.substr(authority_end);
  if (authority.find('@') != std::string_view::npos)
    return bad_url("user information is not accepted");
  if (!h1::is_host(authority)) return bad_url("expected a host name with an optional port");

  const bool bracketed = authority.front() == '[';
  const std::size_t host_end =
      bracketed ? authority.find(']') + 1 : std::min(authority.find(':'), authority.size());
  std::string_view host = authority.substr(0, host_end);
  url.port = default_port(url.scheme);
  if (host_end < authority.size()) {
    const std::string_view port = authority.substr(host_end + 1);
    std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (url.port == 0) return bad_url("port 0 cannot be used");
  }
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
    auto address = net::IpAddress::parse(host);
    if (!address) return bad_url("not an IPv6 address in brackets");
    url.host = host;
  } else {
    url.host = host;
  }
  lower_all(url.host);
  for (const char c : path) {
    if (!is_url_char(c)) return bad_url("a character in the path or query must be percent-encoded");
  }
  url.target = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
  return url;
}

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Url::origin() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return scheme + "://" + name + ":" + std::to_string(port);
}

std::string Url::str() const { return scheme + "://" + authority() + target; }

}  // namespace octroi::http
