// octroi/paywall/session_meter.h: an answer that is paid for by what it holds: by the event, the
// token or the byte; out of a prepaid session or a counted L402 token (meter_account.h).
//
//   reserve   what the next event (or piece) costs is debited before it is passed on, with a little
//             ahead, so that a long stream makes few debits; what was set aside and not used is
//             given back at the end
//   dry       an event stream whose session has no money left stands still: the upstream is not
//             read, the client is told `payment-need-topup`, and the stream goes on as soon as
//             somebody topped the session up, here or on another replica. After `hold` it ends with
//             `session-timeout`. An answer that is no stream stands still as well, and is cut.
//             Nothing can be added to an L402 token, so there the answer ends at once
//   receipt   `payment-receipt` before `[DONE]`, or at the end
//   balance   before the last byte of an answer goes out, what it cost has been taken and what was
//             set aside is back: who closes the session then loses nothing and owes nothing
//   settle    a client that leaves pays for what was sent to it; a dead upstream costs what was
//             delivered. An answer of status 400 and up costs nothing, every other one unit at
//             least
//
// Life    made after the first unit was debited (SessionUse::debit), given to one relay, settled
//         once after it; one that is destroyed unsettled leaves what it owes to its account.
// Thread  the exchange's loop.
// Source  Lightning session, "Streaming"; issue 5, "Billing units"; docs/metering.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "octroi/http/body_filter.h"
#include "octroi/http/relay.h"
#include "octroi/http/sse.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/meter_account.h"
#include "octroi/paywall/session_bell.h"
#include "octroi/paywall/shared.h"
#include "octroi/pricing/meter.h"
#include "octroi/pricing/usage.h"

namespace octroi::paywall {

/// How a service bills its sessions; empty: by the request, and no meter is needed.
[[nodiscard]] std::optional<pricing::UnitPrice> metered_price(const ServiceSettings& service,
                                                              Msat price);

/// What a request that asks for tokens announces, so that no answer begins that cannot be paid: its
/// text, and for an answer that is no stream the most that it may hold.
/// Errors  json::Errc::duplicate_key.
struct Announced {
  std::uint64_t input = 0;    // tokens
  std::uint64_t reserve = 0;  // units to set aside before the request goes out
};
[[nodiscard]] Result<Announced> announced_by(std::string_view body);
/// The same where the body is not looked at.
[[nodiscard]] Announced announced_by_length(std::optional<std::uint64_t> length);

/// Debits that much instead of the first unit, if it is more. An open whose deposit does not reach
/// is not served: the session is open with the whole of it.
void reserve_for(SessionUse& use, Msat cost);

class SessionMeter final : public http::BodyFilter {
 public:
  struct Terms {
    pricing::UnitPrice price;
    std::string service;      // for the log
    Msat reserved;            // debited before the request went out
    std::uint64_t input = 0;  // of the request, in tokens, as estimated
    Millis hold{60'000};
    Millis idle_timeout{300'000};
  };
  SessionMeter(Shared& shared, net::Loop& loop, std::unique_ptr<MeterAccount> account, Terms terms);
  /// Cut off before settle(): what was not used is left to the account.
  ~SessionMeter() override;

  /// The request as it may go out: an answer is asked for that can be read and held back.
  static void prepare(http::RequestHead& head);

  Task<Result<http::Filtering>> begin(http::ResponseHead& head,
                                      std::optional<std::uint64_t> length) override;
  Task<http::Passing> pass(ByteView piece, http::Exchange& client) override;
  Task<http::Passing> end(http::Exchange& client) override;
  void abandon() noexcept override;

  /// Once, after the relay.
  Task<void> settle(http::RelayState state, Fate fate);

  /// Why begin() kept the answer from the client.
  [[nodiscard]] std::optional<Refusal>& refusal() { return refusal_; }
  /// Whether the answer ended before the upstream's did.
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] const pricing::Tab& tab() const { return tab_; }
  /// What the account has left, without what is set aside for the answer.
  [[nodiscard]] Msat left() const { return account_->balance(); }

 private:
  enum class Kind : std::uint8_t { none, unbilled, stream, plain };

  Task<http::Passing> pass_plain(ByteView piece, http::Exchange& client);
  Task<http::Passing> pass_events(http::Exchange& client);
  Task<http::Passing> pass_event(http::SseEvent event, http::Exchange& client);
  [[nodiscard]] std::uint64_t units_with(const http::SseEvent& event);
  [[nodiscard]] std::uint64_t units_at_the_end(http::RelayState state, Fate fate) const;

  /// What `units` in sum cost is set aside, or why not.
  Task<Funds> cover(std::uint64_t units);
  Task<Funds> debit(Msat amount);
  Task<Funds> hold(Msat missing);
  Task<http::Passing> cover_or_hold(std::uint64_t units, http::Exchange& client);
  Task<bool> tell(std::string event, http::Exchange& client);
  Task<http::Passing> ended(Funds funds, Msat missing, http::Exchange& client);
  Task<bool> write_receipt(http::Exchange& client);
  Task<void> bill_whole();
  Task<void> balance();
  Task<void> take_shortfall();

  Shared& shared_;
  net::Loop& loop_;
  std::unique_ptr<MeterAccount> account_;
  Terms terms_;
  pricing::Tab tab_;
  Kind kind_ = Kind::none;
  std::optional<std::uint64_t> length_;  // of the body, where it is known
  std::uint64_t bytes_ = 0;        // of the body, as it came
  std::uint64_t event_bytes_ = 0;  // of the events that were passed on
  http::SseFramer framer_;
  pricing::StreamTokens stream_tokens_;
  pricing::AnswerTokens answer_tokens_;
  Millis last_debit_;                // of the loop's clock
  SessionBell::Ear* ear_ = nullptr;  // while it waits
  bool abandoned_ = false;
  bool receipt_sent_ = false;
  bool stopped_ = false;
  bool written_off_ = false;  // what the account could not pay
  bool settled_ = false;
  std::optional<Refusal> refusal_;
};

}  // namespace octroi::paywall
