// octroi/paywall/pattern.h: a regular expression that knows its literal beginning, so that most
// requests are routed by comparing bytes and RE2 runs only where something is left to decide.
//
// Paths are anchored at their start ("^" may be written or not); hosts at both ends; paths that
// decide about money also at the end of a segment. RE2 only: time is linear in the input whatever
// the pattern. Thread: immutable after construction, any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::paywall {

enum class PatternErrc : std::uint8_t {
  bad_pattern,  // RE2 does not accept it
};
ErrorInfo error_info(PatternErrc e);

enum class Anchor : std::uint8_t {
  start,  // matches where the text begins with it
  both,   // matches the whole text
  /// Matches where the text begins with it and a segment ends there: "/v1/cheap" is "/v1/cheap" and
  /// "/v1/cheap/today", but not "/v1/cheap-but-dear". An expression that ends in "/" has said so
  /// itself, one that ends in ".*" wants everything.
  segment,
};

class Pattern {
 public:
  /// Matches everything.
  Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  [[nodiscard]] static Result<Pattern> compile(std::string_view expression, Anchor anchor);

  [[nodiscard]] bool matches(std::string_view text) const;
  /// What every match begins with.
  [[nodiscard]] const std::string& literal_prefix() const { return prefix_; }
  /// Whether the literal is the whole expression: nothing is left for RE2.
  [[nodiscard]] bool is_literal() const { return literal_; }
  [[nodiscard]] bool matches_everything() const {
    return literal_ && anchor_ != Anchor::both && prefix_.empty();
  }

 private:
  struct Compiled;
  std::string prefix_;
  Anchor anchor_ = Anchor::start;
  bool literal_ = true;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace octroi::paywall
