#include "octroi/vault/packs/llm/request.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace octroi::vault::llm {

namespace {

constexpr std::int64_t kMostTokens = 100'000'000;
constexpr std::int64_t kMostAnswers = 128;
/// What vendors put before the tools of a request, at most.
constexpr std::int64_t kToolPrompt = 4'096;

/// Types of the parts of a conversation whose tokens are in the request.
constexpr auto kTextTypes = std::to_array<std::string_view>(
    {"text", "input_text", "output_text", "refusal", "message", "tool_use", "tool_result",
     "thinking", "redacted_thinking", "function", "function_call", "function_call_output", "custom",
     "custom_tool_call", "custom_tool_call_output", "reasoning", "reasoning_text", "summary_text",
     "ephemeral"});

bool holds(std::span<const std::string_view> list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

bool has(const json::Value& object, std::string_view field) {
  const auto member = object.find(field);
  return member && !member->is_null();
}

/// Whether an item of a list of input is a name for one that the vendor keeps: it has an id and
/// does not say what it is; or it is a train of thought whose text only the vendor has.
bool is_reference(const json::Value& item) {
  if (!item.is_object() || !has(item, "id")) return false;
  if (!has(item, "type")) return !has(item, "role");
  return item.string("type").value_or("") == "reasoning" && !has(item, "encrypted_content");
}
bool has_references(const json::Value& input) {
  if (!input.is_array()) return false;
  for (const json::Value item : input.elements()) {
    if (is_reference(item)) return true;
  }
  return false;
}

/// How many prompts stand in one request: each is answered by itself. A list of numbers is one, of
/// tokens.
std::int64_t prompts_in(const json::Value& prompt) {
  if (!prompt.is_array()) return 1;
  std::int64_t out = 0;
  for (const json::Value element : prompt.elements()) {
    if (!element.is_string() && !element.is_array()) return 1;
    ++out;
  }
  return std::max<std::int64_t>(out, 1);
}

/// Whether something stands for content that is elsewhere, or is no text.
bool refers(const json::Value& value, int depth = 0) {
  if (depth > 32) return true;
  switch (value.kind()) {
    case json::Kind::object:
      for (const auto& [key, member] : value.members()) {
        if (key == "type" && member.is_string() &&
            !holds(kTextTypes, member.as_string().value_or("")))
          return true;
        if (refers(member, depth + 1)) return true;
      }
      return false;
    case json::Kind::array:
      for (const json::Value element : value.elements()) {
        if (refers(element, depth + 1)) return true;
      }
      return false;
    case json::Kind::null:
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
    case json::Kind::string:
      return false;
  }
  return true;
}

Result<std::optional<std::int64_t>> number(const json::Value& root, std::string_view field,
                                           std::int64_t most) {
  const auto value = root.find(field);
  if (!value || value->is_null()) return std::optional<std::int64_t>();
  const auto n = value->as_int64();
  if (!n || *n < 0 || *n > most)
    return fail(Errc::ambiguous, fmt::format("{} must be a number up to {}", field, most));
  return std::optional(*n);
}

/// The first thing by which a list price is not what is paid. Empty: there is none.
std::string unpriced_in(const json::Value& root, const Shape& shape) {
  for (const auto& [key, value] : root.members()) {
    if (value.is_null() || holds(shape.fields, key) || holds(shape.references, key) ||
        holds(shape.bounds, key) || holds(shape.answers, key))
      continue;
    if (key == "tools") {
      if (!value.is_array()) return "tools is no list";
      for (const json::Value tool : value.elements()) {
        const auto type = tool.find("type");
        if (!type || type->is_null()) continue;
        const std::string_view text = type->as_string().value_or("");
        const bool ours = std::ranges::any_of(
            shape.tools, [&](std::string_view prefix) { return text.starts_with(prefix); });
        if (text.empty() || !ours) return fmt::format("the tool {} runs at the vendor", text);
      }
      continue;
    }
    const auto known = std::ranges::find(shape.priced, key, &FieldValues::field);
    if (known == shape.priced.end()) return fmt::format("the field {} is not known", key);
    // One value, or a list of them.
    std::vector<std::string> texts;
    if (value.is_string()) texts.emplace_back(value.as_string().value_or(""));
    for (const json::Value element : value.elements())
      texts.emplace_back(element.as_string().value_or("?"));
    const bool plain = !texts.empty() && std::ranges::all_of(texts, [&](const std::string& text) {
      return holds(known->values, text);
    });
    if (!plain) return fmt::format("{} has its own price", key);
  }
  return {};
}

}  // namespace

Result<Asked> read_asked(const Input& input, const Shape& shape, const PriceTable& prices) {
  Asked out;
  if (!input.document || !input.document->root().is_object())
    return fail(Errc::unsupported_body, "send the request as a JSON object");
  const json::Value root = input.document->root();
  out.stream = root.optional_boolean("stream").value_or(std::nullopt).value_or(false);
  const auto model = root.find("model");
  const std::string_view name = model ? model->as_string().value_or("") : std::string_view();
  out.price = prices.find(name);

  std::int64_t bound = -1;
  for (const std::string_view field : shape.bounds) {
    OCTROI_TRY(const auto n, number(root, field, kMostTokens));
    if (n) bound = std::max(bound, *n);
  }
  std::int64_t answers = 1;
  for (const std::string_view field : shape.answers) {
    OCTROI_TRY(const auto n, number(root, field, kMostAnswers));
    answers = std::max(answers, n.value_or(1));
  }

  bool elsewhere = false;
  for (const std::string_view field : shape.references) {
    const auto value = root.find(field);
    elsewhere = elsewhere || (value && !value->is_null());
  }
  for (const std::string_view field : shape.conversation) {
    const auto value = root.find(field);
    elsewhere = elsewhere || (value && (refers(*value) || has_references(*value)));
  }
  const auto list = shape.prompts.empty() ? std::nullopt : root.find(shape.prompts);
  const std::int64_t prompts = list ? prompts_in(*list) : 1;
  out.input = static_cast<std::int64_t>(input.body.size()) + (root.find("tools") ? kToolPrompt : 0);

  out.unpriced = unpriced_in(root, shape);
  if (out.price == nullptr) {
    out.unpriced = name.empty() ? "the request names no model"
                                : fmt::format("the model {} has no price: add it to prices", name);
  }
  if (!out.unpriced.empty()) return out;
  if (elsewhere) out.input = out.price->context * prompts;
  if (bound < 0) bound = out.price->max_output;
  if ((elsewhere && out.price->context == 0) || (shape.generates && bound == 0)) {
    out.unpriced = "neither the request nor prices bound it: set max_tokens";
    return out;
  }
  const bool caches = shape.caches || input.body.find("\"cache_control\"") != std::string::npos;
  const std::int64_t output = shape.generates ? bound * answers * prompts : 0;
  OCTROI_TRY(out.most, out.price->most(out.input, output, caches, prompts));
  return out;
}

void flatten_settings(const Input& input, const Shape& shape, policy::Call& call) {
  if (!input.document) return;
  for (const auto& [key, value] : input.document->root().members()) {
    if (!holds(shape.conversation, key)) flatten(value, std::string(key), call.fields);
  }
}

void Asked::tell(policy::Call& call) const {
  call.amount = unpriced.empty() ? policy::AmountState::known : policy::AmountState::unknown;
  if (unpriced.empty()) call.usd = most;
}

}  // namespace octroi::vault::llm
