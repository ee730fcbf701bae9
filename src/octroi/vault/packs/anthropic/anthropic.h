// octroi/vault/packs/anthropic/anthropic.h: Anthropic: what a message costs is bounded by its bytes
// and its max_tokens, and settled by `usage`, which its streams always tell.
//
// Refused: what acts in another workspace, and headers that change prices. Batches are not known:
// they go on for hours.   Thread: pure.   Source: API reference, messages.
#pragma once

#include <memory>
#include <span>

#include "octroi/vault/pack.h"
#include "octroi/vault/packs/llm/prices.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_anthropic_pack(const VendorSettings& vendor);

namespace anthropic {
/// List prices as of kPricesAsOf.
[[nodiscard]] std::span<const llm::Row> prices();
inline constexpr std::string_view kPricesAsOf = "2026-11-21";
}  // namespace anthropic

}  // namespace octroi::vault
