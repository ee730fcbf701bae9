// An account's token may read the account; keys of the API (SK…) may not, but read its messages.
#include "octroi/vault/key_check.h"

#include <algorithm>

namespace octroi::vault {

namespace {

class TwilioKeyCheck final : public KeyCheck {
 public:
  std::optional<Question> question(const Secret& real) const override {
    const std::string_view text = real.reveal_text();
    const std::string account = "/2010-04-01/Accounts/" + account_in(real);
    if (std::ranges::count(text, ':') > 1)
      return Question{.target = account + "/Messages.json?PageSize=1"};
    return Question{.target = account + ".json"};
  }
  std::string account_in(const Secret& real) const override {
    const std::string_view text = real.reveal_text();
    return std::string(text.substr(0, text.find(':')));
  }
};

}  // namespace

std::unique_ptr<KeyCheck> make_twilio_key_check() { return std::make_unique<TwilioKeyCheck>(); }

}  // namespace octroi::vault
