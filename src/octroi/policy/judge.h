// octroi/policy/judge.h: one judgement, step by step. Inside policy/ only.
//
// A step says what it looked at and whether that passed. The first that does not decides; with a
// trace the others are looked at all the same.
//
// Thread   pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "octroi/policy/decide.h"

namespace octroi::policy {

class Judge {
 public:
  /// `trace` may be null. All must outlive it.
  Judge(const Policy& policy, const Call& call, const Context& context, std::vector<Check>* trace)
      : policy_(policy), call_(call), context_(context), trace_(trace) {}

  [[nodiscard]] Decision run();

 private:
  void expiry();
  void vendor();
  void endpoints();
  void customers();
  void senders();
  void recipients();
  void countries();
  void fields();
  void field(const FieldRule& rule, std::size_t index);
  void amount();
  void unknown_amount();
  void max_amount();
  void caps();
  void cap(const Cap& cap, std::size_t index);
  void brake();
  void approval();
  [[nodiscard]] Decision shadowed();
  void forget_counted();

  void passed(std::string_view name, std::string detail);
  void refused(std::string_view name, Reason reason, std::string detail);
  void ask(std::string_view name, std::string detail);  // the vendor
  /// Whom a cap counts: none when the call does not say.
  [[nodiscard]] std::vector<std::string> counted(CountedBy by) const;
  struct Count {
    std::string base;  // of the scope
    Window window;
    Period period = Period::day;
    std::optional<Direction> direction;
    CountedBy by = CountedBy::policy;
    std::optional<MicroUsd> usd;
    std::optional<std::int64_t> calls;
    bool brake = false;
  };
  void count(const Count& what, std::string_view name);
  [[nodiscard]] bool done() const { return decided_ && trace_ == nullptr; }
  [[nodiscard]] bool is_read() const { return call_.direction == Direction::read; }
  [[nodiscard]] std::string what() const;  // the call, for messages

  const Policy& policy_;
  const Call& call_;
  const Context& context_;
  std::vector<Check>* trace_;
  Decision decision_;
  bool decided_ = false;  // a step refused
  bool priced_ = false;   // `amount` is known
};

}  // namespace octroi::policy
