#include "octroi/vault/packs/anthropic/anthropic.h"

#include <algorithm>
#include <array>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/llm/reader.h"
#include "octroi/vault/packs/llm/request.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {

namespace {

using enum policy::Direction;
using llm::Row;

// model, input, cached input, output (millionths of a dollar for a million tokens), percent of
// input for writing to caches (five minutes, an hour), context, longest answer, reasoning, and from
// which length a prompt costs more (percent of input, of output). A thinking model's thoughts are
// in its answer, unless the request says otherwise.
constexpr std::array kPrices = {
    Row{"claude-fable-5", 10'000'000, 1'000'000, 50'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-fable-5-1", 10'000'000, 250'000, 50'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-mythos-5", 10'000'000, 1'000'000, 50'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-mythos-5-1", 10'000'000, 250'000, 50'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-5-5", 4'000'000, 200'000, 20'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-5", 5'000'000, 500'000, 25'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-4-8", 5'000'000, 500'000, 25'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-4-7", 5'000'000, 500'000, 25'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-4-6", 5'000'000, 500'000, 25'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-opus-4-5", 5'000'000, 500'000, 25'000'000, 125, 200, 200'000, 64'000},
    Row{"claude-sonnet-5-5", 2'000'000, 100'000, 10'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-sonnet-5", 2'000'000, 200'000, 10'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-sonnet-4-6", 3'000'000, 300'000, 15'000'000, 125, 200, 1'000'000, 128'000},
    Row{"claude-sonnet-4-5", 3'000'000, 300'000, 15'000'000, 125, 200, 200'000, 64'000},
    Row{"claude-haiku-5-5", 100'000, 10'000, 500'000, 125, 200, 1'000'000, 128'000, false, 100'000,
        500, 500},
    Row{"claude-haiku-4-5", 1'000'000, 100'000, 5'000'000, 125, 200, 200'000, 64'000},
};

struct Operations {
  std::string_view method;
  std::string_view path;
  std::string_view name;
  policy::Direction direction;
};
constexpr std::array kTable = {
    Operations{"POST", "/v1/messages", "messages.create", usage},
    Operations{"POST", "/v1/messages/count_tokens", "messages.count_tokens", read},
    Operations{"GET", "/v1/models", "models.list", read},
    Operations{"GET", "/v1/models/{id}", "models.retrieve", read},
};
constexpr std::size_t kMessages = 0;
constexpr std::size_t kUnknown = 1000;

using Names = std::string_view;
constexpr auto kFields =
    std::to_array<Names>({"messages", "model", "cache_control", "metadata", "output_config",
                          "output_format", "stop_sequences", "stream", "system", "temperature",
                          "thinking", "tool_choice", "top_k", "top_p"});
constexpr auto kConversation = std::to_array<Names>({"messages", "system"});
constexpr auto kBounds = std::to_array<Names>({"max_tokens"});
constexpr auto kTiers = std::to_array<Names>({"auto", "standard_only"});
constexpr auto kSpeeds = std::to_array<Names>({"standard"});
constexpr auto kPlaces = std::to_array<Names>({"global"});
constexpr auto kPriced = std::to_array<llm::FieldValues>(
    {{"service_tier", kTiers}, {"speed", kSpeeds}, {"inference_geo", kPlaces}});
// These run at the agent.
constexpr auto kTools =
    std::to_array<Names>({"custom", "bash_", "text_editor_", "memory_", "computer_", "browser_"});
constexpr llm::Shape kShape{.fields = kFields,
                            .conversation = kConversation,
                            .references = {},
                            .bounds = kBounds,
                            .answers = {},
                            .priced = kPriced,
                            .tools = kTools,
                            .generates = true,
                            .caches = false};

std::string_view error_type(Errc code) {
  switch (status_of(code)) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    default:
      return status_of(code) >= 500 ? "api_error" : "invalid_request_error";
  }
}

/// Whether the model thinks in tokens that the answer may not hold.
bool thinks(const json::Value& root) {
  const auto thinking = root.find("thinking");
  if (!thinking || thinking->is_null()) return false;
  return thinking->string("type").value_or("") != "disabled";
}

constexpr std::string_view kUnlisted =
    "Anthropic shows a key that may call models no list of its calls: usage and costs are"
    " for admin keys of the organisation, and are sums by the minute, hour or day. What a"
    " call held counts until its answer, or the end of its hold, says otherwise";

class AnthropicPack final : public VendorPack {
 public:
  const VendorQuestions* questions() const override { return &questions_; }
  explicit AnthropicPack(const VendorSettings& vendor)
      : prices_(anthropic::prices(), vendor.prices) {}

  std::vector<std::string> hosts() const override { return {"api.anthropic.com"}; }
  KeyShape shape() const override { return KeyShape::anthropic; }

  Result<> check_headers(const http::Headers& headers) const override {
    OCTROI_CHECK(VendorPack::check_headers(headers));
    for (const std::string_view value : headers.all("anthropic-beta")) {
      for (const char* priced : {"context-1m", "fast-mode"}) {
        if (value.find(priced) != std::string_view::npos)
          return fail(Errc::denied, std::string("anthropic-beta: ") + priced +
                                        " changes what the model costs; leave it out");
      }
    }
    for (const char* name : {"anthropic-workspace-id", "anthropic-organization-id"}) {
      if (headers.has(name))
        return fail(Errc::denied, std::string("the header ") + name + " would act elsewhere");
    }
    return {};
  }

  bool takes(const Operation& operation, const Input& input) const override {
    if (input.body_kind == BodyKind::none) return operation.row != kMessages;
    return input.method == "POST" && input.body_kind == BodyKind::json;
  }

  bool has_operation(std::string_view name) const override { return names_operation(kTable, name); }

  Operation route(std::string_view method, std::string_view path) const override {
    return find_operation(kTable, method, path, {"", write, kUnknown});
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    policy::Call call = call_of(operation, input);
    // The SDK's beta resources say so in the query, and nothing else.
    for (const auto& [name, value] : input.query.fields()) {
      if (input.method == "POST" && (name != "beta" || value != "true"))
        return fail(Errc::ambiguous, "parameters stand in the query of a request that has a body");
    }
    llm::flatten_settings(input, kShape, call);
    if (input.document && input.document->root().find("workspace_id"))
      return fail(Errc::denied, "workspace_id would act in another workspace");
    if (operation.row != kMessages) {
      call.amount =
          operation.name.empty() ? policy::AmountState::unknown : policy::AmountState::none;
      return call;
    }
    OCTROI_TRY(const llm::Asked asked, llm::read_asked(input, kShape, prices_));
    asked.tell(call);
    return call;
  }

  void prepare(Sending s) const override {
    // Keys of the API stand in a field of their own; tokens of OAuth are bearers.
    if (s.real.reveal_text().starts_with("sk-ant-oat")) {
      set_bearer(s.head.headers, s.real);
    } else {
      s.head.headers.set("X-Api-Key", s.real.reveal_text());
    }
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    std::ignore = operation;
    std::ignore = body;
    std::ignore = whole;
    Outcome out = outcome_by(status, headers, "request-id");
    return out;
  }

  std::unique_ptr<AnswerReader> listen(const Operation& operation,
                                       const Input& input) const override {
    if (operation.row != kMessages || !input.document) return nullptr;
    const auto asked = llm::read_asked(input, kShape, prices_);
    if (!asked) return nullptr;
    llm::Listening about;
    if (asked->unpriced.empty()) about.price = asked->price;
    about.input = asked->input;
    about.stream = asked->stream;
    about.countable =
        asked->price != nullptr && !asked->price->reasoning && !thinks(input.document->root());
    return std::make_unique<llm::UsageReader>(about);
  }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    json::Writer w;
    w.begin_object().field("type", "error").key("error").begin_object();
    w.field("type", error_type(denial.code));
    w.field("message", denial.message);
    w.field("code", denial.reason);
    if (denial.resets_at) w.field("resets_at", to_rfc3339(*denial.resets_at));
    w.end_object().end_object();
    out.body = std::move(w).take();
    return out;
  }

 private:
  llm::PriceTable prices_;
  UnlistedQuestions questions_{kUnlisted};
};

}  // namespace

namespace anthropic {
std::span<const llm::Row> prices() { return kPrices; }
}  // namespace anthropic

std::unique_ptr<VendorPack> make_anthropic_pack(const VendorSettings& vendor) {
  return std::make_unique<AnthropicPack>(vendor);
}

}  // namespace octroi::vault
