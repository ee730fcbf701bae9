// sts:GetCallerIdentity, which every key may call. AWS answers it at the token service of the
// region; what is no AWS (a mock, a gateway) is asked itself.
#include "octroi/vault/key_check.h"

#include <array>

namespace octroi::vault {

namespace {

constexpr std::string_view kElse = "us-east-1";

bool is_region(std::string_view label) {
  const std::size_t dash = label.rfind('-');
  if (dash == std::string_view::npos || dash < 4 || dash + 2 != label.size() || label[2] != '-')
    return false;
  return label.back() >= '1' && label.back() <= '9';
}

/// "eu-west-1" of "s3.eu-west-1.amazonaws.com"; empty: none stands there.
std::string_view region_in(std::string_view host) {
  while (!host.empty()) {
    const std::string_view label = host.substr(0, host.find('.'));
    if (is_region(label)) return label;
    host.remove_prefix(std::min(label.size() + 1, host.size()));
  }
  return {};
}

/// What stands between two texts; empty: it does not.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  const std::size_t end = text.find(after);
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

class AwsKeyCheck final : public KeyCheck {
 public:
  explicit AwsKeyCheck(std::string_view host) : region_(region_in(host)) {
    for (const std::string_view domain : {".amazonaws.com", ".amazonaws.com.cn"}) {
      if (!host.ends_with(domain)) continue;
      if (region_.empty()) region_ = kElse;
      host_ = "sts." + region_ + std::string(domain);
    }
    if (region_.empty()) region_ = kElse;
  }
  std::optional<Question> question(const Secret& /*real*/) const override {
    return Question{.target = "/?Action=GetCallerIdentity&Version=2011-06-15",
                    .host = host_,
                    .accept = "*/*",
                    .scope = {region_, "sts"}};
  }
  KeyFinding read(int status, const http::Headers& headers, std::string_view body) const override {
    KeyFinding out = KeyCheck::read(status, headers, body);
    if (out.is != KeyFinding::Is::good) return out;
    const std::string_view account = between(body, "<Account>", "</Account>");
    const bool digits = account.find_first_not_of("0123456789") == std::string_view::npos;
    if (account.size() == 12 && digits) out.account = std::string(account);
    return out;
  }
  /// AWS says so with 403, which also says that a key may not do something.
  bool refuses(int status, std::string_view body) const override {
    if (status != 401 && status != 403) return false;
    constexpr std::array<std::string_view, 5> kSaid = {
        "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
        "UnrecognizedClientException", "InvalidSignatureException"};
    for (const std::string_view code : kSaid) {
      if (body.find(code) != std::string_view::npos) return true;
    }
    return status == 401;
  }

 private:
  std::string region_, host_;
};

}  // namespace

std::unique_ptr<KeyCheck> make_aws_key_check(std::string_view host) {
  return std::make_unique<AwsKeyCheck>(host);
}

}  // namespace octroi::vault
