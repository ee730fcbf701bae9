#include "octroi/base/trace.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "octroi/base/bytes.h"

namespace octroi {

namespace {

constexpr std::size_t kParentSize = 55;  // 00-<32>-<16>-<2>
constexpr std::size_t kLongestState = 512;
constexpr std::size_t kMostMembers = 32;
constexpr std::uint8_t kSampled = 1;
constexpr std::uint8_t kKnownFlags = 3;  // sampled, and that the trace id is random

/// Lower case only: the specification allows no other.
int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

template <std::size_t N>
bool all_zero(const std::array<std::uint8_t, N>& id) noexcept {
  return std::all_of(id.begin(), id.end(), [](std::uint8_t b) { return b == 0; });
}

bool is_lower_or_digit(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// A name of at most `most` characters that begins with one of [a-z] (or a digit, in a tenant).
bool is_key_part(std::string_view part, std::size_t most, bool digit_first) noexcept {
  if (part.empty() || part.size() > most) return false;
  if (!is_lower_or_digit(part.front()) || (!digit_first && part.front() <= '9')) return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return is_lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/';
  });
}

bool is_state_key(std::string_view key) noexcept {
  const std::size_t at = key.find('@');
  if (at == std::string_view::npos) return is_key_part(key, 256, false);
  return is_key_part(key.substr(0, at), 241, true) && is_key_part(key.substr(at + 1), 14, false);
}

bool is_state_value(std::string_view value) noexcept {
  if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now() /* words: Clock has milliseconds */
                 .time_since_epoch())
      .count();
}
std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Bytes for ids, of the calling thread: asking the kernel for each would cost a call a span.
void draw(Random& random, std::span<std::uint8_t> out) {
  struct Stock {
    std::array<std::uint8_t, 2048> bytes{};
    std::size_t left = 0;
  };
  thread_local Stock stock;
  if (stock.left < out.size()) {
    random.fill(stock.bytes);
    stock.left = stock.bytes.size();
  }
  stock.left -= out.size();
  std::memcpy(out.data(), stock.bytes.data() + stock.left, out.size());
}

template <std::size_t N>
std::array<std::uint8_t, N> draw_id(Random& random) {
  std::array<std::uint8_t, N> id{};
  do {
    draw(random, id);
  } while (all_zero(id));
  return id;
}

bool is_drawn(Random& random, std::uint32_t share) {
  if (share >= Tracer::kAll) return true;
  if (share == 0) return false;
  std::array<std::uint8_t, 8> bytes{};
  draw(random, bytes);
  std::uint64_t n = 0;
  std::memcpy(&n, bytes.data(), bytes.size());
  return n % Tracer::kAll < share;
}

std::unique_ptr<Span> begin_span(SpanKind kind) {
  auto span = std::make_unique<Span>();
  span->kind = kind;
  span->start_ns = wall_ns();
  span->steady_start_ns = steady_ns();
  span->attributes.reserve(12);
  return span;
}

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view text) noexcept {
  if (text.size() < kParentSize) return std::nullopt;
  std::uint8_t version = 0;
  if (!read_hex(text.substr(0, 2), &version) || version == 0xff) return std::nullopt;
  if (text.size() > kParentSize && (version == 0 || text[kParentSize] != '-')) return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  TraceParent out;
  if (!read_hex(text.substr(3, 32), out.trace.data()) ||
      !read_hex(text.substr(36, 16), out.span.data()) || !read_hex(text.substr(53, 2), &out.flags))
    return std::nullopt;
  if (all_zero(out.trace) || all_zero(out.span)) return std::nullopt;
  return out;
}

std::string to_traceparent(const TraceParent& parent) {
  std::string out = "00-";
  out += to_hex(parent.trace);
  out += '-';
  out += to_hex(parent.span);
  out += '-';
  out += to_hex(ByteView(&parent.flags, 1));
  return out;
}

bool is_tracestate(std::string_view text) noexcept {
  if (text.size() > kLongestState) return false;
  std::array<std::string_view, kMostMembers> keys;
  std::size_t members = 0;
  while (!text.empty()) {
    const std::size_t end = text.find(',');
    const std::string_view member = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos || members == kMostMembers) return false;
    const std::string_view key = member.substr(0, equals);
    if (!is_state_key(key) || !is_state_value(member.substr(equals + 1))) return false;
    const auto known = keys.begin() + static_cast<std::ptrdiff_t>(members);
    if (std::find(keys.begin(), known, key) != known) return false;
    keys[members++] = key;
  }
  return members > 0;
}

void Span::set(std::string_view key, std::string_view text) {
  if (!text.empty()) attributes.push_back({key, std::string(text.substr(0, kLongestText))});
}

void Span::set_method(std::string_view method) {
  const std::string_view word = span_word(method);
  set("http.request.method", word == "HTTP" ? std::string_view("_OTHER") : word);
}

void Span::set_status(int status) {
  if (status == 0) return;
  set("http.response.status_code", status);
  if (status < (kind == SpanKind::server ? 500 : 400)) return;
  set_error(std::to_string(status));
}

void Span::set_error(std::string_view type) {
  if (failed) return;
  failed = true;
  set("error.type", type);
}

std::string_view span_word(std::string_view method) noexcept {
  static constexpr std::array<std::string_view, 9> kKnown = {
      "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"};
  const auto* found = std::find(kKnown.begin(), kKnown.end(), method);
  return found == kKnown.end() ? std::string_view("HTTP") : *found;
}

std::unique_ptr<Span> RequestTrace::child(SpanKind kind, std::string name) const {
  auto span = begin_span(kind);
  span->trace = server_->trace;
  span->parent = server_->id;
  span->flags = server_->flags;
  span->tracestate = server_->tracestate;
  span->name = std::move(name);
  span->id = draw_id<8>(system_random());
  return span;
}

std::string RequestTrace::traceparent(const Span& span) {
  return to_traceparent({span.trace, span.id, span.flags});
}

void RequestTrace::finish(std::unique_ptr<Span> span) {
  if (span == nullptr) return;
  span->end_ns = span->start_ns + std::max<std::int64_t>(steady_ns() - span->steady_start_ns, 0);
  sink_.take(std::move(span));
}

std::unique_ptr<RequestTrace> Tracer::begin(std::optional<std::string_view> traceparent,
                                            std::string_view tracestate) {
  std::optional<TraceParent> parent;
  if (traceparent) parent = parse_traceparent(*traceparent);
  if (parent ? !parent->sampled() : !is_drawn(random_, share_)) return nullptr;
  auto span = begin_span(SpanKind::server);
  span->id = draw_id<8>(random_);
  if (parent) {
    span->trace = parent->trace;
    span->parent = parent->span;
    span->parent_is_remote = true;
    span->flags = parent->flags & kKnownFlags;
    if (is_tracestate(tracestate)) span->tracestate = std::string(tracestate);
  } else {
    span->trace = draw_id<16>(random_);
    span->flags = kSampled;
  }
  return std::make_unique<RequestTrace>(sink_, std::move(span));
}

}  // namespace octroi
