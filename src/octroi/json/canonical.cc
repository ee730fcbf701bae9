#include "octroi/json/canonical.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "octroi/json/writer.h"

namespace octroi::json {

// RFC 8785 section 3.2.3. In UTF-16 a character above U+FFFF starts with a surrogate
// (0xD800–0xDFFF), which sorts below U+E000–U+FFFF, while its UTF-8 lead byte (0xF0–0xF4) sorts
// above theirs (0xEE, 0xEF). Everywhere else the two orders agree, so only that pair of lead bytes
// needs care. rule: MPP-4
bool canonical_less(std::string_view a, std::string_view b) noexcept {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  const auto p = static_cast<unsigned char>(*x);
  const auto q = static_cast<unsigned char>(*y);
  const bool supplementary_p = p >= 0xF0;
  const bool supplementary_q = q >= 0xF0;
  if (supplementary_p == supplementary_q) return p < q;
  // One starts a supplementary character; the other is below it unless it is 0xEE or 0xEF.
  return supplementary_p ? q >= 0xEE : p < 0xEE;
}

// RFC 8785 section 3.2.2.3, ECMA-262 Number::toString. The digits are the shortest that round-trip;
// where several are shortest, the nearest: to_chars promises both. rule: MPP-6
void append_number(std::string& out, double number) {
  if (number == 0) {
    out += '0';
    return;
  }
  if (number < 0) out += '-';
  std::array<char, 32> scientific;  // "d.ddde±xx"
  const char* const end = std::to_chars(scientific.data(), scientific.data() + scientific.size(),
                                        std::abs(number), std::chars_format::scientific)
                              .ptr;
  const char* const e = std::find(static_cast<const char*>(scientific.data()), end, 'e');
  std::string digits(1, scientific[0]);
  if (const char* const fraction = scientific.data() + 2; e > fraction) digits.append(fraction, e);
  int exponent = 0;
  std::from_chars(e[1] == '+' ? e + 2 : e + 1, end, exponent);

  const auto count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the decimal point
  if (point > 21 || point < -5) {
    out += digits[0];
    if (count > 1) (out += '.').append(digits, 1);
    out += exponent < 0 ? "e-" : "e+";
    out += std::to_string(std::abs(exponent));
  } else if (point <= 0) {
    (out += "0.").append(static_cast<std::size_t>(-point), '0') += digits;
  } else if (count <= point) {
    (out += digits).append(static_cast<std::size_t>(point - count), '0');
  } else {
    out.append(digits, 0, static_cast<std::size_t>(point)) += '.';
    out.append(digits, static_cast<std::size_t>(point));
  }
}

namespace {

void append_object(std::string& out, const Value& object) {
  std::vector<Member> members;
  members.reserve(object.size());
  for (const Member member : object.members()) members.push_back(member);
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return canonical_less(a.key, b.key); });
  out += '{';
  bool first = true;
  for (const Member& member : members) {
    if (!std::exchange(first, false)) out += ',';
    append_quoted(out, member.key);
    out += ':';
    append_canonical(out, member.value);
  }
  out += '}';
}

}  // namespace

void append_canonical(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::null:
      out += "null";
      return;
    case Kind::boolean:
      out += *value.as_bool() ? "true" : "false";
      return;
    case Kind::integer:
    case Kind::big_integer:
    case Kind::real:
      append_number(out, *value.as_double());
      return;
    case Kind::string:
      append_quoted(out, *value.as_string());
      return;
    case Kind::array: {
      out += '[';
      bool first = true;
      for (const Value element : value.elements()) {
        if (!std::exchange(first, false)) out += ',';
        append_canonical(out, element);
      }
      out += ']';
      return;
    }
    case Kind::object:
      append_object(out, value);
      return;
  }
}

std::string canonicalize(const Value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

Result<std::string> canonicalize(std::string_view json_text, const ParseLimits& limits) {
  OCTROI_TRY(const Document document, parse(json_text, limits));
  return canonicalize(document.root());
}

}  // namespace octroi::json
