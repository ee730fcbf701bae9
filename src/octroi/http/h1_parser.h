// octroi/http/h1_parser.h: HTTP/1.x heads, chunked coding and trailers out of bytes. Pure: no I/O.
//
// Strict on purpose: whatever two parsers could read differently is refused, because a gateway that
// forwards what another program reads otherwise lets one client speak in another's name.
// Incremental: give it the same growing buffer; every byte is looked at once.
// Memory   the field table of a parser is kept between messages; a warm parser allocates nothing.
// Source   RFC 9112 (message syntax, framing, chunked coding), RFC 9110 section 5 (fields).
// Thread   a value.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "octroi/http/headers.h"
#include "octroi/http/message.h"

namespace octroi::http::h1 {

/// Why a message is refused.
enum class Fault : std::uint16_t {
  none,
  bad_method,               // not a token
  bad_target,               // a form or a byte that no request target has
  bad_version,              // the third part of the request line is not HTTP/d.d
  unsupported_version,      // well-formed, but neither 1.0 nor 1.1
  bad_status_line,          // a response that does not begin HTTP/1.x ddd
  bad_line_end,             // LF without CR, or CR without LF
  bad_field_name,           // empty, not a token, or space before the colon
  bad_field_value,          // NUL or another control character
  folded_field,             // a line that begins with space
  bad_host,                 // no Host where one must be, two, or not a host with an optional port
  bad_content_length,       // not a number, repeated, or too large to count
  bad_transfer_coding,      // repeated, in HTTP/1.0, or chunked is not last
  unknown_transfer_coding,  // well-formed but not chunked
  length_and_coding,        // Content-Length beside Transfer-Encoding
  too_many_fields,
  head_too_large,
  target_too_long,
  method_not_served,  // CONNECT, where nobody opens tunnels
  bad_chunk,          // size line or the end of a chunk
  long_extensions,    // more chunk extensions than anybody needs
};
/// 400, 414, 431, 501 or 505.
[[nodiscard]] int status_of(Fault fault) noexcept;
/// A sentence for the body of that answer and for logs.
[[nodiscard]] std::string_view describe(Fault fault) noexcept;

enum class Step : std::uint8_t { more, done, fault };

struct Limits {
  std::size_t head = 128 * 1024;
  std::size_t fields = 100;
  std::size_t target = 8 * 1024;
  bool connect = false;  // CONNECT is somebody's to answer
};

/// How the end of a body is found.
enum class BodyKind : std::uint8_t { none, length, chunked, until_close };
struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;
  bool operator==(const Framing&) const = default;
};

/// What the fields said that a connection must know; found while parsing, so that nobody searches
/// again.
struct Signals {
  bool close = false;         // Connection: close
  bool keep_alive = false;    // Connection: keep-alive
  bool upgrade = false;       // Connection: upgrade
  bool names_fields = false;  // Connection lists something else
  bool has_upgrade_field = false;
  bool expect_continue = false;
  bool expect_other = false;  // an expectation that nobody knows
  bool has_date = false;
};

class HeadParser {
 public:
  enum class Kind : std::uint8_t { request, response, trailers };
  HeadParser(Kind kind, Limits limits) : kind_(kind), limits_(limits) {}

  /// Prepares for the next message.
  void reset() noexcept;
  /// `bytes` starts at the message's first byte and may continue beyond its head.
  [[nodiscard]] Step parse(std::string_view bytes);
  [[nodiscard]] Fault fault() const noexcept { return fault_; }

  // After done. Views point into the bytes of the last call.
  /// Bytes of the head, with the empty line.
  [[nodiscard]] std::size_t size() const noexcept { return line_; }
  [[nodiscard]] std::string_view method() const noexcept { return method_; }
  /// Origin-form, or "*". For absolute-form the part after the authority; may lack its leading
  /// slash. For CONNECT host and port.
  [[nodiscard]] std::string_view target() const noexcept { return target_; }
  /// Whether the request line named scheme and host.
  [[nodiscard]] bool absolute() const noexcept { return absolute_; }
  /// And whether that scheme was https.
  [[nodiscard]] bool absolute_https() const noexcept { return absolute_ && https_; }
  /// The Host field; "" in HTTP/1.0 without one.
  [[nodiscard]] std::string_view host() const noexcept { return host_; }
  [[nodiscard]] Version version() const noexcept { return version_; }
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const Signals& signals() const noexcept { return signals_; }
  [[nodiscard]] std::size_t field_count() const noexcept { return fields_.size(); }
  [[nodiscard]] Field field(std::size_t i) const noexcept;
  /// The body of a request.
  [[nodiscard]] Framing request_framing() const noexcept;
  /// The body of a response to `request_method`.
  [[nodiscard]] Framing response_framing(std::string_view request_method) const noexcept;
  /// Content-Length as sent, also where no body follows (HEAD, 304).
  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept {
    return has_length_ ? std::optional(length_) : std::nullopt;
  }
  /// Copies the fields (a request's without Host) into `out`, which is cleared first.
  void copy_fields(Headers& out) const;

 private:
  Step fail(Fault fault) noexcept {
    fault_ = fault;
    return Step::fault;
  }
  Fault start_line(std::string_view line);
  Fault request_line(std::string_view line);
  Fault status_line(std::string_view line);
  Fault request_target(std::string_view target);
  Fault field_line(std::size_t begin, std::size_t size);
  Fault plain_fields(std::size_t window);
  Fault keep_field(std::string_view name, std::string_view value);
  Fault known_field(std::string_view name, std::string_view value);
  Fault content_length_field(std::string_view value);
  Fault transfer_encoding_field(std::string_view value);
  void connection_field(std::string_view value);
  Fault finish();

  Kind kind_;
  Limits limits_;
  Fault fault_ = Fault::none;
  bool started_ = false;  // the first line is done
  bool has_length_ = false;
  bool has_coding_ = false;
  bool chunked_ = false;
  std::uint8_t hosts_ = 0;
  Version version_ = Version::http11;
  int status_ = 0;
  std::size_t line_ = 0;     // where the line under way begins
  std::size_t scanned_ = 0;  // no LF between line_ and here
  std::size_t host_index_ = 0;
  std::uint64_t length_ = 0;
  Signals signals_;
  const char* base_ = nullptr;
  const char* readable_ = nullptr;  // the end of the bytes at base_
  // Offsets of the start line's parts: the buffer may move between calls.
  struct Part {
    std::size_t at = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] Part part(std::string_view view) const noexcept {
    return {static_cast<std::size_t>(view.data() - base_), view.size()};
  }
  [[nodiscard]] std::string_view at(Part p) const noexcept { return {base_ + p.at, p.size}; }
  Part method_part_, target_part_, authority_part_, host_part_;
  bool absolute_ = false;
  bool https_ = false;
  bool tunnel_ = false;  // CONNECT
  std::string_view method_, target_, host_;
  Headers::Entries fields_;
  std::uint64_t seen_ = 0;  // of the names of the fields, as Headers counts it
};

/// The chunked coding without its trailer section.
class ChunkDecoder {
 public:
  struct Piece {
    enum class What : std::uint8_t { more, data, end, fault };
    What what = What::more;
    std::size_t consumed = 0;  // from the front of the input, the data included
    std::string_view data;     // the last bytes of what was consumed
  };
  void reset() noexcept { *this = {}; }
  /// Takes framing and at most one run of data. After `end` the trailer section follows.
  [[nodiscard]] Piece next(std::string_view in) noexcept;
  [[nodiscard]] Fault fault() const noexcept { return fault_; }

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    extension_first,  // the first character of an extension's name
    extension_name,
    value_first,
    value_token,
    value_quoted,
    value_end,  // after the closing quote
    size_lf,
    data,
    data_cr,
    data_lf
  };
  static constexpr std::uint32_t kMaxExtensions = 16 * 1024;  // a message
  [[nodiscard]] bool framing_byte(char c) noexcept;
  [[nodiscard]] bool size_digit(char c) noexcept;
  [[nodiscard]] bool extension_byte(char c) noexcept;
  [[nodiscard]] bool go(State next) noexcept {
    state_ = next;
    return true;
  }

  State state_ = State::size_first;
  std::uint8_t digits_ = 0;
  bool last_ = false;
  Fault fault_ = Fault::none;
  std::uint32_t extensions_ = 0;
  std::uint64_t left_ = 0;
};

/// Fields that a trailer section may not carry: framing, routing, authentication, and those that
/// say how to read the content (RFC 9110 section 6.5.1).
[[nodiscard]] bool is_forbidden_trailer(std::string_view name) noexcept;

/// "example.com", "example.com:8080", "[::1]:80".
[[nodiscard]] bool is_host(std::string_view text) noexcept;

}  // namespace octroi::http::h1
