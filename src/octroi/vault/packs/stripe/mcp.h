// octroi/vault/packs/stripe/mcp.h: Stripe's own MCP server (mcp.stripe.com), to which @stripe/mcp
// and hosts with remote servers connect. Its tools are calls of Stripe's API by other names: each
// is turned into the request that the API would get, and judged as that one is, so that amounts,
// customers, recipients and look-ups are the same by both doors. Policies name the tool
// (`create_refund`), because what is allowed by one door is not allowed by the other by mistake.
//
// Tools that are not in the table are refused; `tools` of the configuration may add some.
// Thread: pure.   Source: the tools of @stripe/agent-toolkit 0.7.12 and @stripe/mcp.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_stripe_mcp_pack(const VendorSettings& vendor);

namespace stripe {

struct ToolRow {
  std::string_view tool;
  std::string_view method;  // of the API; empty: it reads, and is no call of the API
  std::string_view path;    // `{name}` is the argument of that name
  /// Arguments, with spaces between them, of tools that may move money: others are refused, because
  /// nobody knows what they do to the amount. Empty: any.
  std::string_view arguments;
};
[[nodiscard]] std::span<const ToolRow> tools();

}  // namespace stripe
}  // namespace octroi::vault
