// octroi/vault/sign_template.h: texts with fields in braces, of which the configuration makes what
// a vendor wants signed and where the signature goes: "{timestamp}{method}{path}{body}",
// "t={timestamp},v1={signature}". A brace that is meant is written twice: "{{", "}}".
//
// Errors   what is wrong, as words that follow the name of the key.
// Thread   pure. Plain: config reads templates with it and links nothing of this module.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace octroi::vault {

/// What can be signed.
inline constexpr std::array<std::string_view, 13> kSignedFields = {
    "method", "path",  "query",     "target",           "host",      "content_type", "body",
    "key_id", "nonce", "timestamp", "body_hash_base64", "body_hash", "newline"};
/// What can be sent beside the request.
inline constexpr std::array<std::string_view, 6> kSentFields = {
    "signature", "timestamp", "nonce", "key_id", "body_hash", "body_hash_base64"};

class SignTemplate {
 public:
  struct Part {
    std::string text;
    bool field = false;  // the name of one
  };

  /// Nothing is wrong when `problem` stays empty.
  template <std::size_t N>
  [[nodiscard]] static SignTemplate parse(std::string_view text,
                                          const std::array<std::string_view, N>& known,
                                          std::string& problem) {
    SignTemplate out;
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const bool twice = i + 1 < text.size() && text[i + 1] == c;
      if ((c == '{' || c == '}') && twice) {
        plain += c;
        ++i;
        continue;
      }
      if (c == '}') {
        problem = "has a } without its {";
        return out;
      }
      if (c != '{') {
        plain += c;
        continue;
      }
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) {
        problem = "has a { without its }";
        return out;
      }
      const std::string_view name = text.substr(i + 1, end - i - 1);
      bool is_known = false;
      for (const std::string_view k : known) is_known = is_known || k == name;
      if (!is_known) {
        problem = "has a field {" + std::string(name) + "} that is not known here";
        return out;
      }
      if (!plain.empty()) out.parts_.push_back({std::exchange(plain, {}), false});
      out.parts_.push_back({std::string(name), true});
      i = end;
    }
    if (!plain.empty()) out.parts_.push_back({std::move(plain), false});
    return out;
  }

  [[nodiscard]] bool names(std::string_view field) const {
    for (const Part& p : parts_) {
      if (p.field && p.text == field) return true;
    }
    return false;
  }
  /// Whether it is this field and nothing else.
  [[nodiscard]] bool is_only(std::string_view field) const {
    return parts_.size() == 1 && names(field);
  }
  [[nodiscard]] bool has_fields() const {
    for (const Part& p : parts_) {
      if (p.field) return true;
    }
    return false;
  }
  /// `value` gives the text of a field.
  template <class Value>
  [[nodiscard]] std::string fill(Value value) const {
    std::string out;
    for (const Part& p : parts_) out += p.field ? std::string_view(value(p.text)) : p.text;
    return out;
  }

 private:
  std::vector<Part> parts_;
};

}  // namespace octroi::vault
