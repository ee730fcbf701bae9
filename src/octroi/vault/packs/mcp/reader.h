// octroi/vault/packs/mcp/reader.h: listens to what a server answers to one tools/call, as JSON or
// as an event stream that holds other messages before it, and says what became of the call.
//
//   a result                               done; the book says what it cost
//   a result that is an error              what the book says: refused, or nobody can tell
//   an error before the tool began         refused (-32700, -32600, -32601, -32602)
//   any other error, another answer, none  nobody can tell: what was set aside stays so
// Thread  one exchange.   Source  MCP 2025-06-18, "Streamable HTTP", "Tools: error handling".
#pragma once

#include <optional>
#include <string>

#include "octroi/http/sse.h"
#include "octroi/vault/packs/mcp/tools.h"

namespace octroi::vault::mcp {

class CallReader final : public AnswerReader {
 public:
  /// `book` outlives this; `id` is that of the call, as JSON text.
  CallReader(const ToolBook& book, ToolBook::Tool tool, std::string id)
      : book_(book), tool_(tool), id_(std::move(id)) {}
  void begin(int status, const http::Headers& headers) override;
  void read(std::string_view plain) override;
  /// A tool that was called runs to its end, whoever waits for it.
  bool ends_with_agent() const override { return false; }
  Outcome outcome(bool whole) override;

 private:
  void take(std::string_view text);
  void take_answer(const json::Value& message);

  const ToolBook& book_;
  ToolBook::Tool tool_;
  std::string id_;
  int status_ = 0;
  bool events_ = false;
  bool lost_ = false;  // it could not be read on
  std::string request_id_;
  std::string body_;
  http::SseFramer framer_;
  std::optional<Outcome> found_;
};

}  // namespace octroi::vault::mcp
