// octroi/vault/packs/mcp/refusal.h: how a refusal is said in JSON-RPC: to whom it may concern, by
// the id of each message that has one (mcp.h says why with which status).
// Thread: pure.
#pragma once

#include <span>

#include "octroi/vault/pack.h"
#include "octroi/vault/packs/mcp/message.h"

namespace octroi::vault::mcp {

/// Where the machine's half of a refusal stands in the result of a tool.
inline constexpr std::string_view kRefusalKey = "octroi/refusal";

/// `messages` may be empty: what came was none.
[[nodiscard]] Refusal refuse(const Denial& denial, std::span<const Message> messages, bool batch);

/// The code of JSON-RPC for it.
[[nodiscard]] std::int64_t json_rpc_code(Errc code);

}  // namespace octroi::vault::mcp
