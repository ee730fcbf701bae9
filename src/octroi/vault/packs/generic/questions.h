// octroi/vault/packs/generic/questions.h: what octroi asks a vendor of whom only the configuration
// knows something: lists that it declares, and calls that bear a mark where it says.
// Thread: pure.
#pragma once

#include "octroi/vault/questions.h"

namespace octroi::vault::generic {

class Questions final : public VendorQuestions {
 public:
  explicit Questions(const VendorSettings& vendor)
      : operations_(vendor.operations), lists_(vendor.lists) {}
  void mark(const Operation& operation, Input& input, std::string_view reservation) const override;
  [[nodiscard]] bool marks(std::string_view operation) const override;
  [[nodiscard]] std::vector<VendorList> lists(UnixMillis from, UnixMillis to) const override;
  [[nodiscard]] Result<VendorPage> read_list(std::string_view target,
                                             const json::Value& answer) const override;

 private:
  [[nodiscard]] VendorItem item_of(const ListSettings& list, const json::Value& item) const;

  std::vector<OperationSettings> operations_;
  std::vector<ListSettings> lists_;
};

/// The same document with this text at a dotted path, made where it is not there; nothing when
/// something else than an object stands in the way.
[[nodiscard]] std::optional<std::string> with_text_at(const json::Value& root,
                                                      std::string_view path, std::string_view text);

}  // namespace octroi::vault::generic
