#include "octroi/vault/packs/openai/openai.h"

#include <algorithm>
#include <array>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/llm/reader.h"
#include "octroi/vault/packs/llm/request.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {

namespace {

using enum policy::Direction;

/// How the cost of an operation is found.
enum class Cost : std::uint8_t { none, chat, completion, response, embedding, unknown };

struct Row {
  std::string_view method;
  std::string_view path;
  std::string_view name;
  policy::Direction direction;
  Cost cost;
};
constexpr std::array kTable = {
    Row{"POST", "/v1/chat/completions", "chat.completions.create", usage, Cost::chat},
    Row{"GET", "/v1/chat/completions", "chat.completions.list", read, Cost::none},
    Row{"GET", "/v1/chat/completions/{id}", "chat.completions.retrieve", read, Cost::none},
    Row{"GET", "/v1/chat/completions/{id}/messages", "chat.completions.messages.list", read,
        Cost::none},
    Row{"POST", "/v1/chat/completions/{id}", "chat.completions.update", write, Cost::none},
    Row{"DELETE", "/v1/chat/completions/{id}", "chat.completions.delete", write, Cost::none},
    Row{"POST", "/v1/completions", "completions.create", usage, Cost::completion},
    Row{"POST", "/v1/responses", "responses.create", usage, Cost::response},
    Row{"POST", "/v1/responses/input_tokens", "responses.input_tokens.count", read, Cost::none},
    Row{"POST", "/v1/responses/compact", "responses.compact", usage, Cost::unknown},
    Row{"GET", "/v1/responses/{id}", "responses.retrieve", read, Cost::none},
    Row{"GET", "/v1/responses/{id}/input_items", "responses.input_items.list", read, Cost::none},
    Row{"POST", "/v1/responses/{id}/cancel", "responses.cancel", write, Cost::none},
    Row{"DELETE", "/v1/responses/{id}", "responses.delete", write, Cost::none},
    Row{"POST", "/v1/embeddings", "embeddings.create", usage, Cost::embedding},
    Row{"POST", "/v1/moderations", "moderations.create", usage, Cost::none},
    Row{"POST", "/v1/images/generations", "images.generate", usage, Cost::unknown},
    Row{"POST", "/v1/audio/speech", "audio.speech.create", usage, Cost::unknown},
    Row{"GET", "/v1/models", "models.list", read, Cost::none},
    Row{"GET", "/v1/models/{id}", "models.retrieve", read, Cost::none},
};
constexpr std::size_t kUnknown = 1000;

using Names = std::string_view;
constexpr auto kTiers = std::to_array<Names>({"auto", "default", "flex"});
constexpr auto kText = std::to_array<Names>({"text"});
constexpr auto kPriced =
    std::to_array<llm::FieldValues>({{"service_tier", kTiers}, {"modalities", kText}});
constexpr auto kTools = std::to_array<Names>({"function", "custom", "local_shell", "apply_patch"});
constexpr auto kAnswers = std::to_array<Names>({"n", "best_of"});
constexpr auto kBounds =
    std::to_array<Names>({"max_tokens", "max_completion_tokens", "max_output_tokens"});

constexpr auto kChatFields = std::to_array<Names>({"messages",
                                                   "model",
                                                   "frequency_penalty",
                                                   "function_call",
                                                   "functions",
                                                   "logit_bias",
                                                   "logprobs",
                                                   "metadata",
                                                   "moderation",
                                                   "parallel_tool_calls",
                                                   "prediction",
                                                   "presence_penalty",
                                                   "prompt_cache_key",
                                                   "prompt_cache_options",
                                                   "prompt_cache_retention",
                                                   "reasoning_effort",
                                                   "response_format",
                                                   "safety_identifier",
                                                   "seed",
                                                   "stop",
                                                   "store",
                                                   "stream",
                                                   "stream_options",
                                                   "temperature",
                                                   "tool_choice",
                                                   "top_logprobs",
                                                   "top_p",
                                                   "user",
                                                   "verbosity"});
constexpr auto kChatConversation = std::to_array<Names>({"messages"});
constexpr auto kCompletionFields = std::to_array<Names>(
    {"model", "prompt", "echo", "frequency_penalty", "logit_bias", "logprobs", "presence_penalty",
     "seed", "stop", "stream", "stream_options", "suffix", "temperature", "top_p", "user"});
constexpr auto kCompletionConversation = std::to_array<Names>({"prompt", "suffix"});
constexpr auto kResponseFields = std::to_array<Names>({"background",
                                                       "include",
                                                       "input",
                                                       "instructions",
                                                       "max_tool_calls",
                                                       "metadata",
                                                       "model",
                                                       "moderation",
                                                       "parallel_tool_calls",
                                                       "prompt_cache_key",
                                                       "prompt_cache_options",
                                                       "prompt_cache_retention",
                                                       "reasoning",
                                                       "safety_identifier",
                                                       "store",
                                                       "stream",
                                                       "stream_options",
                                                       "temperature",
                                                       "text",
                                                       "tool_choice",
                                                       "top_logprobs",
                                                       "top_p",
                                                       "truncation",
                                                       "user"});
constexpr auto kResponseConversation = std::to_array<Names>({"input", "instructions"});
constexpr auto kResponseReferences =
    std::to_array<Names>({"conversation", "previous_response_id", "prompt"});
constexpr auto kEmbeddingFields =
    std::to_array<Names>({"input", "model", "dimensions", "encoding_format", "user"});
constexpr auto kEmbeddingConversation = std::to_array<Names>({"input"});

constexpr llm::Shape kChat{.fields = kChatFields,
                           .conversation = kChatConversation,
                           .references = {},
                           .bounds = kBounds,
                           .answers = kAnswers,
                           .priced = kPriced,
                           .tools = kTools,
                           .generates = true,
                           .caches = true};
constexpr llm::Shape kCompletion{.fields = kCompletionFields,
                                 .conversation = kCompletionConversation,
                                 .references = {},
                                 .bounds = kBounds,
                                 .answers = kAnswers,
                                 .prompts = "prompt",
                                 .priced = {},
                                 .tools = {},
                                 .generates = true,
                                 .caches = true};
constexpr llm::Shape kResponse{.fields = kResponseFields,
                               .conversation = kResponseConversation,
                               .references = kResponseReferences,
                               .bounds = kBounds,
                               .answers = {},
                               .priced = kPriced,
                               .tools = kTools,
                               .generates = true,
                               .caches = true};
constexpr llm::Shape kEmbedding{.fields = kEmbeddingFields,
                                .conversation = kEmbeddingConversation,
                                .references = {},
                                .bounds = {},
                                .answers = {},
                                .priced = {},
                                .tools = {},
                                .generates = false,
                                .caches = false};

const llm::Shape* shape_of(Cost cost) {
  switch (cost) {
    case Cost::chat:
      return &kChat;
    case Cost::completion:
      return &kCompletion;
    case Cost::response:
      return &kResponse;
    case Cost::embedding:
      return &kEmbedding;
    case Cost::none:
    case Cost::unknown:
      return nullptr;
  }
  return nullptr;
}

std::string_view error_type(Errc code) {
  const int status = status_of(code);
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

constexpr std::string_view kUnlisted =
    "OpenAI shows a key that may call models no list of its calls: usage and costs are "
    "for admin keys of the organisation, and are sums by the minute, hour or day. What a "
    "call held counts until its answer, or the end of its hold, says otherwise";

class OpenAiPack final : public VendorPack {
 public:
  const VendorQuestions* questions() const override { return &questions_; }
  explicit OpenAiPack(const VendorSettings& vendor) : prices_(openai::prices(), vendor.prices) {}

  std::vector<std::string> hosts() const override { return {"api.openai.com"}; }
  KeyShape shape() const override { return KeyShape::openai; }

  Result<> check_headers(const http::Headers& headers) const override {
    OCTROI_CHECK(VendorPack::check_headers(headers));
    for (const char* name : {"openai-organization", "openai-project"}) {
      if (headers.has(name)) {
        return fail(Errc::denied, std::string("the header ") + name +
                                      " would act for another organization or project");
      }
    }
    return {};
  }

  bool takes(const Operation& operation, const Input& input) const override {
    if (operation.row >= kTable.size()) return input.body_kind != BodyKind::other;
    const bool has_body = input.method == "POST";
    return input.body_kind == BodyKind::none ? kTable[operation.row].cost == Cost::none
                                             : has_body && input.body_kind == BodyKind::json;
  }

  bool has_operation(std::string_view name) const override { return names_operation(kTable, name); }

  Operation route(std::string_view method, std::string_view path) const override {
    return find_operation(kTable, method, path, {"", write, kUnknown});
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    policy::Call call = call_of(operation, input);
    if (input.method == "POST" && !input.query.empty())
      return fail(Errc::ambiguous, "parameters stand in the query of a request that has a body");
    const Cost cost = operation.row < kTable.size() ? kTable[operation.row].cost : Cost::unknown;
    const llm::Shape* shape = shape_of(cost);
    if (shape == nullptr) {
      if (input.document) flatten(input.document->root(), "", call.fields);
      call.amount = cost == Cost::none ? policy::AmountState::none : policy::AmountState::unknown;
      return call;
    }
    llm::flatten_settings(input, *shape, call);
    OCTROI_TRY(const llm::Asked asked, llm::read_asked(input, *shape, prices_));
    asked.tell(call);
    return call;
  }

  void prepare(Sending s) const override { set_bearer(s.head.headers, s.real); }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    std::ignore = operation;
    std::ignore = body;
    std::ignore = whole;
    Outcome out = outcome_by(status, headers, "x-request-id");
    return out;
  }

  std::unique_ptr<AnswerReader> listen(const Operation& operation,
                                       const Input& input) const override {
    const llm::Shape* shape =
        operation.row < kTable.size() ? shape_of(kTable[operation.row].cost) : nullptr;
    if (shape == nullptr || !input.document) return nullptr;
    const auto asked = llm::read_asked(input, *shape, prices_);
    if (!asked) return nullptr;
    llm::Listening about;
    // Without a price it costs what the policy assumed.
    if (asked->unpriced.empty()) about.price = asked->price;
    about.input = asked->input;
    about.stream = asked->stream;
    const auto background = input.document->root().find("background");
    about.countable = asked->price != nullptr && !asked->price->reasoning &&
                      !(background && background->as_bool().value_or(true));
    return std::make_unique<llm::UsageReader>(about);
  }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    json::Writer w;
    w.begin_object().key("error").begin_object();
    w.field("message", denial.message);
    w.field("type", error_type(denial.code));
    w.key("param").null();
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

std::unique_ptr<VendorPack> make_openai_pack(const VendorSettings& vendor) {
  return std::make_unique<OpenAiPack>(vendor);
}

}  // namespace octroi::vault
