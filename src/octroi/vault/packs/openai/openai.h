// octroi/vault/packs/openai/openai.h: OpenAI, and servers that speak its API: what a call costs is
// bounded by its bytes and by the tokens that it lets the model answer with, and settled by
// `usage`.
//
// Nothing is put into a request: a stream whose agent does not ask for
// `stream_options.include_usage` is settled by what was delivered. Other organizations and projects
// (headers) are refused; so is what a call goes on with for hours (batches, fine-tuning,
// assistants): it is not known here. Thread: pure.   Source: API reference, chat, responses,
// embeddings.
#pragma once

#include <memory>
#include <span>

#include "octroi/vault/pack.h"
#include "octroi/vault/packs/llm/prices.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_openai_pack(const VendorSettings& vendor);

namespace openai {
/// List prices as of kPricesAsOf.
[[nodiscard]] std::span<const llm::Row> prices();
inline constexpr std::string_view kPricesAsOf = "2026-11-21";
}  // namespace openai

}  // namespace octroi::vault
