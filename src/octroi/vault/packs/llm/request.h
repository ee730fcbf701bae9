// octroi/vault/packs/llm/request.h: the most that a request to a language model can cost, read from
// its body.
//
// Input    what is sent in text is counted by its bytes; whatever stands for something that is not
//          in the request (a picture, a file, an earlier answer) counts as the model's whole
//          context.
// Output   as many tokens as the request lets the model answer with, else as the model can; for
//          each answer that it asks for, and each prompt.
// Unknown  a model without a price, a field that the pack does not know, and what is billed by
//          other things than tokens (tools that run at the vendor, dearer tiers): the amount is
//          unknown, which is for the policy's unknown_amount.
// Errors   Errc::ambiguous: a bound that is no number.   Thread  pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "octroi/vault/pack.h"
#include "octroi/vault/packs/llm/prices.h"

namespace octroi::vault::llm {

struct FieldValues {
  std::string_view field;
  std::span<const std::string_view> values;  // at which the list price is the price
};

/// What a pack knows of the body of one of its operations.
struct Shape {
  std::span<const std::string_view> fields;        // that do not change the price
  std::span<const std::string_view> conversation;  // of these, what the model reads
  std::span<const std::string_view> references;    // that stand for something that is not here
  std::span<const std::string_view> bounds;        // of the answer, in tokens
  std::span<const std::string_view> answers;       // how many of them
  std::string_view prompts = {};            // may be a list, whose elements are each answered
  std::span<const FieldValues> priced;      // that change it
  std::span<const std::string_view> tools;  // types (as prefixes) that run at the agent
  bool generates = true;                    // tokens come out
  bool caches = false;  // prompts are written to caches unasked; else `cache_control` asks
};

struct Asked {
  const ModelPrice* price = nullptr;
  std::int64_t input = 0;  // bytes, or the whole context
  MicroUsd most;           // when `unpriced` is empty
  bool stream = false;
  std::string unpriced;  // why nobody can say what it costs

  /// What it can cost, or that nobody knows.
  void tell(policy::Call& call) const;
};
[[nodiscard]] Result<Asked> read_asked(const Input& input, const Shape& shape,
                                       const PriceTable& prices);

/// Everything of the body but the conversation, for the policy's `fields`.
void flatten_settings(const Input& input, const Shape& shape, policy::Call& call);

}  // namespace octroi::vault::llm
