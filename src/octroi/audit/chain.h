// octroi/audit/chain.h: the first row of a chain: it names the newest row of the chain that began
// before it, so that a chain cannot vanish as a whole without the next one telling.
//
// Thread   pure.
#pragma once

#include <optional>

#include "octroi/audit/journal.h"

namespace octroi::audit {

/// `before`: the newest row of the writer that began last; nothing when this is the first chain.
[[nodiscard]] Event start_event(const std::optional<Head>& before);
/// What such a row says about the chains before; nothing for every other row.
struct Reference {
  RowId id;
  Digest row_hash{};
};
[[nodiscard]] std::optional<Reference> reference_of(const Event& event);

}  // namespace octroi::audit
