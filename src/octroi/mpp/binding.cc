#include "octroi/mpp/binding.h"

#include <array>
#include <vector>

#include <fmt/core.h>

#include "octroi/base/secret.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

// Changing it makes every outstanding challenge unverifiable.
constexpr std::string_view kLabel = "octroi/binding/1";

void update_field(crypto::HmacSha256& mac, std::string_view field) {
  const auto n = static_cast<std::uint64_t>(field.size());
  std::array<std::uint8_t, 8> length;
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<std::uint8_t>(n >> (56 - 8 * i));
  mac.update(length).update(as_bytes(field));
}

}  // namespace

crypto::HmacSha256Key derive_binding_key(const crypto::HmacSha256Key& ring_key,
                                         const BindingFields& fields) {
  crypto::HmacSha256 mac(ring_key);
  update_field(mac, kLabel);
  update_field(mac, fields.scheme);
  update_field(mac, fields.service);
  // An answer to HEAD is that to GET without its body: what pays for one pays for the other.
  update_field(mac, fields.method == "HEAD" ? "GET" : fields.method);
  update_field(mac, fields.scope);
  crypto::Sha256Digest raw = mac.finish();
  crypto::HmacSha256Key key{ByteView(raw)};
  secure_wipe(raw.data(), raw.size());
  return key;
}

std::string bound_challenge_id(const KeyRing& ring, const BindingFields& fields,
                               const IdSlots& slots) {
  return challenge_id(derive_binding_key(ring.current(), fields), slots);
}

// rule: MPP-23
std::optional<std::size_t> verify_bound_id(const KeyRing& ring, const BindingFields& fields,
                                           const IdSlots& slots, std::string_view id) {
  for (std::size_t version = 0; version < ring.size(); ++version) {
    if (is_challenge_id(derive_binding_key(ring.at(version), fields), slots, id)) return version;
  }
  return std::nullopt;
}

namespace {

tl::unexpected<Error> bad_path(std::string_view why) {
  return fail(Errc::bad_path, fmt::format("path: {}", why));
}

int hex_digit(char c) {
  if (detail::is_digit(c)) return c - '0';
  const char lower = detail::to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

struct Segment {
  std::string text;
  bool after_escaped_slash = false;   // it begins behind a "%2F"
  bool before_escaped_slash = false;  // it ends before one
};

/// Cuts at "/" and "%2F" and decodes what is between.
Result<std::vector<Segment>> split_segments(std::string_view path) {
  std::vector<Segment> out;
  Segment current;
  for (std::size_t i = 1; i < path.size(); ++i) {
    char c = path[i];
    const bool escaped = c == '%';
    if (escaped) {
      const int high = i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
      const int low = i + 2 < path.size() ? hex_digit(path[i + 2]) : -1;
      if (high < 0 || low < 0) return bad_path("'%' must be followed by two hex digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '?' || c == '#') {
      return bad_path("contains a query or fragment");
    }
    if (detail::is_control(c)) return bad_path("may not contain control characters");
    if (c == '\\') return bad_path("a backslash is a slash to some servers");
    if (c == '/') {
      current.before_escaped_slash = escaped;
      out.push_back(std::move(current));
      current = Segment{.text = {}, .after_escaped_slash = escaped};
    } else {
      current.text += c;
    }
  }
  out.push_back(std::move(current));
  return out;
}

bool is_dot_or_empty(std::string_view segment) {
  return segment.empty() || segment == "." || segment == "..";
}

/// Most paths are what they normalise to: nothing escaped, no parameters, no segment that is empty
/// or begins with a dot, nothing to be refused. False only means that it must be looked at closer.
bool is_plainly_normal(std::string_view path) {
  char before = '/';
  for (const char c : path.substr(1)) {
    if (c == '%' || c == ';' || c == '\\' || c == '?' || c == '#' || detail::is_control(c)) {
      return false;
    }
    if (before == '/' && (c == '/' || c == '.')) return false;
    before = c;
  }
  return true;
}

}  // namespace

// RFC 3986 section 6.2.2, and stricter where programs disagree about what a path names. rule:
// MPP-24
Result<std::string> normalise_path(std::string_view raw_path) {
  if (raw_path.empty() || raw_path.front() != '/') return bad_path("must start with '/'");
  if (is_plainly_normal(raw_path)) return std::string(raw_path);
  // "%" needs two more characters: `i + 2 < size` above is exact because i counts from the first.
  OCTROI_TRY(const std::vector<Segment> segments, split_segments(raw_path));
  std::vector<std::string_view> kept;
  bool directory = false;  // whether the path ends in "/"
  for (const Segment& segment : segments) {
    const bool beside_escaped_slash = segment.after_escaped_slash || segment.before_escaped_slash;
    if (beside_escaped_slash && is_dot_or_empty(segment.text)) {
      return bad_path("'%2F' beside an empty or dot segment can be read in two ways");
    }
    // Some servers cut ";parameters" off before they resolve dots: "..;x" is ".." to them.
    if (const auto cut = segment.text.find(';');
        cut != std::string_view::npos && is_dot_or_empty(segment.text.substr(0, cut))) {
      return bad_path("a dot or empty segment with parameters can be read in two ways");
    }
    directory = is_dot_or_empty(segment.text);
    if (segment.text == "..") {
      if (kept.empty()) return bad_path("'..' leads above the root");
      kept.pop_back();
    } else if (!directory) {
      kept.push_back(segment.text);
    }
  }
  std::string out;
  out.reserve(raw_path.size());
  for (const std::string_view segment : kept) (out += '/') += segment;
  if (directory || kept.empty()) out += '/';
  return out;
}

}  // namespace octroi::mpp
