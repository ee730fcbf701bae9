// octroi/vault/packs/mcp/mcp.h: a server of the Model Context Protocol as a governed vendor. A tool
// is an operation with the tool's own name; the rest of the protocol is read-only operations
// (methods.h). Messages are POSTed to one path, as JSON ("Streamable HTTP").
//
// One request, one operation. A batch is judged as one: several messages of one and the same kind
// that calls no tool, or a single tools/call. Everything else in a batch is refused, because nobody
// can reserve for half a request.
//
// Refusals of a message that has an id are answers to it, with status 200: clients of MCP show the
// agent what JSON-RPC says, and drop or hide any other status. A refused tools/call is a result
// with `isError`, which hosts hand to the model; other methods get an error. What has no id (a key
// that opens nothing, a text that is no message) has the status of docs/vault.md. Thread: pure.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/packs/mcp/tools.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_mcp_pack(const VendorSettings& vendor);

namespace mcp {

/// A call of a tool, as it came; nothing of another request.
[[nodiscard]] std::optional<ToolCall> tool_call_in(const Input& input);

class McpPack : public VendorPack {
 public:
  McpPack(std::string endpoint, AuthStyle auth, std::unique_ptr<ToolBook> book)
      : endpoint_(std::move(endpoint)), auth_(std::move(auth)), book_(std::move(book)) {}

  std::vector<Place> places() const override { return places_of(auth_); }
  Result<> check_headers(const http::Headers& headers) const override;
  Form::Rules query_rules() const override { return {.max_fields = 8, .free_names = true}; }
  bool takes(const Operation& operation, const Input& input) const override;
  Operation route(std::string_view method, std::string_view path) const override;
  bool has_operation(std::string_view name) const override;
  bool only_listens(const Operation& operation) const override;
  Result<Operation> name(Operation routed, const http::Headers& headers,
                         Input& input) const override;
  Result<policy::Call> extract(const Operation& operation, const Input& input) const override;
  std::string same_as(const Operation& operation, const Input& input) const override;
  void prepare(Sending sending) const override { put_credential(auth_, sending); }
  std::vector<Hidden> hidden(const Secret& real, const ledger::VaultKey& shown) const override;
  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override;
  std::unique_ptr<AnswerReader> listen(const Operation& operation,
                                       const Input& input) const override;
  Refusal refusal(const Denial& denial) const override;
  Refusal refusal_of(const Denial& denial, const Input& input) const override;

 protected:
  [[nodiscard]] const ToolBook& book() const { return *book_; }

 private:
  std::string endpoint_;
  AuthStyle auth_;
  std::unique_ptr<ToolBook> book_;
};

}  // namespace mcp
}  // namespace octroi::vault
