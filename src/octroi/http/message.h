// octroi/http/message.h: request and response heads, the same for HTTP/1.1 and HTTP/2.
// Thread: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/http/headers.h"
#include "octroi/task/task.h"

namespace octroi::http {

enum class Errc : std::uint8_t {
  bad_message,       // breaks the framing or syntax rules: 400 and close
  head_too_large,    // 431
  body_too_large,    // 413
  bad_version,       // 505
  unsupported,       // a transfer coding or expectation we do not know: 501 or 417
  closed,            // the peer closed the connection early
  timeout,           // a deadline of the exchange passed: 408 or 504
  connect_failed,    // no connection to the upstream: nothing was sent
  tls_failed,        // handshake or certificate; nothing was sent
  upstream_invalid,  // the upstream's answer is malformed: 502
  cancelled,         // the server is draining or the exchange was aborted
  bad_url,           // not an absolute http or https URL
};
ErrorInfo error_info(Errc e);

enum class Version : std::uint8_t { http10, http11, http2 };

struct RequestHead {
  std::string method;
  std::string target;     // origin-form ("/path?query"), or "*", or authority-form for CONNECT
  std::string authority;  // Host or :authority, lower-cased, as sent otherwise
  std::string scheme;     // "http" or "https"
  Version version = Version::http11;
  bool absolute = false;  // asked as of a proxy: with scheme and host in the request line
  Headers headers;        // without Host; for HTTP/2 without pseudo-header fields

  [[nodiscard]] std::string_view path() const {
    return std::string_view(target).substr(0, target.find('?'));
  }
  [[nodiscard]] std::string_view query() const {
    auto q = target.find('?');
    return q == std::string::npos ? std::string_view{} : std::string_view(target).substr(q + 1);
  }
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

/// RFC 9110 section 15; "" for a status without a name.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

/// A body as it arrives. Not reading it is what holds the sender back.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// The next bytes; empty at the end. The view is valid until the next call.
  virtual Task<Result<ByteView>> next() = 0;
  /// Content-Length, where one was sent; 0 when there is no body.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
  /// After the end: what followed the body.
  [[nodiscard]] virtual const Headers& trailers() const = 0;
};

/// Reads a body of at most `limit` bytes to its end; Errc::body_too_large beyond.
Task<Result<std::string>> read_all(BodySource& body, std::uint64_t limit);

/// An absolute http(s) URL, split.
struct Url {
  std::string scheme;  // lower-case
  std::string host;    // lower-case, IPv6 without brackets
  std::uint16_t port = 0;
  std::string target;  // "/path?query", never empty, fragment dropped
  [[nodiscard]] static Result<Url> parse(std::string_view text);
  [[nodiscard]] bool tls() const { return scheme == "https"; }
  /// host[:port], the port only when it is not the scheme's own: for the Host field.
  [[nodiscard]] std::string authority() const;
  /// scheme://host:port
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] std::string str() const;
};

}  // namespace octroi::http
