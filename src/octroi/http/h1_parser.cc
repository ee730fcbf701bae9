#include "octroi/http/h1_parser.h"

#include <algorithm>
#include <cstring>

#include "octroi/http/char_class.h"

namespace octroi::http::h1 {

int status_of(Fault fault) noexcept {
  switch (fault) {
    case Fault::unsupported_version:
      return 505;
    case Fault::unknown_transfer_coding:
    case Fault::method_not_served:
      return 501;
    case Fault::too_many_fields:
    case Fault::head_too_large:
      return 431;
    case Fault::target_too_long:
      return 414;
    case Fault::none:
    case Fault::bad_method:
    case Fault::bad_target:
    case Fault::bad_version:
    case Fault::bad_status_line:
    case Fault::bad_line_end:
    case Fault::bad_field_name:
    case Fault::bad_field_value:
    case Fault::folded_field:
    case Fault::bad_host:
    case Fault::bad_content_length:
    case Fault::bad_transfer_coding:
    case Fault::length_and_coding:
    case Fault::bad_chunk:
    case Fault::long_extensions:
      return 400;
  }
  return 400;
}

std::string_view describe(Fault fault) noexcept {
  switch (fault) {
    case Fault::none:
      return "no fault";
    case Fault::bad_method:
      return "the method is not a token";
    case Fault::bad_target:
      return "the request target is malformed";
    case Fault::bad_version:
      return "the request line does not end in an HTTP version";
    case Fault::unsupported_version:
      return "only HTTP/1.1 and HTTP/1.0 are spoken here";
    case Fault::bad_status_line:
      return "the status line is malformed";
    case Fault::bad_line_end:
      return "lines must end with CR LF";
    case Fault::bad_field_name:
      return "a field name is malformed";
    case Fault::bad_field_value:
      return "a field value holds a control character";
    case Fault::folded_field:
      return "folded field lines are not accepted";
    case Fault::bad_host:
      return "exactly one valid Host field is needed";
    case Fault::bad_content_length:
      return "Content-Length must be one number";
    case Fault::bad_transfer_coding:
      return "Transfer-Encoding must be chunked, once, in HTTP/1.1";
    case Fault::unknown_transfer_coding:
      return "the only transfer coding known here is chunked";
    case Fault::length_and_coding:
      return "Content-Length and Transfer-Encoding exclude each other";
    case Fault::too_many_fields:
      return "too many fields";
    case Fault::head_too_large:
      return "the head is too large";
    case Fault::target_too_long:
      return "the request target is too long";
    case Fault::method_not_served:
      return "this method is not served here";
    case Fault::bad_chunk:
      return "the chunked coding is malformed";
    case Fault::long_extensions:
      return "too many chunk extensions";
  }
  return "malformed message";
}

bool is_host(std::string_view text) noexcept {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    for (const char c : text.substr(1, close - 1)) {
      if (!is_class(c, detail::kHexChar) && c != ':' && c != '.') return false;
    }
    port = text.substr(close + 1);
    if (port.empty()) return true;
  } else {
    const std::size_t colon = text.find(':');
    if (!all_class(text.substr(0, colon), detail::kHostChar) || colon == 0 || text.empty())
      return false;
    if (colon == std::string_view::npos) return true;
    port = text.substr(colon);
  }
  if (port.size() < 2 || port.size() > 6 || port.front() != ':') return false;
  unsigned value = 0;
  for (const char c : port.substr(1)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65535;
}

// ---- heads
// -----------------------------------------------------------------------------------------

namespace {
/// The first byte of [p, end) that `mask` marks, sixteen at a time; end when there is none. At
/// least sixteen bytes lie before end.
template <class Mask>
const char* first_of(const char* p, const char* end, Mask mask) {
  for (; end - p >= 16; p += 16) {
    if (const unsigned marks = mask(p); marks != 0) return p + std::countr_zero(marks);
  }
  if (p == end) return end;
  const auto passed = static_cast<unsigned>(16 - (end - p));
  const unsigned marks = mask(end - 16) >> passed;
  return marks != 0 ? p + std::countr_zero(marks) : end;
}
}  // namespace

void HeadParser::reset() noexcept {
  fault_ = Fault::none;
  started_ = has_length_ = has_coding_ = chunked_ = absolute_ = tunnel_ = false;
  hosts_ = 0;
  version_ = Version::http11;
  status_ = 0;
  line_ = scanned_ = 0;
  length_ = 0;
  signals_ = {};
  fields_.clear();
  seen_ = 0;
  authority_part_ = {};
  host_part_ = {};
}

Step HeadParser::parse(std::string_view bytes) {
  base_ = bytes.data();
  readable_ = base_ + bytes.size();
  const std::size_t window = std::min(bytes.size(), limits_.head);
  for (;;) {
    if (started_ && scanned_ == line_) {
      const Fault fault = plain_fields(window);
      if (fault != Fault::none) return fail(fault);
    }
    const auto* lf =
        scanned_ < window
            ? static_cast<const char*>(std::memchr(base_ + scanned_, '\n', window - scanned_))
            : nullptr;
    if (lf == nullptr) {
      scanned_ = window;
      if (bytes.size() < limits_.head) return Step::more;
      return fail(started_ || kind_ != Kind::request ? Fault::head_too_large
                                                     : Fault::target_too_long);
    }
    const auto end = static_cast<std::size_t>(lf - base_);
    if (end == line_ || base_[end - 1] != '\r') return fail(Fault::bad_line_end);
    const std::size_t begin = line_;
    const std::size_t size = end - 1 - begin;
    line_ = scanned_ = end + 1;
    Fault fault = Fault::none;
    if (!started_ && kind_ != Kind::trailers) {
      // One empty line before a request is forgiven: old clients send one after a body.
      if (size == 0 && kind_ == Kind::request && begin == 0) continue;
      fault = start_line({base_ + begin, size});
      started_ = true;
    } else if (size == 0) {
      fault = finish();
      return fault == Fault::none ? Step::done : fail(fault);
    } else {
      fault = field_line(begin, size);
    }
    if (fault != Fault::none) return fail(fault);
  }
}

// The loop of parse() judges a line; this one only goes over lines about which there is nothing to
// say, the most by far: a token, a colon, at most one space, a value that neither begins nor ends
// with white space and holds no control character, CR LF. It stops before any other.
Fault HeadParser::plain_fields(std::size_t window) {
  if (window < 16) return Fault::none;
  const char* const end = base_ + window;
  while (fields_.size() < limits_.fields) {
    const char* const line = base_ + line_;
    const char* const colon = first_of(line, end, [](const char* p) {
      return http::detail::not_of_class(p, http::detail::kNibbles<http::detail::kTokenChar>);
    });
    if (colon == line || end - colon < 5 || *colon != ':') break;
    const char* const value = colon[1] == ' ' ? colon + 2 : colon + 1;
    const char* const cr = first_of(value, end, http::detail::controls);
    if (end - cr < 2 || cr[0] != '\r' || cr[1] != '\n' || cr == value) break;
    if (*value == ' ' || cr[-1] == ' ') break;
    const std::string_view name(line, static_cast<std::size_t>(colon - line));
    const std::string_view text(value, static_cast<std::size_t>(cr - value));
    line_ = scanned_ = static_cast<std::size_t>(cr + 2 - base_);
    if (const Fault fault = keep_field(name, text); fault != Fault::none) return fault;
  }
  return Fault::none;
}

Fault HeadParser::keep_field(std::string_view name, std::string_view value) {
  Headers::Entry entry;
  entry.name = static_cast<std::uint32_t>(name.data() - base_);
  entry.name_size = static_cast<std::uint32_t>(name.size()) & Headers::kMaxName;
  entry.bit = Headers::index_of(name);
  entry.value = static_cast<std::uint32_t>(value.data() - base_);
  entry.value_size = static_cast<std::uint32_t>(value.size());
  fields_.push_back(entry);
  seen_ |= std::uint64_t{1} << entry.bit;
  return kind_ == Kind::trailers ? Fault::none : known_field(name, value);
}

Fault HeadParser::start_line(std::string_view line) {
  return kind_ == Kind::request ? request_line(line) : status_line(line);
}

namespace {
/// HTTP/1.1, HTTP/1.0, another version, or none at all.
Fault parse_version(std::string_view text, Version& version) {
  if (text == "HTTP/1.1") {
    version = Version::http11;
  } else if (text == "HTTP/1.0") {
    version = Version::http10;
  } else if (text.size() == 8 && text.starts_with("HTTP/") && text[5] >= '0' && text[5] <= '9' &&
             text[6] == '.' && text[7] >= '0' && text[7] <= '9') {
    return Fault::unsupported_version;
  } else {
    return Fault::bad_version;
  }
  return Fault::none;
}
}  // namespace

Fault HeadParser::request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  if (!is_token(line.substr(0, first))) return Fault::bad_method;
  if (first == std::string_view::npos) return Fault::bad_version;  // HTTP/0.9 had no version
  const std::string_view rest = line.substr(first + 1);
  const std::size_t second = rest.find(' ');
  if (second == std::string_view::npos) return Fault::bad_version;
  const std::string_view target = rest.substr(0, second);
  if (const Fault f = parse_version(rest.substr(second + 1), version_); f != Fault::none) return f;
  method_part_ = part(line.substr(0, first));
  return request_target(target);
}

/// "a.example:443": of CONNECT nothing else is taken (RFC 9112 section 3.2.3).
bool is_tunnel_target(std::string_view text) noexcept {
  const std::size_t colon = text.rfind(':');
  return is_host(text) && colon != std::string_view::npos && colon + 1 < text.size() &&
         text.find(']', colon) == std::string_view::npos;
}

// RFC 9112 section 3.2: origin-form, absolute-form, asterisk-form for OPTIONS, and authority-form
// where tunnels are opened.
Fault HeadParser::request_target(std::string_view target) {
  if (target.size() > limits_.target) return Fault::target_too_long;
  const std::string_view method = at(method_part_);
  if (method == "CONNECT") {
    if (!limits_.connect) return Fault::method_not_served;
    if (!is_tunnel_target(target)) return Fault::bad_target;
    tunnel_ = true;
    authority_part_ = target_part_ = part(target);
    return Fault::none;
  }
  const char* const target_end = target.data() + target.size();
  if (target.empty() ||
      (target != "*" &&
       class_length<detail::kTargetChar>(target.data(), target_end, readable_) != target.size())) {
    return Fault::bad_target;
  }
  target_part_ = part(target);
  if (target.front() == '/') return Fault::none;
  if (target == "*") return method == "OPTIONS" ? Fault::none : Fault::bad_target;
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || (!equals_lower(target.substr(0, scheme), "http") &&
                                           !equals_lower(target.substr(0, scheme), "https"))) {
    return Fault::bad_target;
  }
  const std::string_view after = target.substr(scheme + 3);
  const std::size_t end = std::min(after.find_first_of("/?"), after.size());
  if (!is_host(after.substr(0, end))) return Fault::bad_target;
  absolute_ = true;
  https_ = scheme == 5;  // of the two that are left
  authority_part_ = part(after.substr(0, end));
  target_part_ = part(after.substr(end));
  return Fault::none;
}

Fault HeadParser::status_line(std::string_view line) {
  if (line.size() < 12 || line[8] != ' ') return Fault::bad_status_line;
  if (parse_version(line.substr(0, 8), version_) != Fault::none) return Fault::bad_status_line;
  status_ = 0;
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return Fault::bad_status_line;
    status_ = status_ * 10 + (c - '0');
  }
  if (status_ < 100) return Fault::bad_status_line;
  // Many servers leave out the space before an empty reason.
  if (line.size() > 12 && (line[12] != ' ' || !is_field_value(line.substr(13)))) {
    return Fault::bad_status_line;
  }
  return Fault::none;
}

Fault HeadParser::field_line(std::size_t begin, std::size_t size) {
  if (fields_.size() == limits_.fields) return Fault::too_many_fields;
  const char* const line = base_ + begin;
  if (line[0] == ' ' || line[0] == '\t') return Fault::folded_field;
  const std::size_t colon = class_length<detail::kTokenChar>(line, line + size, readable_);
  if (colon == 0 || colon == size || line[colon] != ':') return Fault::bad_field_name;
  std::size_t value = colon + 1;
  std::size_t end = size;
  while (value < end && (line[value] == ' ' || line[value] == '\t')) ++value;
  while (end > value && (line[end - 1] == ' ' || line[end - 1] == '\t')) --end;
  const std::string_view text(line + value, end - value);
  // The name before it has been checked, so the whole line may be looked at.
  if (has_control(line + value, line + end, line)) {
    return text.find('\r') != std::string_view::npos ? Fault::bad_line_end : Fault::bad_field_value;
  }
  return keep_field({line, colon}, text);
}

Fault HeadParser::known_field(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4:
      if (kind_ == Kind::request && equals_lower(name, "host")) {
        ++hosts_;
        if (hosts_ > 1 || !is_host(value)) return Fault::bad_host;
        host_part_ = part(value);
        host_index_ = fields_.size() - 1;
      } else if (equals_lower(name, "date")) {
        signals_.has_date = true;
      }
      break;
    case 6:
      if (kind_ == Kind::request && equals_lower(name, "expect")) {
        (equals_lower(value, "100-continue") ? signals_.expect_continue : signals_.expect_other) =
            true;
      }
      break;
    case 7:
      if (equals_lower(name, "upgrade")) signals_.has_upgrade_field = true;
      break;
    case 10:
      if (equals_lower(name, "connection")) connection_field(value);
      break;
    case 14:
      if (equals_lower(name, "content-length")) return content_length_field(value);
      break;
    case 17:
      if (equals_lower(name, "transfer-encoding")) return transfer_encoding_field(value);
      break;
    default:
      break;
  }
  return Fault::none;
}

// RFC 9112 section 6.3: one number. A list of equal numbers may be repaired; we refuse it.
Fault HeadParser::content_length_field(std::string_view value) {
  if (has_length_ || value.empty() || value.size() > 18) return Fault::bad_content_length;
  std::uint64_t n = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return Fault::bad_content_length;
    n = n * 10 + static_cast<std::uint64_t>(c - '0');
  }
  has_length_ = true;
  length_ = n;
  return Fault::none;
}

Fault HeadParser::transfer_encoding_field(std::string_view value) {
  if (has_coding_) return Fault::bad_transfer_coding;
  has_coding_ = true;
  if (equals_lower(value, "chunked")) {
    chunked_ = true;
    return Fault::none;
  }
  // A coding before chunked is legal but unknown here; chunked anywhere but last is not legal.
  std::size_t chunked = 0;
  std::string_view last;
  for_each_member(value, [&](std::string_view member) {
    chunked += equals_lower(member, "chunked") ? 1U : 0U;
    last = member;
    return true;
  });
  const bool legal = !last.empty() &&
                     (chunked == 0 || (chunked == 1 && equals_lower(last, "chunked"))) &&
                     is_token(last);
  return legal && value.find_first_not_of(", \t") == 0 ? Fault::unknown_transfer_coding
                                                       : Fault::bad_transfer_coding;
}

void HeadParser::connection_field(std::string_view value) {
  for_each_member(value, [this](std::string_view option) {
    if (equals_lower(option, "close")) {
      signals_.close = true;
    } else if (equals_lower(option, "keep-alive")) {
      signals_.keep_alive = true;
    } else if (equals_lower(option, "upgrade")) {
      signals_.upgrade = true;
    } else {
      signals_.names_fields = true;
    }
    return true;
  });
}

Fault HeadParser::finish() {
  if (kind_ == Kind::trailers) return Fault::none;
  if (has_coding_ && has_length_) return Fault::length_and_coding;
  // HTTP/1.0 knows no transfer codings: somebody on the way may have read another length.
  if (has_coding_ && version_ == Version::http10) return Fault::bad_transfer_coding;
  if (kind_ == Kind::response) return Fault::none;
  if (hosts_ == 0 && version_ == Version::http11) return Fault::bad_host;
  method_ = at(method_part_);
  target_ = at(target_part_);
  host_ = at(host_part_);
  if (tunnel_) {
    // Clients leave out the port in Host, and what is asked for is in the request line alone.
    if (has_length_ && length_ > 0) return Fault::bad_content_length;
    if (has_coding_) return Fault::bad_transfer_coding;
    host_ = at(authority_part_);
  }
  if (absolute_) {
    // RFC 9112 section 3.2.2 lets the target win over Host; two names for one request are refused.
    const std::string_view authority = at(authority_part_);
    if (hosts_ != 0 && !equal_ignoring_case(authority, host_)) return Fault::bad_host;
    host_ = authority;
  }
  return Fault::none;
}

Field HeadParser::field(std::size_t i) const noexcept {
  const Headers::Entry& e = fields_[i];
  return {{base_ + e.name, e.name_size}, {base_ + e.value, e.value_size}};
}

Framing HeadParser::request_framing() const noexcept {
  if (chunked_) return {BodyKind::chunked, 0};
  if (has_length_ && length_ > 0) return {BodyKind::length, length_};
  return {BodyKind::none, 0};
}

// RFC 9112 section 6.3, in its order.
Framing HeadParser::response_framing(std::string_view request_method) const noexcept {
  if (request_method == "HEAD" || status_ < 200 || status_ == 204 || status_ == 304) return {};
  if (chunked_) return {BodyKind::chunked, 0};
  if (has_length_) return {length_ > 0 ? BodyKind::length : BodyKind::none, length_};
  return {BodyKind::until_close, 0};
}

void HeadParser::copy_fields(Headers& out) const {
  out.clear();
  if (fields_.empty()) return;
  // From the first byte of the head, so that the offsets are the same. With room for what a gateway
  // adds.
  const std::size_t size = fields_.back().value + fields_.back().value_size;
  out.buffer_.assign(base_, size, out.buffer_.capacity() < size ? 384 : 0);
  if (out.entries_.capacity() < fields_.size()) out.entries_.reserve(fields_.size() + 12);
  const auto host =
      fields_.begin() + static_cast<std::ptrdiff_t>(
                            kind_ == Kind::request && hosts_ != 0 ? host_index_ : fields_.size());
  out.entries_.assign(fields_.begin(), host);
  if (host != fields_.end()) out.entries_.insert(out.entries_.end(), host + 1, fields_.end());
  out.seen_ = seen_;
}

// ---- chunked
// ---------------------------------------------------------------------------------------

bool ChunkDecoder::size_digit(char c) noexcept {
  if (!is_class(c, detail::kHexChar)) return false;
  // 15 digits stay below 2^60: sums of sizes cannot wrap either.
  if (++digits_ > 15) return false;
  const char l = lower(c);
  left_ = left_ * 16 + static_cast<std::uint64_t>(l <= '9' ? l - '0' : l - 'a' + 10);
  return true;
}

/// RFC 9112 section 7.1.1, without the white space it merely tolerates and without backslashes,
/// which parsers disagree about.
bool ChunkDecoder::extension_byte(char c) noexcept {
  if (c != '\r' && ++extensions_ > kMaxExtensions) {
    fault_ = Fault::long_extensions;
    return false;
  }
  const bool token = is_class(c, detail::kTokenChar);
  const bool plain = (c >= ' ' && c <= '~' && c != '\\') || c == '\t';  // within quotes
  const bool may_end =
      state_ == State::extension_name || state_ == State::value_token || state_ == State::value_end;
  if (may_end && c == '\r') return go(State::size_lf);
  if (may_end && c == ';') return go(State::extension_first);
  switch (state_) {
    case State::extension_first:
      return token && go(State::extension_name);
    case State::extension_name:
      return c == '=' ? go(State::value_first) : token;
    case State::value_first:
      return c == '"' ? go(State::value_quoted) : token && go(State::value_token);
    case State::value_token:
      return token;
    case State::value_quoted:
      if (c == '"') return go(State::value_end);
      return plain;
    case State::value_end:
    case State::size_first:
    case State::size:
    case State::size_lf:
    case State::data:
    case State::data_cr:
    case State::data_lf:
      break;
  }
  return false;
}

/// Every byte that is not data. False: malformed.
bool ChunkDecoder::framing_byte(char c) noexcept {
  switch (state_) {
    case State::size_first:
      left_ = 0;
      digits_ = 0;
      return go(State::size) && size_digit(c);
    case State::size:
      if (c == '\r') return go(State::size_lf);
      if (c == ';') return go(State::extension_first);
      return size_digit(c);
    case State::extension_first:
    case State::extension_name:
    case State::value_first:
    case State::value_token:
    case State::value_quoted:
    case State::value_end:
      return extension_byte(c);
    case State::size_lf:
      last_ = left_ == 0;
      return go(State::data) && c == '\n';
    case State::data_cr:
      return go(State::data_lf) && c == '\r';
    case State::data_lf:
      return go(State::size_first) && c == '\n';
    case State::data:
      break;
  }
  return false;
}

ChunkDecoder::Piece ChunkDecoder::next(std::string_view in) noexcept {
  std::size_t i = 0;
  while (i < in.size() || (state_ == State::data && last_)) {
    if (state_ == State::data) {
      if (last_) return {Piece::What::end, i, {}};
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size() - i));
      left_ -= n;
      if (left_ == 0) state_ = State::data_cr;
      return {Piece::What::data, i + n, in.substr(i, n)};
    }
    if (!framing_byte(in[i])) {
      if (fault_ == Fault::none) fault_ = Fault::bad_chunk;
      return {Piece::What::fault, i, {}};
    }
    ++i;
  }
  return {Piece::What::more, i, {}};
}

bool is_forbidden_trailer(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 36> kForbidden = {"age",
                                                                  "authorization",
                                                                  "authentication-info",
                                                                  "cache-control",
                                                                  "connection",
                                                                  "content-encoding",
                                                                  "content-length",
                                                                  "content-range",
                                                                  "content-type",
                                                                  "cookie",
                                                                  "date",
                                                                  "expect",
                                                                  "expires",
                                                                  "host",
                                                                  "keep-alive",
                                                                  "location",
                                                                  "max-forwards",
                                                                  "payment-authorization",
                                                                  "pragma",
                                                                  "proxy-authenticate",
                                                                  "proxy-authorization",
                                                                  "proxy-connection",
                                                                  "range",
                                                                  "retry-after",
                                                                  "set-cookie",
                                                                  "te",
                                                                  "trailer",
                                                                  "transfer-encoding",
                                                                  "upgrade",
                                                                  "www-authenticate",
                                                                  "macaroon",
                                                                  "grpc-metadata-macaroon",
                                                                  "x-octroi-token-id",
                                                                  "x-octroi-session-id",
                                                                  "x-octroi-service",
                                                                  "x-octroi-amount-msat"};
  return std::ranges::any_of(kForbidden,
                             [name](std::string_view f) { return equals_lower(name, f); });
}

}  // namespace octroi::http::h1
