// octroi/vault/packs/mcp/tools.h: the tools of a server that the door knows: what each does with
// money, and where its arguments and results say how much. What a book does not have is refused.
//
// Errors   Errc::ambiguous: arguments that do not say what they should, or could be read in two
// ways. Thread   const and pure: shared by all workers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/json/value.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/packs/mcp/message.h"

namespace octroi::vault::mcp {

/// What a tool gave back.
struct ToolResult {
  bool is_error = false;
  std::string text;  // its structured content as JSON, else its only text
};

class ToolBook {
 public:
  virtual ~ToolBook() = default;

  struct Tool {
    std::size_t row = 0;  // of the book's own table
    policy::Direction direction = policy::Direction::write;
  };
  [[nodiscard]] virtual std::optional<Tool> find(std::string_view name) const = 0;
  /// Fills in what the arguments say: amount, customer, fields.
  [[nodiscard]] virtual Result<> read(const Tool& tool, const ToolCall& call,
                                      policy::Call& out) const = 0;
  /// Whether it was done, and what that cost.
  [[nodiscard]] virtual Outcome settle(const Tool& tool, const ToolResult& result) const = 0;
};

/// Those of the configuration.
class DeclaredTools final : public ToolBook {
 public:
  explicit DeclaredTools(std::vector<ToolSettings> tools) : tools_(std::move(tools)) {}
  std::optional<Tool> find(std::string_view name) const override;
  Result<> read(const Tool& tool, const ToolCall& call, policy::Call& out) const override;
  Outcome settle(const Tool& tool, const ToolResult& result) const override;

 private:
  std::vector<ToolSettings> tools_;
};

}  // namespace octroi::vault::mcp
