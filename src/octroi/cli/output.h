// octroi/cli/output.h: JSON objects and aligned tables on stdout, without a library in sight.
// Thread: pure; append-only values.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace octroi::cli {

[[nodiscard]] std::string json_quote(std::string_view text);

/// {"a":1,"b":"x"} in the order of the calls.
class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) {
    return raw(key, json_quote(value));
  }
  template <std::integral T>
  JsonObject& number(std::string_view key, T value) {
    return raw(key, std::to_string(value));
  }
  JsonObject& boolean(std::string_view key, bool value) {
    return raw(key, value ? "true" : "false");
  }
  JsonObject& null(std::string_view key) { return raw(key, "null"); }
  /// `json` is JSON text already.
  JsonObject& raw(std::string_view key, std::string_view json);
  [[nodiscard]] std::string str() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

/// [a,b] of JSON texts.
[[nodiscard]] std::string json_array(const std::vector<std::string>& items);

/// Text of agents, for a terminal: nothing in it may move the cursor, or turn the direction of
/// writing; what could is a question mark.
[[nodiscard]] std::string without_controls(std::string_view text);

/// Columns padded to their widest cell; no trailing blanks.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace octroi::cli
