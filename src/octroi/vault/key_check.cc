#include "octroi/vault/key_check.h"

#include <utility>

#include <fmt/format.h>

#include "octroi/vault/clients.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

ErrorInfo error_info(KeyCheckErrc e) {
  switch (e) {
    case KeyCheckErrc::no_question:
      return {"vault.no-key-check", ErrorKind::invalid};
    case KeyCheckErrc::refused:
      return {"vault.key-refused", ErrorKind::conflict};
    case KeyCheckErrc::unreachable:
      return {"vault.key-not-checked", ErrorKind::unavailable};
  }
  return {"vault.unknown", ErrorKind::internal};
}

KeyFinding KeyCheck::read(int status, const http::Headers& headers, std::string_view body) const {
  std::ignore = headers;
  KeyFinding out;
  if (status >= 200 && status < 300) out.is = KeyFinding::Is::good;
  if (refuses(status, body)) out.is = KeyFinding::Is::bad;
  if (status == 403) out.note = "let the key read that, set verify to what it may read";
  return out;
}
std::string KeyCheck::account_in(const Secret& /*real*/) const { return {}; }
bool KeyCheck::refuses(int status, std::string_view /*body*/) const { return status == 401; }

namespace {

constexpr AskLimits kLimits{1U << 20, Millis(15'000)};

/// What the configuration says; the rest is as the pack knows it.
class DeclaredKeyCheck final : public KeyCheck {
 public:
  DeclaredKeyCheck(const VerifySettings& verify, std::unique_ptr<KeyCheck> pack)
      : pack_(std::move(pack)) {
    question_.method = verify.method;
    question_.target = verify.path;
    question_.accept = "*/*";
  }
  std::optional<Question> question(const Secret& /*real*/) const override { return question_; }
  std::optional<Question> whose() const override {
    return pack_ != nullptr ? pack_->whose() : std::nullopt;
  }
  KeyFinding read(int status, const http::Headers& headers, std::string_view body) const override {
    return pack_ != nullptr ? pack_->read(status, headers, body)
                            : KeyCheck::read(status, headers, body);
  }
  std::string account_in(const Secret& real) const override {
    return pack_ != nullptr ? pack_->account_in(real) : std::string();
  }
  bool refuses(int status, std::string_view body) const override {
    return pack_ != nullptr ? pack_->refuses(status, body) : KeyCheck::refuses(status, body);
  }

 private:
  Question question_;
  std::unique_ptr<KeyCheck> pack_;
};

/// For vendors who give a token for the key, or refuse it.
class TokenKeyCheck final : public KeyCheck {
 public:
  std::optional<Question> question(const Secret& /*real*/) const override { return std::nullopt; }
};

std::unique_ptr<KeyCheck> of_pack(const VendorSettings& vendor) {
  if (vendor.pack == "stripe") return make_stripe_key_check();
  if (vendor.pack == "twilio") return make_twilio_key_check();
  if (vendor.pack == "resend") return make_resend_key_check();
  if (vendor.pack == "openai") return make_model_key_check("openai-organization");
  if (vendor.pack == "anthropic") return make_model_key_check("anthropic-organization-id");
  if (vendor.pack == "aws") return make_aws_key_check(vendor.host);
  if (vendor.pack == "mcp") return make_mcp_key_check(vendor.endpoint);
  if (vendor.oauth) return std::make_unique<TokenKeyCheck>();
  return nullptr;
}

/// The first answer, or why there is none that helps.
Task<Result<KeyFinding>> look(VendorClients* clients, const Vendor* vendor, Question question) {
  const std::string& name = vendor->settings.name;
  const auto got = co_await ask_plainly(clients, vendor, question, kLimits);
  if (!got && got.error().is(Errc::token_refused))
    co_return fail(KeyCheckErrc::refused, std::string(got.error().message()));
  if (!got) co_return fail(KeyCheckErrc::unreachable, std::string(got.error().message()));
  KeyFinding found = vendor->key_check->read(got->status, got->headers, got->body);
  const std::string asked =
      question.method + " " + question.target.substr(0, question.target.find('?'));
  switch (found.is) {
    case KeyFinding::Is::good:
      break;
    case KeyFinding::Is::bad:
      co_return fail(KeyCheckErrc::refused,
                     fmt::format("{} does not take this key: {} to {}", name, got->status, asked));
    case KeyFinding::Is::unclear:
      co_return fail(KeyCheckErrc::unreachable,
                     fmt::format("{} answered {} to {}, which does not say whether it takes the "
                                 "key; {}, or try again",
                                 name, got->status, asked,
                                 found.note.empty() ? "see that it works" : found.note));
  }
  co_return found;
}

}  // namespace

std::unique_ptr<KeyCheck> make_key_check(const VendorSettings& vendor) {
  auto pack = of_pack(vendor);
  if (!vendor.verify) return pack;
  return std::make_unique<DeclaredKeyCheck>(*vendor.verify, std::move(pack));
}

Task<Result<KeyFinding>> check_key(VendorClients* clients, const Vendor* vendor) {
  const std::string& name = vendor->settings.name;
  if (vendor->key_check == nullptr) {
    co_return fail(KeyCheckErrc::no_question,
                   fmt::format("octroi knows no harmless question to {}: set vault.vendors.{}."
                               "verify.path, or leave the check out",
                               name, name));
  }
  const KeyCheck& check = *vendor->key_check;
  KeyFinding out;
  if (auto question = check.question(*vendor->real)) {
    OCTROI_CO_TRY(out, co_await look(clients, vendor, std::move(*question)));
  } else {
    const auto token =
        co_await token_for(clients, vendor, &clients->clock(), &clients->randomness());
    if (!token && token.error().is(Errc::token_refused))
      co_return fail(KeyCheckErrc::refused, std::string(token.error().message()));
    if (!token) co_return fail(KeyCheckErrc::unreachable, std::string(token.error().message()));
    out.is = KeyFinding::Is::good;
  }
  if (out.account.empty()) out.account = check.account_in(*vendor->real);
  if (!out.account.empty()) co_return out;
  if (auto whose = check.whose()) {
    const auto more = co_await ask_plainly(clients, vendor, std::move(*whose), kLimits);
    if (more) {
      KeyFinding second = check.read(more->status, more->headers, more->body);
      if (second.is == KeyFinding::Is::good) out.account = std::move(second.account);
    }
  }
  co_return out;
}

}  // namespace octroi::vault
