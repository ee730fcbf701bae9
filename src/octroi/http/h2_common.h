// octroi/http/h2_common.h: what the two sides of HTTP/2 share: heads to and from the fields of a
// session, limits, settings, names of errors. Internal to http; libnghttp2 does framing and HPACK.
//
// Receiving  a FieldBlock takes the decoded fields of one header block and judges them as strictly
//            as the HTTP/1.1 parser judges a head, whatever the library has checked before: what an
//            HTTP/1.1 message could not carry never reaches a handler.
// Sending    a FieldList names the fields of a head. Views: it must not outlive what it was made
//            of, but the library copies (and lower-cases) names and values when they are submitted.
// Source     RFC 9113 section 8, RFC 9110 section 5.  Thread: one loop's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "octroi/http/h1_parser.h"
#include "octroi/http/message.h"

namespace octroi::http::h2 {

/// What a client sends first (RFC 9113 section 3.4).
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Sizes in bytes.
inline constexpr std::uint32_t kStreamWindow = 256 * 1024;  // received and not yet read, a stream
inline constexpr std::int32_t kConnectionWindow = 1024 * 1024;  // and over all of a connection's
inline constexpr std::uint32_t kConcurrentStreams = 128;
inline constexpr std::uint32_t kHeaderTable = 4096;      // HPACK's memory, each direction
inline constexpr std::size_t kHeadSent = 256 * 1024;     // the largest head that is sent
inline constexpr std::size_t kContinuations = 8;         // frames after HEADERS; 16 KiB each
inline constexpr std::size_t kOutboundAcks = 200;        // of PING and SETTINGS, not yet taken
inline constexpr std::size_t kOutputLimit = 128 * 1024;  // frames made and not yet taken: no more

struct SessionDelete {
  void operator()(nghttp2_session* s) const noexcept { nghttp2_session_del(s); }
};
using Session = std::unique_ptr<nghttp2_session, SessionDelete>;
struct OptionsDelete {
  void operator()(nghttp2_option* o) const noexcept { nghttp2_option_del(o); }
};
using Options = std::unique_ptr<nghttp2_option, OptionsDelete>;
struct CallbacksDelete {
  void operator()(nghttp2_session_callbacks* c) const noexcept { nghttp2_session_callbacks_del(c); }
};
using Callbacks = std::unique_ptr<nghttp2_session_callbacks, CallbacksDelete>;

/// The options of either side: windows move when a body is read, and what a peer can make us keep
/// is bounded.
[[nodiscard]] Options make_options();
/// Empty callbacks to fill.
[[nodiscard]] Callbacks make_callbacks();

/// "PROTOCOL_ERROR" for 1; RFC 9113 section 7.
[[nodiscard]] std::string_view error_name(std::uint32_t code) noexcept;

/// A name or value that nghttp2 hands over.
[[nodiscard]] inline std::string_view view_of(nghttp2_rcbuf* text) noexcept {
  const nghttp2_vec v = nghttp2_rcbuf_get_buf(text);
  return {reinterpret_cast<const char*>(v.base), v.len};
}

// ---- receiving

class FieldBlock {
 public:
  enum class Section : std::uint8_t { request, response, trailers };

  /// Prepares for the next block; `limits.head` counts as SETTINGS_MAX_HEADER_LIST_SIZE does.
  void begin(Section section, h1::Limits limits);
  /// The next field as decoded. After a fault it is only counted.
  void add(std::string_view name, std::string_view value);

  /// The library found the field under way wrong.
  void refuse(h1::Fault why) noexcept {
    if (fault_ == h1::Fault::none) fault_ = why;
  }
  /// The first thing found wrong so far.
  [[nodiscard]] h1::Fault fault() const noexcept { return fault_; }
  /// Decoded to several times its limit: compressed to hurt.
  [[nodiscard]] bool bomb() const noexcept { return bytes_ > 4 * limits_.head; }

  // When the block is whole: judges what no single field shows, and moves the parts out. On a fault
  // `out` is unspecified. What `out` held before is kept as memory for the next block.
  [[nodiscard]] h1::Fault take_request(RequestHead& out);
  [[nodiscard]] h1::Fault take_response(ResponseHead& out);
  /// Fields that may not stand in a trailer section are left out.
  [[nodiscard]] h1::Fault take_trailers(Headers& out);

  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept { return length_; }
  [[nodiscard]] bool expect_continue() const noexcept { return expect_continue_; }
  [[nodiscard]] bool expect_other() const noexcept { return expect_other_; }
  /// Extended CONNECT (RFC 8441); empty without.
  [[nodiscard]] const std::string& protocol() const noexcept { return protocol_; }
  /// What stands in the block before it is taken, for an answer to a refused one.
  [[nodiscard]] const std::string& method() const noexcept { return head_.method; }

 private:
  enum Seen : std::uint8_t {
    kMethod = 1,
    kScheme = 2,
    kPath = 4,
    kAuthority = 8,
    kProtocol = 16,
    kStatus = 32,
    kHost = 64,
  };
  h1::Fault pseudo_field(std::string_view name, std::string_view value);
  h1::Fault known_field(std::string_view name, std::string_view value);
  h1::Fault content_length_field(std::string_view value);
  h1::Fault judge_target();
  h1::Fault judge_authority();
  [[nodiscard]] bool first(Seen which) noexcept;

  Section section_ = Section::request;
  h1::Limits limits_;
  h1::Fault fault_ = h1::Fault::none;
  std::size_t bytes_ = 0;
  std::size_t fields_ = 0;
  std::uint8_t seen_ = 0;
  bool regular_ = false;  // a field that is none of the pseudo fields has come
  bool expect_continue_ = false;
  bool expect_other_ = false;
  bool keep_ = false;  // the field under way goes into the head
  int status_ = 0;
  std::optional<std::uint64_t> length_;
  RequestHead head_;
  std::string host_;
  std::string cookies_;
  std::string protocol_;
};

// ---- sending

class FieldList {
 public:
  void clear() noexcept { list_.clear(); }
  void add(std::string_view name, std::string_view value);
  /// Without those that the framing or the pseudo fields say.
  void add_all(const Headers& headers);
  /// As text that lives in the list; one number of each use a list.
  void add_status(int status);
  void add_length(std::uint64_t length);

  [[nodiscard]] const nghttp2_nv* data() const noexcept { return list_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return list_.size(); }

 private:
  std::vector<nghttp2_nv> list_;
  std::array<char, 4> status_{};
  std::array<char, 24> length_{};
};

/// `date` is added unless the head brings its own; "" for none.
void list_response(FieldList& out, const ResponseHead& head, std::optional<std::uint64_t> length,
                   std::string_view date);
/// `authority` goes into :authority. `length` becomes Content-Length where it says something: not
/// for a request without a body whose method needs none.
void list_request(FieldList& out, const RequestHead& head, std::string_view authority,
                  std::optional<std::uint64_t> length);
/// Fields that may not stand in a trailer section are left out.
void list_trailers(FieldList& out, const Headers& trailers);

}  // namespace octroi::http::h2
