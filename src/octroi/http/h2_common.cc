#include "octroi/http/h2_common.h"

#include <charconv>

#include "octroi/http/char_class.h"

namespace octroi::http::h2 {

using h1::Fault;

namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2

/// Fields whose values are secrets, or differ in every message: HPACK's table is not for them.
bool is_never_indexed(std::string_view name) {
  switch (name.size()) {
    case 8:
      return equals_lower(name, "macaroon");
    case 10:
      return equals_lower(name, "set-cookie");
    case 13:
      return equals_lower(name, "authorization");
    case 15:
      return equals_lower(name, "payment-receipt");
    case 16:
      return equals_lower(name, "www-authenticate");
    case 19:
      return equals_lower(name, "proxy-authorization");
    case 21:
      return equals_lower(name, "payment-authorization");
    case 22:
      return equals_lower(name, "grpc-metadata-macaroon");
    default:
      return false;
  }
}

}  // namespace

Options make_options() {
  nghttp2_option* raw = nullptr;
  if (nghttp2_option_new(&raw) != 0) throw std::bad_alloc();
  Options options(raw);
  nghttp2_option_set_no_auto_window_update(raw, 1);
  nghttp2_option_set_max_outbound_ack(raw, kOutboundAcks);
  nghttp2_option_set_max_continuations(raw, kContinuations);
  nghttp2_option_set_max_send_header_block_length(raw, kHeadSent);
  nghttp2_option_set_max_deflate_dynamic_table_size(raw, kHeaderTable);
  return options;
}

Callbacks make_callbacks() {
  nghttp2_session_callbacks* raw = nullptr;
  if (nghttp2_session_callbacks_new(&raw) != 0) throw std::bad_alloc();
  return Callbacks(raw);
}

std::string_view error_name(std::uint32_t code) noexcept { return nghttp2_http2_strerror(code); }

// ---- receiving
// -------------------------------------------------------------------------------------

void FieldBlock::begin(Section section, h1::Limits limits) {
  section_ = section;
  limits_ = limits;
  fault_ = Fault::none;
  bytes_ = fields_ = 0;
  seen_ = 0;
  regular_ = expect_continue_ = expect_other_ = false;
  status_ = 0;
  length_.reset();
  head_.method.clear();
  head_.target.clear();
  head_.authority.clear();
  head_.scheme.clear();
  head_.headers.clear();
  host_.clear();
  cookies_.clear();
  protocol_.clear();
}

bool FieldBlock::first(Seen which) noexcept {
  const bool before = (seen_ & which) != 0;
  seen_ = static_cast<std::uint8_t>(seen_ | which);
  return !before;
}

void FieldBlock::add(std::string_view name, std::string_view value) {
  bytes_ += name.size() + value.size() + kFieldOverhead;
  if (fault_ != Fault::none) return;
  if (bytes_ > limits_.head) {
    fault_ = Fault::head_too_large;
    return;
  }
  if (name.starts_with(':')) {
    fault_ = pseudo_field(name, value);
    return;
  }
  regular_ = true;
  keep_ = true;
  fault_ = known_field(name, value);
  if (fault_ != Fault::none || !keep_) return;
  if (++fields_ > limits_.fields) {
    fault_ = Fault::too_many_fields;
  } else if (!head_.headers.add(name, value)) {
    fault_ = is_token(name) ? Fault::bad_field_value : Fault::bad_field_name;
  }
}

// RFC 9113 section 8.3: each once, before all others, and only where they belong.
Fault FieldBlock::pseudo_field(std::string_view name, std::string_view value) {
  if (regular_ || section_ == Section::trailers) return Fault::bad_field_name;
  if (section_ == Section::response) {
    if (name != ":status" || !first(kStatus) || value.size() != 3) return Fault::bad_status_line;
    for (const char c : value) {
      if (c < '0' || c > '9') return Fault::bad_status_line;
      status_ = status_ * 10 + (c - '0');
    }
    return status_ < 100 ? Fault::bad_status_line : Fault::none;
  }
  if (name == ":method") {
    if (!first(kMethod) || !is_token(value)) return Fault::bad_method;
    head_.method.assign(value);
  } else if (name == ":path") {
    if (!first(kPath)) return Fault::bad_target;
    if (value.size() > limits_.target) return Fault::target_too_long;
    head_.target.assign(value);
  } else if (name == ":scheme") {
    if (!first(kScheme)) return Fault::bad_target;
    head_.scheme.assign(value);
  } else if (name == ":authority") {
    if (!first(kAuthority)) return Fault::bad_host;
    head_.authority.assign(value);
  } else if (name == ":protocol") {
    if (!first(kProtocol) || !is_token(value)) return Fault::bad_target;
    protocol_.assign(value);
  } else {
    return Fault::bad_field_name;
  }
  return Fault::none;
}

Fault FieldBlock::known_field(std::string_view name, std::string_view value) {
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') return Fault::bad_field_name;  // RFC 9113 section 8.2.1
  }
  if (section_ == Section::trailers) return Fault::none;
  const bool request = section_ == Section::request;
  switch (name.size()) {
    case 2:
      // RFC 9113 section 8.2.2: nothing but trailers.
      if (name == "te" && request && !equals_lower(value, "trailers"))
        return Fault::bad_field_value;
      break;
    case 4:
      if (name != "host" || !request) break;
      if (!first(kHost)) return Fault::bad_host;
      host_.assign(value);
      keep_ = false;
      break;
    case 6:
      if (!request) break;
      if (name == "cookie") {
        // RFC 9113 section 8.2.3: crumbs are one field to everybody else.
        if (!is_field_value(value)) return Fault::bad_field_value;
        if (!cookies_.empty()) cookies_ += "; ";
        cookies_ += value;
        keep_ = false;
      } else if (name == "expect") {
        (equals_lower(value, "100-continue") ? expect_continue_ : expect_other_) = true;
      }
      break;
    case 14:
      if (name == "content-length") return content_length_field(value);
      break;
    case 7:
    case 10:
    case 16:
    case 17:
      if (is_connection_field(name)) return Fault::bad_field_name;
      break;
    default:
      break;
  }
  return Fault::none;
}

Fault FieldBlock::content_length_field(std::string_view value) {
  if (length_ || value.empty() || value.size() > 18) return Fault::bad_content_length;
  std::uint64_t n = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return Fault::bad_content_length;
    n = n * 10 + static_cast<std::uint64_t>(c - '0');
  }
  length_ = n;
  return Fault::none;
}

// RFC 9113 section 8.3.1: origin-form or, for OPTIONS, "*". As for HTTP/1.1, no tunnels.
Fault FieldBlock::judge_target() {
  if ((seen_ & kMethod) == 0) return Fault::bad_method;
  if (head_.method == "CONNECT" && protocol_.empty()) return Fault::method_not_served;
  if (!protocol_.empty() && head_.method != "CONNECT") return Fault::bad_method;
  if (head_.scheme != "http" && head_.scheme != "https") return Fault::bad_target;
  if (head_.target == "*") {
    return head_.method == "OPTIONS" ? Fault::none : Fault::bad_target;
  }
  if (!head_.target.starts_with('/') || !all_class(head_.target, detail::kTargetChar)) {
    return Fault::bad_target;
  }
  return Fault::none;
}

/// One name for one request: in :authority, in Host, or the same in both.
Fault FieldBlock::judge_authority() {
  const bool named = (seen_ & kAuthority) != 0;
  const bool hosted = (seen_ & kHost) != 0;
  if (!named && !hosted) return Fault::bad_host;
  if (!named) {
    head_.authority.swap(host_);
  } else if (hosted && !equal_ignoring_case(head_.authority, host_)) {
    return Fault::bad_host;
  }
  if (!h1::is_host(head_.authority)) return Fault::bad_host;
  for (char& c : head_.authority) c = lower(c);
  return Fault::none;
}

Fault FieldBlock::take_request(RequestHead& out) {
  if (fault_ == Fault::none) fault_ = judge_target();
  if (fault_ == Fault::none) fault_ = judge_authority();
  if (fault_ == Fault::none && !cookies_.empty() && !head_.headers.add("cookie", cookies_)) {
    fault_ = Fault::bad_field_value;
  }
  if (fault_ != Fault::none) return fault_;
  head_.version = Version::http2;
  std::swap(out, head_);
  return Fault::none;
}

Fault FieldBlock::take_response(ResponseHead& out) {
  if (fault_ == Fault::none && (seen_ & kStatus) == 0) fault_ = Fault::bad_status_line;
  if (fault_ != Fault::none) return fault_;
  out.status = status_;
  std::swap(out.headers, head_.headers);
  return Fault::none;
}

Fault FieldBlock::take_trailers(Headers& out) {
  if (fault_ != Fault::none) return fault_;
  head_.headers.filter(
      [](std::string_view name, std::string_view) { return !h1::is_forbidden_trailer(name); });
  std::swap(out, head_.headers);
  return Fault::none;
}

// ---- sending
// ---------------------------------------------------------------------------------------

void FieldList::add(std::string_view name, std::string_view value) {
  if (list_.capacity() == 0) list_.reserve(24);
  nghttp2_nv nv;
  // The library's type has no const; it only reads.
  nv.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  nv.namelen = name.size();
  nv.value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  nv.valuelen = value.size();
  nv.flags = is_never_indexed(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
  list_.push_back(nv);
}

void FieldList::add_all(const Headers& headers) {
  for (const Field f : headers) {
    if (!is_connection_field(f.name)) add(f.name, f.value);
  }
}

void FieldList::add_status(int status) {
  const auto end = std::to_chars(status_.data(), status_.data() + status_.size(), status).ptr;
  add(":status", {status_.data(), static_cast<std::size_t>(end - status_.data())});
}

void FieldList::add_length(std::uint64_t length) {
  const auto end = std::to_chars(length_.data(), length_.data() + length_.size(), length).ptr;
  add("content-length", {length_.data(), static_cast<std::size_t>(end - length_.data())});
}

void list_response(FieldList& out, const ResponseHead& head, std::optional<std::uint64_t> length,
                   std::string_view date) {
  out.clear();
  out.add_status(head.status);
  if (!date.empty() && !head.headers.has("date")) out.add("date", date);
  for (const Field f : head.headers) {
    if (!is_connection_field(f.name) && !equals_lower(f.name, "te")) out.add(f.name, f.value);
  }
  if (length) out.add_length(*length);
}

void list_request(FieldList& out, const RequestHead& head, std::string_view authority,
                  std::optional<std::uint64_t> length) {
  out.clear();
  out.add(":method", head.method);
  out.add(":scheme", head.scheme);
  out.add(":authority", authority);
  out.add(":path", head.target);
  for (const Field f : head.headers) {
    if (is_connection_field(f.name)) continue;
    // RFC 9113 section 8.2.2: of what TE can say only this may be said.
    if (equals_lower(f.name, "te") && !equals_lower(f.value, "trailers")) continue;
    out.add(f.name, f.value);
  }
  const bool expects_none = head.method == "GET" || head.method == "HEAD" ||
                            head.method == "DELETE" || head.method == "OPTIONS" ||
                            head.method == "TRACE" || head.method == "CONNECT";
  if (length && (*length > 0 || !expects_none)) out.add_length(*length);
}

void list_trailers(FieldList& out, const Headers& trailers) {
  out.clear();
  for (const Field f : trailers) {
    if (!h1::is_forbidden_trailer(f.name)) out.add(f.name, f.value);
  }
}

}  // namespace octroi::http::h2
