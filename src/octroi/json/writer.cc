#include "octroi/json/writer.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "octroi/base/scan.h"
namespace octroi::json {

namespace {

/// Size of the well-formed UTF-8 sequence at the start of `s`, 0 when there is none.
/// The table is Unicode's: no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t utf8_sequence(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto within = [&](std::size_t i, unsigned low, unsigned high) {
    return i < s.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return within(1, 0x80, 0xBF) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return within(1, low, high) && within(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const unsigned low = first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
  return within(1, low, high) && within(2, 0x80, 0xBF) && within(3, 0x80, 0xBF) ? 4 : 0;
}

void append_control(std::string& out, unsigned char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  switch (c) {
    case '\b':
      out += "\\b";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\u00";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
  }
}

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "json::Writer: %s\n", what);
  std::abort();
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const std::size_t n = utf8_sequence(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
}

// RFC 8785 section 3.2.2.2: the shortest escape where one is needed. rule: MPP-5
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t plain = plain_prefix(text.substr(i)); plain != 0) {
      out.append(text, i, plain);
      i += plain;
      continue;
    }
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i++];
    } else if (c < 0x20) {
      append_control(out, c);
      ++i;
    } else if (c < 0x80) {
      out += text[i++];
    } else if (const std::size_t n = utf8_sequence(text.substr(i)); n != 0) {
      out += text.substr(i, n);
      i += n;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  out += '"';
}

void Writer::before_value() {
  if (stack_.empty()) {
    if (!out_.empty()) misuse("two values at the top");
    return;
  }
  switch (stack_.back()) {
    case State::array_first:
      stack_.back() = State::array_next;
      return;
    case State::array_next:
      out_ += ',';
      return;
    case State::member:
      stack_.back() = State::object_next;
      return;
    case State::object_first:
    case State::object_next:
      misuse("a member without a key");
  }
}

void Writer::end(char bracket, State first, State next) {
  if (stack_.empty() || (stack_.back() != first && stack_.back() != next))
    misuse("an end without its beginning");
  stack_.pop_back();
  out_ += bracket;
}

Writer& Writer::begin_object() {
  before_value();
  out_ += '{';
  stack_.push_back(State::object_first);
  return *this;
}

Writer& Writer::end_object() {
  end('}', State::object_first, State::object_next);
  return *this;
}

Writer& Writer::begin_array() {
  before_value();
  out_ += '[';
  stack_.push_back(State::array_first);
  return *this;
}

Writer& Writer::end_array() {
  end(']', State::array_first, State::array_next);
  return *this;
}

Writer& Writer::key(std::string_view name) {
  if (stack_.empty() ||
      (stack_.back() != State::object_first && stack_.back() != State::object_next)) {
    misuse("a key outside an object");
  }
  if (stack_.back() == State::object_next) out_ += ',';
  stack_.back() = State::member;
  append_quoted(out_, name);
  out_ += ':';
  return *this;
}

Writer& Writer::string(std::string_view text) {
  before_value();
  append_quoted(out_, text);
  return *this;
}

Writer& Writer::integer(std::int64_t n) {
  before_value();
  std::array<char, 24> digits;
  out_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr);
  return *this;
}

Writer& Writer::unsigned_integer(std::uint64_t n) {
  before_value();
  std::array<char, 24> digits;
  out_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr);
  return *this;
}

Writer& Writer::boolean(bool b) { return raw(b ? "true" : "false"); }
Writer& Writer::null() { return raw("null"); }

Writer& Writer::raw(std::string_view json_text) {
  before_value();
  out_ += json_text;
  return *this;
}

std::string Writer::take() && {
  if (!stack_.empty() || out_.empty()) misuse("taken before it was finished");
  return std::move(out_);
}

}  // namespace octroi::json
