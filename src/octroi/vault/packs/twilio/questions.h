// octroi/vault/packs/twilio/questions.h: what octroi asks Twilio itself. Twilio keeps nothing of
// ours with a message or a call, so they are found again by whom they went to and what they said.
// Prices come minutes after an answer; one that is not there yet is asked for again.
// Thread: pure.
#pragma once

#include "octroi/vault/questions.h"

namespace octroi::vault::twilio {

class Questions final : public VendorQuestions {
 public:
  [[nodiscard]] std::string match(const Operation& operation, const Input& input) const override;
  [[nodiscard]] std::vector<VendorList> lists(UnixMillis from, UnixMillis to) const override;
  [[nodiscard]] Result<VendorPage> read_list(std::string_view target,
                                             const json::Value& answer) const override;
  [[nodiscard]] std::string object(std::string_view operation, std::string_view id) const override;
  [[nodiscard]] Result<VendorItem> read_object(const json::Value& answer) const override;
};

/// "-0.00750": what was taken from the balance, in dollars; rounded up.
[[nodiscard]] Result<MicroUsd> price_of(std::string_view text);
/// "Thu, 24 Aug 2023 05:01:45 +0000", always UTC.
[[nodiscard]] std::optional<UnixMillis> time_of(std::string_view text);

}  // namespace octroi::vault::twilio
