// octroi/vault/key_check.h: whether a real key opens what it should, before calls are made with it:
// a harmless question that each pack names, asked over the broker's own connections.
//
// Errors   KeyCheckErrc; messages name the vendor and what to do, and repeat nothing of what it
//          answered.
// Thread   a KeyCheck is const and pure; check_key() runs on the loop of its clients.
// Source   issue 6, "Secrets": A/B rotation with verification before the switch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/secret.h"
#include "octroi/http/message.h"
#include "octroi/task/task.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/settings.h"

namespace octroi::vault {

enum class KeyCheckErrc : std::uint8_t {
  no_question,  // nobody named one
  refused,      // the vendor does not take this key
  unreachable,  // no answer, or one that says nothing about the key
};
ErrorInfo error_info(KeyCheckErrc e);

/// What an answer says about the key that was shown.
struct KeyFinding {
  enum class Is : std::uint8_t { good, bad, unclear } is = Is::unclear;
  std::string account;       // whose it is; empty: the vendor does not say
  std::optional<bool> live;  // empty: the vendor does not say
  std::string note;          // of an unclear one, for people: what to change
};

class KeyCheck {
 public:
  virtual ~KeyCheck() = default;
  /// Nothing: that a token is given for the key says all there is to know, or there is none.
  [[nodiscard]] virtual std::optional<Question> question(const Secret& real) const = 0;
  [[nodiscard]] virtual KeyFinding read(int status, const http::Headers& headers,
                                        std::string_view body) const;
  /// Asked when the answer to the first question does not say whose the key is. Keys that may not
  /// ask it are good nevertheless.
  [[nodiscard]] virtual std::optional<Question> whose() const { return std::nullopt; }
  /// What the credential itself names.
  [[nodiscard]] virtual std::string account_in(const Secret& real) const;
  /// Whether the answer to an agent's call says that the key is not taken any more.
  [[nodiscard]] virtual bool refuses(int status, std::string_view body) const;
};

/// Of the vendor's pack, or what `verify` of its configuration says instead; null: there is none.
[[nodiscard]] std::unique_ptr<KeyCheck> make_key_check(const VendorSettings& vendor);

/// Asks the vendor with the key that `vendor` has (snapshot.h: vendor_with). What is found is good.
Task<Result<KeyFinding>> check_key(VendorClients* clients, const Vendor* vendor);

// --- those of the packs, each in its folder ---
[[nodiscard]] std::unique_ptr<KeyCheck> make_stripe_key_check();
[[nodiscard]] std::unique_ptr<KeyCheck> make_twilio_key_check();
[[nodiscard]] std::unique_ptr<KeyCheck> make_resend_key_check();
/// Of a vendor that lists models, and names the account in this header.
[[nodiscard]] std::unique_ptr<KeyCheck> make_model_key_check(std::string account_header);
/// `host`: of the API, which says the region.
[[nodiscard]] std::unique_ptr<KeyCheck> make_aws_key_check(std::string_view host);
[[nodiscard]] std::unique_ptr<KeyCheck> make_mcp_key_check(std::string endpoint);

}  // namespace octroi::vault
