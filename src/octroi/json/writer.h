// octroi/json/writer.h: produces compact JSON text, one call a value, no tree and no doubles.
//
//   json::Writer w;
//   w.begin_object().field("amount", "100").field("currency", "sat").end_object();
//   send(std::move(w).take());
//
// Strings are escaped as RFC 8785 wants them, so a writer whose keys are given in canonical order
// produces canonical text. Bytes that are not UTF-8 become U+FFFD: the text is always valid JSON.
// REQUIRES that calls nest properly (a key before each member, ends that match); a violation ends
// the process, because it is our bug and never the input's.
// Source  RFC 8259; RFC 8785 section 3.2.2.2.   Thread: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace octroi::json {

/// Appends `text` in quotes, with only the escapes that are needed.
void append_quoted(std::string& out, std::string_view text);
/// Whether all of it is well-formed UTF-8 (no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

class Writer {
 public:
  Writer() = default;

  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);

  Writer& string(std::string_view text);
  Writer& integer(std::int64_t n);
  Writer& unsigned_integer(std::uint64_t n);
  Writer& boolean(bool b);
  Writer& null();
  /// JSON text made elsewhere. REQUIRES that it is one valid value.
  Writer& raw(std::string_view json_text);

  // key and value together
  Writer& field(std::string_view name, std::string_view text) { return key(name).string(text); }
  Writer& field(std::string_view name, const std::string& text) { return key(name).string(text); }
  Writer& field(std::string_view name, const char* text) { return key(name).string(text); }
  Writer& field(std::string_view name, std::int64_t n) { return key(name).integer(n); }
  Writer& field(std::string_view name, int n) { return key(name).integer(n); }
  Writer& field(std::string_view name, std::uint64_t n) { return key(name).unsigned_integer(n); }
  Writer& field(std::string_view name, bool b) { return key(name).boolean(b); }
  /// Nothing when empty.
  Writer& field(std::string_view name, const std::optional<std::string>& text) {
    return text ? key(name).string(*text) : *this;
  }

  /// The text. REQUIRES that everything begun was ended.
  [[nodiscard]] std::string take() &&;

 private:
  enum class State : std::uint8_t { array_first, array_next, object_first, object_next, member };
  void before_value();
  void end(char bracket, State first, State next);

  std::string out_;
  std::vector<State> stack_;
};

}  // namespace octroi::json
