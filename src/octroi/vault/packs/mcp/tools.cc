#include "octroi/vault/packs/mcp/tools.h"

#include <utility>

#include <fmt/format.h>

#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/packs/mcp/methods.h"
#include "octroi/vault/packs/mcp/pointer.h"

namespace octroi::vault::mcp {

namespace {

/// `get_*` is every tool whose name begins so.
bool names(const std::string& pattern, std::string_view tool) {
  if (!pattern.ends_with('*')) return pattern == tool;
  return tool.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
}

Result<std::int64_t> minor_of(const ToolSettings& t, const std::string& field,
                              const std::string& amount, const std::string& currency) {
  return t.major ? parse_major(field, amount, currency) : parse_minor(field, amount);
}

Result<std::optional<std::string>> currency_in(const ToolSettings& t, const json::Value& root) {
  if (t.currency.starts_with('=')) return std::optional(t.currency.substr(1));
  return scalar_at_pointer(root, t.currency);
}

Result<> read_amount(const ToolSettings& t, const std::optional<json::Value>& arguments,
                     policy::Call& out) {
  if (t.amount.empty()) return {};
  out.amount = policy::AmountState::unknown;
  if (!arguments) return {};
  OCTROI_TRY(const auto amount, scalar_at_pointer(*arguments, t.amount));
  OCTROI_TRY(const auto currency, currency_in(t, *arguments));
  if (!amount || !currency) return {};
  OCTROI_TRY(const std::int64_t minor, minor_of(t, t.amount, *amount, *currency));
  out.amount = policy::AmountState::known;
  out.minor = policy::MinorAmount{minor, *currency, policy::MinorUnits::iso};
  return {};
}

}  // namespace

std::optional<ToolBook::Tool> DeclaredTools::find(std::string_view name) const {
  if (name.starts_with(kProtocol)) return std::nullopt;
  const auto tool_at = [&](std::size_t row) {
    return Tool{
        row,
        policy::direction_from_string(tools_[row].direction).value_or(policy::Direction::write)};
  };
  // One that is named comes before those that a star names.
  for (std::size_t i = 0; i < tools_.size(); ++i) {
    if (tools_[i].tool == name) return tool_at(i);
  }
  for (std::size_t i = 0; i < tools_.size(); ++i) {
    if (names(tools_[i].tool, name)) return tool_at(i);
  }
  return std::nullopt;
}

Result<> DeclaredTools::read(const Tool& tool, const ToolCall& call, policy::Call& out) const {
  const ToolSettings& t = tools_[tool.row];
  if (call.arguments) flatten(*call.arguments, "", out.fields);
  OCTROI_CHECK(read_amount(t, call.arguments, out));
  if (t.customer.empty()) return {};
  std::optional<std::string> customer;
  if (call.arguments) {
    OCTROI_TRY(customer, scalar_at_pointer(*call.arguments, t.customer));
  }
  if (customer && !customer->empty()) {
    out.customers.push_back(std::move(*customer));
  } else {
    out.customer_unknown = true;
  }
  return {};
}

Outcome DeclaredTools::settle(const Tool& tool, const ToolResult& result) const {
  const ToolSettings& t = tools_[tool.row];
  Outcome out;
  if (result.is_error) {
    // A tool that failed on the way may have done what it costs before.
    out.state = t.error_is_refusal ? Outcome::State::refused : Outcome::State::unknown;
    return out;
  }
  out.state = Outcome::State::done;
  if (t.answer_amount.empty() && t.answer_id.empty()) return out;
  const auto doc = json::parse(result.text);
  if (!doc) return out;
  const auto text_at = [&](const std::string& pointer) -> std::optional<std::string> {
    if (pointer.empty()) return std::nullopt;
    const auto value = at_pointer(doc->root(), pointer);
    return value ? scalar_at(*value, "") : std::nullopt;
  };
  out.object = text_at(t.answer_id).value_or("");
  const auto amount = text_at(t.answer_amount);
  const auto currency = currency_in(t, doc->root());
  if (!amount || !currency || !*currency) return out;
  if (const auto minor = minor_of(t, t.answer_amount, *amount, **currency))
    out.minor = policy::MinorAmount{*minor, **currency, policy::MinorUnits::iso};
  return out;
}

}  // namespace octroi::vault::mcp
