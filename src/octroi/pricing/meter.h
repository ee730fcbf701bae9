// octroi/pricing/meter.h: what a session pays for parts of an answer, and how much of a balance is
// set aside for the part that comes next.
//
//   unit: token, per: 1000, price: 10 sat      1500 tokens cost 15 sat, one token 10 msat
//
// Units    whole: a begun KiB counts as one. Money is proportional to them and rounded up to a
//          whole millisatoshi once for all of an answer: what was delivered is counted, never what
//          each delivery cost.
// Reserve  nothing is delivered that is not paid for: a Tab says what must be debited before the
//          next units may pass, and asks for more than that the longer a stream goes on, so that
//          its debits are few; but for a few prices at most, which is what a crash may cost the
//          session, and for a small part of what is left, which its other streams need.
// Errors   MoneyErrc::overflow.  Thread  values.  Source  Lightning session, "Streaming"; issue 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/money/money.h"

namespace octroi::pricing {

enum class Unit : std::uint8_t {
  request,  // the whole answer
  chunk,    // an event of an event stream; an answer that is none counts as one
  token,    // of a language model, in and out, as the answer's usage says
  byte,     // of the answer's body
  kib,      // 1024 of them, the last one whole
};
[[nodiscard]] std::string_view to_string(Unit unit);
/// "request", "chunk", "token", "byte", "KiB"; exactly so.
[[nodiscard]] std::optional<Unit> unit_from_string(std::string_view text);

/// What units cost: `price` for each `per` of them. Valid when both are positive.
struct UnitPrice {
  Unit unit = Unit::request;
  Msat price;
  std::uint64_t per = 1;

  /// Of that many bytes, in a unit of bytes.
  [[nodiscard]] std::uint64_t units_of_bytes(std::uint64_t bytes) const;
  /// Rounded up to a whole millisatoshi; none cost nothing.
  [[nodiscard]] Result<Msat> cost(std::uint64_t units) const;
};

/// One answer's account. `reserved` was taken from the balance, `cost` is what was delivered.
class Tab {
 public:
  /// Of what is left in the balance, the part that may be asked for ahead; and no more prices.
  static constexpr std::int64_t kAheadOfBalance = 16;
  static constexpr std::int64_t kAheadPrices = 16;

  explicit Tab(UnitPrice price) : price_(price) {}

  [[nodiscard]] const UnitPrice& price() const { return price_; }
  [[nodiscard]] std::uint64_t units() const { return units_; }
  [[nodiscard]] Msat cost() const { return cost_; }
  [[nodiscard]] Msat reserved() const { return reserved_; }

  /// What is missing before all that was delivered is `units` in sum; zero: they may pass.
  [[nodiscard]] Result<Msat> missing(std::uint64_t units) const;
  /// What to debit for that: `missing` and something ahead, `balance` being what the store said
  /// last. Never less than `missing`.
  [[nodiscard]] Msat with_ahead(Msat missing, Msat balance) const;

  /// It was debited.
  void add_reserved(Msat amount);
  /// It was given back; no more than the surplus.
  void remove_reserved(Msat amount);
  /// All that was delivered is `units` in sum; less than before, where an estimate was too high.
  Result<> delivered(std::uint64_t units);
  /// What was set aside and not used; zero when more was used than set aside.
  [[nodiscard]] Msat surplus() const;
  /// What was used and not set aside: an answer that turned out dearer than its estimate.
  [[nodiscard]] Msat shortfall() const;

 private:
  UnitPrice price_;
  std::uint64_t units_ = 0;
  Msat cost_;
  Msat reserved_;
};

}  // namespace octroi::pricing
