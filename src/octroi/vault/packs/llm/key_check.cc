// The list of models costs nothing; whose key it was asked with stands in a header.
#include "octroi/vault/key_check.h"

#include <utility>

namespace octroi::vault {

namespace {

class ModelKeyCheck final : public KeyCheck {
 public:
  explicit ModelKeyCheck(std::string account_header) : header_(std::move(account_header)) {}
  std::optional<Question> question(const Secret& /*real*/) const override {
    return Question{.target = "/v1/models"};
  }
  KeyFinding read(int status, const http::Headers& headers, std::string_view body) const override {
    KeyFinding out = KeyCheck::read(status, headers, body);
    if (out.is == KeyFinding::Is::good)
      out.account = std::string(headers.get(header_).value_or(""));
    return out;
  }

 private:
  std::string header_;
};

}  // namespace

std::unique_ptr<KeyCheck> make_model_key_check(std::string account_header) {
  return std::make_unique<ModelKeyCheck>(std::move(account_header));
}

}  // namespace octroi::vault
