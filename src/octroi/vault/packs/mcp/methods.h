// octroi/vault/packs/mcp/methods.h: what the protocol itself does beside calling tools, by the
// names that policies know: `tools/list` is `mcp.tools.list`. None of it moves money, all of it
// reads: a policy allows it with `mcp.*`, or one by one. Thread: pure.   Source: MCP 2025-06-18 and
// 2025-11-25, "Base protocol", "Server", "Client".
#pragma once

#include <string>

#include "octroi/vault/packs/mcp/message.h"

namespace octroi::vault::mcp {

inline constexpr std::string_view kListen = "mcp.listen";  // GET: what the server says unasked
inline constexpr std::string_view kEnd = "mcp.end";        // DELETE: the session is over
inline constexpr std::string_view kAnswer = "mcp.answer";  // to what the server asked

/// Names of the protocol begin with this, and so no tool's may.
inline constexpr std::string_view kProtocol = "mcp.";

/// What policies call this message; empty: a method that is not known, and is refused. Of tool
/// calls, whose name is the tool's: empty, too.
[[nodiscard]] std::string operation_of(const Message& message);

/// What a field of the head says about the body, so that something in between can go by it, is what
/// the body says.
[[nodiscard]] std::string_view named_in(const Message& message);

}  // namespace octroi::vault::mcp
