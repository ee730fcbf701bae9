// The first message of a session, which asks for nothing; the session is left to end by itself.
#include "octroi/vault/key_check.h"

#include <utility>

namespace octroi::vault {

namespace {

constexpr std::string_view kInitialize =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
    R"("capabilities":{},"clientInfo":{"name":"octroi","version":"1"}}})";

class McpKeyCheck final : public KeyCheck {
 public:
  explicit McpKeyCheck(std::string endpoint) : endpoint_(std::move(endpoint)) {}
  std::optional<Question> question(const Secret& /*real*/) const override {
    return Question{.method = "POST",
                    .target = endpoint_,
                    .body = std::string(kInitialize),
                    .content_type = "application/json",
                    .accept = "application/json, text/event-stream"};
  }

 private:
  std::string endpoint_;
};

}  // namespace

std::unique_ptr<KeyCheck> make_mcp_key_check(std::string endpoint) {
  return std::make_unique<McpKeyCheck>(std::move(endpoint));
}

}  // namespace octroi::vault
