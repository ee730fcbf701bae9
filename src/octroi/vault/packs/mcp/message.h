// octroi/vault/packs/mcp/message.h: JSON-RPC messages of the Model Context Protocol, read in the
// one way that leaves no second reading.
//
// The text itself was read strictly (json::parse refuses a key that stands there twice). What is
// refused here on top is what servers in other languages would take differently: keys that differ
// in case alone (some readers match names without regard to it), members that JSON-RPC does not
// have, requests without an id, notifications and answers with a method too many.
//
// Errors   Errc::ambiguous, with a message that names the field.
// Thread   pure. Values point into the Document that was read.
// Source   JSON-RPC 2.0 sections 4 to 6; MCP 2025-06-18, "Base protocol" and "Tools".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::vault::mcp {

struct Message {
  enum class Kind : std::uint8_t {
    request,       // has an id, and gets an answer
    notification,  // has none
    answer         // to what the server asked
  } kind = Kind::request;
  std::string id;  // as JSON text: `7`, `"a"`; empty: none
  std::string method;
  std::optional<json::Value> params;  // an object
};

struct Messages {
  std::vector<Message> all;  // at least one
  bool batch = false;        // they stand in an array, and so do their answers
};

/// Most messages of a batch.
inline constexpr std::size_t kMostMessages = 100;

[[nodiscard]] Result<Messages> read_messages(const json::Value& root);

inline constexpr std::string_view kToolCall = "tools/call";

/// What a tools/call calls.
struct ToolCall {
  std::string tool;
  std::optional<json::Value> arguments;  // an object
  std::string run;                       // `_meta.agent_run_id`; empty: none
};
/// Of a message whose method is kToolCall.
[[nodiscard]] Result<ToolCall> read_tool_call(const Message& message);

}  // namespace octroi::vault::mcp
