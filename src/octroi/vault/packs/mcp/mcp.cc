#include "octroi/vault/packs/mcp/mcp.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/packs/mcp/methods.h"
#include "octroi/vault/packs/mcp/reader.h"
#include "octroi/vault/packs/mcp/refusal.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault {

namespace mcp {

namespace {

/// Rows of what a request is.
constexpr std::size_t kProtocolRow = 0;  // the protocol itself
constexpr std::size_t kToolRow = 1;      // calls a tool that the book has
constexpr std::size_t kOtherTool = 2;    // calls one that it has not
constexpr std::size_t kNothing = 3;      // is not known

Operation protocol(std::string name) {
  return {std::move(name), policy::Direction::read, kProtocolRow};
}

bool calls_a_tool(const Messages& messages) {
  return std::ranges::any_of(messages.all, [](const Message& m) { return m.method == kToolCall; });
}

/// That the request is one operation.
Result<> check_batch(const Messages& messages) {
  const Message& first = messages.all.front();
  if (messages.all.size() > 1 && calls_a_tool(messages)) {
    return fail(Errc::ambiguous,
                "a batch that calls a tool holds nothing else: send each call for itself");
  }
  for (const Message& m : messages.all) {
    if (m.method != first.method || m.kind != first.kind) {
      return fail(Errc::ambiguous,
                  "a batch holds messages of one method: send the others for themselves");
    }
  }
  return {};
}

/// What stands between client and server may go by these; the server goes by the body.
Result<> check_mirrors(const http::Headers& headers, const Messages& messages) {
  const auto one_of = [&](const char* name, std::string_view wanted) -> Result<> {
    if (!headers.has(name)) return {};
    if (messages.all.size() == 1 && headers.count(name) == 1 && *headers.get(name) == wanted)
      return {};
    return fail(Errc::ambiguous, fmt::format("the field {} is not what the message says", name));
  };
  OCTROI_CHECK(one_of("mcp-method", messages.all.front().method));
  return one_of("mcp-name", named_in(messages.all.front()));
}

std::optional<Messages> messages_in(const Input& input) {
  if (!input.document) return std::nullopt;
  auto read = read_messages(input.document->root());
  if (!read) return std::nullopt;
  return std::move(*read);
}

}  // namespace

std::optional<ToolCall> tool_call_in(const Input& input) {
  const auto messages = messages_in(input);
  if (!messages || messages->all.size() != 1 || messages->all.front().method != kToolCall)
    return std::nullopt;
  auto call = read_tool_call(messages->all.front());
  if (!call) return std::nullopt;
  return std::move(*call);
}

Result<> McpPack::check_headers(const http::Headers& headers) const {
  OCTROI_CHECK(VendorPack::check_headers(headers));
  for (const char* name : {"mcp-session-id", "mcp-protocol-version", "last-event-id"}) {
    if (headers.count(name) > 1)
      return fail(Errc::ambiguous, fmt::format("{} stands there twice", name));
  }
  for (const auto& field : headers) {
    if (folded(field.name).starts_with("mcp-param-"))
      return fail(Errc::ambiguous, fmt::format("the field {} is not allowed", field.name));
  }
  return {};
}

Operation McpPack::route(std::string_view method, std::string_view path) const {
  const Operation nothing{"", policy::Direction::write, kNothing};
  if (path != endpoint_) return nothing;
  if (method == "GET") return protocol(std::string(kListen));
  if (method == "DELETE") return protocol(std::string(kEnd));
  // Which one it is stands in the body.
  if (method == "POST") return {"", policy::Direction::write, kOtherTool};
  return nothing;
}

bool McpPack::has_operation(std::string_view name) const {
  return name.starts_with(kProtocol) || book_->find(name).has_value();
}

bool McpPack::only_listens(const Operation& operation) const { return operation.name == kListen; }

bool McpPack::takes(const Operation& operation, const Input& input) const {
  if (operation.row == kNothing) return false;
  return input.body_kind == (input.method == "POST" ? BodyKind::json : BodyKind::none);
}

Result<Operation> McpPack::name(Operation routed, const http::Headers& headers,
                                Input& input) const {
  if (routed.row == kNothing || input.method != "POST") return routed;
  if (!input.document)
    return fail(Errc::unsupported_body, "send messages as JSON (Content-Type: application/json)");
  OCTROI_TRY(const Messages messages, read_messages(input.document->root()));
  OCTROI_CHECK(check_batch(messages));
  OCTROI_CHECK(check_mirrors(headers, messages));
  const Message& first = messages.all.front();
  if (first.method != kToolCall) {
    std::string known = operation_of(first);
    if (!known.empty()) return protocol(std::move(known));
    return fail(Errc::unknown_operation,
                fmt::format("{} is no method that this door knows", first.method));
  }
  OCTROI_TRY(ToolCall call, read_tool_call(first));
  const auto tool = book_->find(call.tool);
  return Operation{std::move(call.tool), tool ? tool->direction : policy::Direction::write,
                   tool ? kToolRow : kOtherTool};
}

Result<policy::Call> McpPack::extract(const Operation& operation, const Input& input) const {
  // What else a server reads there is not judged.
  if (!input.query.empty())
    return fail(Errc::ambiguous, "the address of an MCP server has no query here");
  policy::Call out = call_of(operation, input);
  const auto call = tool_call_in(input);
  if (!call) {
    const auto messages = messages_in(input);
    if (messages && messages->all.front().params && messages->all.size() == 1)
      flatten(*messages->all.front().params, "", out.fields);
    return out;
  }
  const auto tool = book_->find(call->tool);
  if (!tool) {
    return fail(
        Errc::unknown_operation,
        fmt::format("the tool {} is not declared here, and so nobody may call it", call->tool));
  }
  OCTROI_CHECK(book_->read(*tool, *call, out));
  out.run = call->run;
  return out;
}

std::string McpPack::same_as(const Operation& operation, const Input& input) const {
  const auto call = tool_call_in(input);
  if (!call) return VendorPack::same_as(operation, input);
  return call->tool + " " + (call->arguments ? call->arguments->to_json() : std::string("{}"));
}

std::vector<VendorPack::Hidden> McpPack::hidden(const Secret& real,
                                                const ledger::VaultKey& shown) const {
  std::vector<Hidden> out = VendorPack::hidden(real, shown);
  hide_parts(auth_, real, out);
  return out;
}

Outcome McpPack::settle(const Operation& operation, int status, const http::Headers& headers,
                        std::string_view body, bool whole) const {
  std::ignore = operation;
  std::ignore = body;
  std::ignore = whole;
  Outcome out = outcome_by(status, headers, "x-request-id");
  return out;
}

std::unique_ptr<AnswerReader> McpPack::listen(const Operation& operation,
                                              const Input& input) const {
  if (operation.row != kToolRow) return nullptr;
  const auto messages = messages_in(input);
  const auto tool = book_->find(operation.name);
  if (!messages || !tool) return nullptr;
  return std::make_unique<CallReader>(*book_, *tool, messages->all.front().id);
}

Refusal McpPack::refusal(const Denial& denial) const { return refuse(denial, {}, false); }

Refusal McpPack::refusal_of(const Denial& denial, const Input& input) const {
  const auto messages = messages_in(input);
  return messages ? refuse(denial, messages->all, messages->batch) : refusal(denial);
}

}  // namespace mcp

std::unique_ptr<VendorPack> make_mcp_pack(const VendorSettings& vendor) {
  return std::make_unique<mcp::McpPack>(vendor.endpoint,
                                        parse_auth_style(vendor.auth).value_or(AuthStyle{}),
                                        std::make_unique<mcp::DeclaredTools>(vendor.tools));
}

}  // namespace octroi::vault
