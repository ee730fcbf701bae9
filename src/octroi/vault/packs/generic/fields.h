// octroi/vault/packs/generic/fields.h: what stands in a request at the paths (field_path.h) that a
// configuration declares. What is no list is taken for its only element, as servers do that turn
// one value into a list (GraphQL October 2021, section 3.11).
//
// A name in another case than the path's ("Amount") is refused on the way: some servers read it as
// the same name.
//
// Errors   Errc::ambiguous, with the name.
// Thread   pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/vault/form.h"

namespace octroi::vault::generic {

/// "order.items[0].price" as forms write it: "order[items][0][price]".
[[nodiscard]] std::string as_form_name(std::string_view path);
/// Fields as the JSON that they stand for: order[items][0][price]=1 is {"order":{"items":[{…}]}},
/// and what is not written so is a name like another.
[[nodiscard]] Result<json::Document> tree_of(const Form& form);

struct Found {
  std::vector<json::Value> all;
  bool missing = false;  // somewhere on the way, or nothing stands there
  /// The only one's text; nothing where there is none.
  [[nodiscard]] std::optional<std::string> text() const;
};
[[nodiscard]] Result<Found> find_all(const json::Value& root, std::string_view path);

}  // namespace octroi::vault::generic
