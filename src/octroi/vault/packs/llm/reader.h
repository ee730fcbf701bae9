// octroi/vault/packs/llm/reader.h: listens to the answer of a language model, whole or an event
// stream, and says what it cost: by its `usage`; where that is missing, a stream that was cut costs
// what was delivered of it, and everything else what was set aside.
//
// A model that thinks in tokens that are not in its answer cannot be counted by what was delivered:
// without `usage` its stream costs what was set aside as well.
// Thread  one exchange.   Source  the vendors' API references; octroi/pricing/usage.h.
#pragma once

#include "octroi/http/sse.h"
#include "octroi/pricing/usage.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/packs/llm/prices.h"

namespace octroi::vault::llm {

struct Listening {
  const ModelPrice* price = nullptr;  // null: the answer costs what was set aside
  std::int64_t input = 0;             // most tokens that went in
  bool stream = false;
  bool countable = true;  // what was delivered is what was made
};

class UsageReader final : public AnswerReader {
 public:
  explicit UsageReader(Listening about) : about_(about) {}
  void begin(int status, const http::Headers& headers) override;
  void read(std::string_view plain) override;
  bool ends_with_agent() const override { return about_.stream && about_.countable; }
  Outcome outcome(bool whole) override;

 private:
  void take_event(std::string_view data);
  [[nodiscard]] std::optional<Tokens> told() const;

  Listening about_;
  int status_ = 0;
  bool events_ = false;  // an event stream
  bool ended_ = false;   // the event that ends an answer came, and what it told is all
  bool lost_ = false;    // the stream could not be read on
  std::string request_id_;
  std::string object_;
  std::string beginning_;  // of a whole answer, for its id
  http::SseFramer framer_;
  pricing::StreamTokens stream_;
  pricing::AnswerTokens answer_;
  std::optional<Tokens> usage_;
};

}  // namespace octroi::vault::llm
