// octroi/vault/packs/stripe/questions.h: what octroi asks Stripe itself. A call bears its
// reservation in `metadata[octroi_call]`, which Stripe keeps with what is made, shows in its lists,
// and does nothing with.
// Thread: pure.
#pragma once

#include "octroi/vault/questions.h"

namespace octroi::vault::stripe {

inline constexpr std::string_view kMark = "metadata[octroi_call]";

class Questions final : public VendorQuestions {
 public:
  [[nodiscard]] std::string subject(const Operation& operation, const Input& input) const override;
  [[nodiscard]] Result<> learn(const Operation& operation, const Input& input,
                               const json::Value& object, policy::Call& call) const override;
  void mark(const Operation& operation, Input& input, std::string_view reservation) const override;
  [[nodiscard]] bool marks(std::string_view operation) const override;
  [[nodiscard]] bool counts_whole(std::string_view operation) const override;
  [[nodiscard]] std::vector<VendorList> lists(UnixMillis from, UnixMillis to) const override;
  [[nodiscard]] Result<VendorPage> read_list(std::string_view target,
                                             const json::Value& answer) const override;
  [[nodiscard]] std::string object(std::string_view operation, std::string_view id) const override;
  [[nodiscard]] Result<VendorItem> read_object(const json::Value& answer) const override;
};

}  // namespace octroi::vault::stripe
