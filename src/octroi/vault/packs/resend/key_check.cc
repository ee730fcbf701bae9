// A key that may only send is told so, which no key that is none ever hears.
#include "octroi/vault/key_check.h"

namespace octroi::vault {

namespace {

class ResendKeyCheck final : public KeyCheck {
 public:
  std::optional<Question> question(const Secret& /*real*/) const override {
    return Question{.target = "/domains"};
  }
  bool refuses(int status, std::string_view body) const override {
    if (status == 403) return named(body) == "invalid_api_key";
    return status == 401 && named(body) != "restricted_api_key";
  }
  KeyFinding read(int status, const http::Headers& headers, std::string_view body) const override {
    KeyFinding out = KeyCheck::read(status, headers, body);
    if (status == 401 && out.is == KeyFinding::Is::unclear) out.is = KeyFinding::Is::good;
    return out;
  }

 private:
  static std::string named(std::string_view body) {
    const auto doc = json::parse(body);
    return doc ? std::string(doc->root().string("name").value_or("")) : std::string();
  }
};

}  // namespace

std::unique_ptr<KeyCheck> make_resend_key_check() { return std::make_unique<ResendKeyCheck>(); }

}  // namespace octroi::vault
