// octroi/vault/packs/resend/questions.h: what octroi asks Resend itself: the list of mails that
// were sent. Resend keeps nothing of ours with a mail, so one is found again by who sent it, whom
// it went to and its subject. The mails of a batch are found one by one; one whose subject a
// template writes is found by the other two, after all that are known by their subjects.
// Thread: pure.
#pragma once

#include "octroi/vault/questions.h"

namespace octroi::vault::resend {

class Questions final : public VendorQuestions {
 public:
  [[nodiscard]] std::string match(const Operation& operation, const Input& input) const override;
  [[nodiscard]] std::vector<VendorList> lists(UnixMillis from, UnixMillis to) const override;
  /// Refuses an item whose time or addresses cannot be read: what is not understood must not look
  /// as if it were not there.
  [[nodiscard]] Result<VendorPage> read_list(std::string_view target,
                                             const json::Value& answer) const override;
  [[nodiscard]] std::string object(std::string_view operation, std::string_view id) const override;
  [[nodiscard]] Result<VendorItem> read_object(const json::Value& answer) const override;
};

/// "2023-04-03T22:13:42.674981+00:00", also with a blank for the T and without the minutes of the
/// offset.
[[nodiscard]] std::optional<UnixMillis> time_of(std::string_view text);

}  // namespace octroi::vault::resend
