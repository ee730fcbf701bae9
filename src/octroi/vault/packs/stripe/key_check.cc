// The balance says whether a key is of the live account, the account whose it is; restricted keys
// may be allowed to read one and not the other.
#include "octroi/vault/key_check.h"

namespace octroi::vault {

namespace {

class StripeKeyCheck final : public KeyCheck {
 public:
  std::optional<Question> question(const Secret& /*real*/) const override {
    return Question{.target = "/v1/balance"};
  }
  std::optional<Question> whose() const override { return Question{.target = "/v1/account"}; }
  KeyFinding read(int status, const http::Headers& headers, std::string_view body) const override {
    KeyFinding out = KeyCheck::read(status, headers, body);
    if (out.is != KeyFinding::Is::good) return out;
    const auto doc = json::parse(body);
    if (!doc) return out;
    if (doc->root().string("object").value_or("") == "account")
      out.account = std::string(doc->root().string("id").value_or(""));
    if (const auto live = doc->root().boolean("livemode")) out.live = *live;
    return out;
  }
};

}  // namespace

std::unique_ptr<KeyCheck> make_stripe_key_check() { return std::make_unique<StripeKeyCheck>(); }

}  // namespace octroi::vault
