#include "octroi/paywall/session_meter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

using http::Filtering;
using http::Passing;
using pricing::Unit;

namespace {

constexpr std::string_view kModule = "paywall";
/// How often who waits looks into the store, for money that came to another replica.
constexpr Millis kLook{250};
/// To take what is left of a balance that others draw on as well.
constexpr int kTries = 3;
/// Of tokens, for an answer whose request sets no bound.
constexpr std::uint64_t kUnknownOutput = 4096;

/// The fields that speak of the body's bytes, which are not the upstream's any more.
constexpr std::array<std::string_view, 5> kOfTheBytes = {"Content-Digest", "Repr-Digest", "Digest",
                                                         "Content-MD5", "Accept-Ranges"};

bool is_compressed(const http::Headers& headers) {
  const auto coding = headers.get("Content-Encoding");
  return coding && !coding->empty() && !http::equal_ignoring_case(*coding, "identity");
}

}  // namespace

std::optional<pricing::UnitPrice> metered_price(const ServiceSettings& service, Msat price) {
  const auto unit = pricing::unit_from_string(service.session.unit);
  if (!unit || *unit == Unit::request) return std::nullopt;
  return pricing::UnitPrice{*unit, price, service.session.per};
}

Result<Announced> announced_by(std::string_view body) {
  OCTROI_TRY(const auto request, pricing::estimate_request(body));
  Announced out;
  out.input = request.input;
  out.reserve = request.input;
  if (!request.stream) out.reserve += request.max_output.value_or(kUnknownOutput);
  return out;
}

Announced announced_by_length(std::optional<std::uint64_t> length) {
  Announced out;
  out.input = pricing::estimated_tokens(length.value_or(0));
  out.reserve = out.input;
  return out;
}

void reserve_for(SessionUse& use, Msat cost) {
  if (cost <= use.debit || use.price_rose) return;
  if (use.action == SessionUse::Action::open && cost > use.deposit) {
    use.price_rose = true;
    use.price = cost;
    use.debit = Msat();
    return;
  }
  use.debit = cost;
}

SessionMeter::SessionMeter(Shared& shared, net::Loop& loop, std::unique_ptr<MeterAccount> account,
                           Terms terms)
    : shared_(shared),
      loop_(loop),
      account_(std::move(account)),
      terms_(std::move(terms)),
      tab_(terms_.price),
      last_debit_(loop.now()) {
  tab_.add_reserved(terms_.reserved);
}

// Without the field any coding would do (RFC 9110 section 12.5.3). A connection that changes its
// protocol carries nothing that could be counted.
void SessionMeter::prepare(http::RequestHead& head) {
  head.headers.set("Accept-Encoding", "identity");
  head.headers.remove("Upgrade");
}

// ------------------------------------------------------------------------------------------------
// The answer.

Task<Result<Filtering>> SessionMeter::begin(http::ResponseHead& head,
                                            std::optional<std::uint64_t> length) {
  length_ = length;
  if (head.status >= 400) {
    kind_ = Kind::unbilled;
    co_await balance();
    co_return Filtering::off;
  }
  const Unit unit = terms_.price.unit;
  const bool compressed = is_compressed(head.headers);
  if (compressed && (unit == Unit::chunk || unit == Unit::token)) {
    refusal_ = refuse_payment(
        mpp::ProblemType::internal_payment_error,
        "the upstream compressed an answer that it was asked not to compress, so it cannot be "
        "billed: nothing was taken",
        Judged::unavailable);
    refusal_->status = 502;
    kind_ = Kind::unbilled;
    co_return fail(http::Errc::upstream_invalid, "a metered answer is compressed");
  }
  if (!compressed && http::is_event_stream(head.headers.get("Content-Type").value_or(""))) {
    kind_ = Kind::stream;
    for (const std::string_view name : kOfTheBytes) head.headers.remove(name);
    co_return Filtering::changed;
  }
  kind_ = Kind::plain;
  // What is known beforehand is paid beforehand: half an answer is of no use.
  std::uint64_t units = 1;
  if (unit == Unit::byte || unit == Unit::kib) {
    units = std::max<std::uint64_t>(terms_.price.units_of_bytes(length.value_or(0)), 1);
  }
  switch (co_await cover(units)) {
    case Funds::enough:
      if (length_ == 0) co_await bill_whole();
      co_return Filtering::same;
    case Funds::dry:
      refusal_ = account_->too_dear(tab_.missing(units).value_or(Msat()));
      break;
    case Funds::ended:
      refusal_ = account_->has_ended();
      break;
    case Funds::unavailable:
      refusal_ = account_->unavailable();
      break;
  }
  kind_ = Kind::unbilled;
  co_return fail(http::Errc::cancelled, "the answer cannot be paid for");
}

Task<Passing> SessionMeter::pass(ByteView piece, http::Exchange& client) {
  bytes_ += piece.size();
  if (kind_ == Kind::plain) co_return co_await pass_plain(piece, client);
  framer_.feed(as_text(piece));
  co_return co_await pass_events(client);
}

Task<Passing> SessionMeter::pass_plain(ByteView piece, http::Exchange& client) {
  const Unit unit = terms_.price.unit;
  const std::uint64_t before = tab_.units();
  std::uint64_t units = 1;
  if (unit == Unit::token) {
    answer_tokens_.feed(as_text(piece));
  } else if (unit != Unit::chunk) {
    units = terms_.price.units_of_bytes(bytes_);
    const Passing how = co_await cover_or_hold(units, client);
    if (how != Passing::on) co_return how;
  }
  if (unit != Unit::token) std::ignore = tab_.delivered(units);
  if (bytes_ == length_) co_await bill_whole();
  if (co_await client.write(piece)) co_return Passing::on;
  std::ignore = tab_.delivered(before);
  co_return Passing::gone;
}

Task<Passing> SessionMeter::pass_events(http::Exchange& client) {
  for (;;) {
    auto event = framer_.next();
    if (!event) {
      OCTROI_LOG(warn, kModule, "a metered stream was cut",
                 {{"service", terms_.service}, {"error", event.error().message()}});
      stopped_ = true;
      co_return Passing::cut;
    }
    if (!*event) co_return Passing::on;
    const Passing how = co_await pass_event(**event, client);
    if (how != Passing::on) co_return how;
  }
}

/// All that was delivered, were this event among it.
std::uint64_t SessionMeter::units_with(const http::SseEvent& event) {
  const bool sold = event.dispatched && event.data != pricing::kStreamDone;
  switch (terms_.price.unit) {
    case Unit::chunk:
      return tab_.units() + (sold ? 1 : 0);
    case Unit::token:
      if (sold) stream_tokens_.event(event.data);
      return stream_tokens_.tokens(terms_.input);
    case Unit::byte:
    case Unit::kib:
      return terms_.price.units_of_bytes(event_bytes_ + event.bytes.size());
    case Unit::request:
      break;
  }
  return 1;
}

// Lightning session, "Streaming": nothing is passed on that is not paid; the receipt stands before
// the word that ends the stream. rule: MPP-114
Task<Passing> SessionMeter::pass_event(http::SseEvent event, http::Exchange& client) {
  const std::uint64_t units = units_with(event);
  const Passing how = co_await cover_or_hold(units, client);
  if (how != Passing::on) co_return how;
  if (event.dispatched && event.data == pricing::kStreamDone) {
    std::ignore = tab_.delivered(units);
    if (!co_await write_receipt(client)) co_return Passing::gone;
  }
  if (!co_await client.write(as_bytes(event.bytes))) co_return Passing::gone;
  event_bytes_ += event.bytes.size();
  std::ignore = tab_.delivered(units);
  co_return Passing::on;
}

Task<Passing> SessionMeter::end(http::Exchange& client) {
  if (kind_ != Kind::stream) {
    if (!length_) co_await bill_whole();  // else before its last piece
    co_return Passing::on;
  }
  if (const auto rest = framer_.finish()) {
    const Passing how = co_await pass_event(*rest, client);
    if (how != Passing::on) co_return how;
    // A stream that breaks off within an event must not swallow the one that follows.
    if (!receipt_sent_ && !co_await client.write(as_bytes(std::string_view("\n\n")))) {
      co_return Passing::gone;
    }
  }
  co_return co_await write_receipt(client) ? Passing::on : Passing::gone;
}

void SessionMeter::abandon() noexcept {
  abandoned_ = true;
  if (ear_ != nullptr) ear_->wake();
}

// ------------------------------------------------------------------------------------------------
// Money.

Task<Funds> SessionMeter::debit(Msat amount) {
  const Funds funds = co_await account_->debit(amount);
  if (funds == Funds::enough) {
    tab_.add_reserved(amount);
    last_debit_ = loop_.now();
  }
  co_return funds;
}

Task<Funds> SessionMeter::cover(std::uint64_t units) {
  const auto missing = tab_.missing(units);
  if (!missing) co_return Funds::unavailable;
  if (missing->is_zero()) {
    // A stream that lives on what it set aside is no idle session.
    if (account_->waits_for() == nullptr) co_return Funds::enough;
    if (loop_.now() - last_debit_ < terms_.idle_timeout / 4) co_return Funds::enough;
    co_return co_await debit(1_msat) == Funds::ended ? Funds::ended : Funds::enough;
  }
  const Msat wanted = tab_.with_ahead(*missing, account_->balance());
  const Funds funds = co_await debit(wanted);
  if (funds != Funds::dry || wanted == *missing) co_return funds;
  co_return co_await debit(*missing);
}

/// Stands still until the money is there, the client left, or the time is over.
Task<Funds> SessionMeter::hold(Msat missing) {
  SessionBell::Ear ear(*shared_.bell, *account_->waits_for(), loop_);
  ear_ = &ear;
  const Millis until = loop_.now() + terms_.hold;
  Funds funds = Funds::dry;
  while (funds == Funds::dry && !abandoned_ && loop_.now() < until) {
    co_await ear.wait(std::min(kLook, until - loop_.now()));
    if (abandoned_) break;
    funds = co_await account_->look(missing);
  }
  ear_ = nullptr;
  if (funds == Funds::enough) {
    tab_.add_reserved(missing);
    last_debit_ = loop_.now();
  }
  co_return funds;
}

Task<Passing> SessionMeter::cover_or_hold(std::uint64_t units, http::Exchange& client) {
  Funds funds = co_await cover(units);
  if (funds == Funds::enough) co_return Passing::on;
  const Msat missing = tab_.missing(units).value_or(Msat());
  if (funds == Funds::dry && account_->waits_for() != nullptr) {
    if (!co_await tell(account_->need_top_up(missing), client)) co_return Passing::gone;
    funds = co_await hold(missing);
    if (abandoned_) co_return Passing::gone;
    if (funds == Funds::enough) co_return Passing::on;
  }
  stopped_ = true;
  co_return co_await ended(funds, missing, client);
}

/// What was not paid for is not passed on; a stream is told why.
Task<Passing> SessionMeter::ended(Funds funds, Msat missing, http::Exchange& client) {
  if (kind_ != Kind::stream || funds == Funds::unavailable) co_return Passing::cut;
  std::string event = account_->dry(missing);  // as it was when it ran dry
  co_await balance();
  const bool told = funds == Funds::dry ? co_await tell(std::move(event), client)
                                        : co_await write_receipt(client);
  co_return told ? Passing::stop : Passing::gone;
}

/// False when the client left. To an answer that is no stream nothing can be said.
Task<bool> SessionMeter::tell(std::string event, http::Exchange& client) {
  if (kind_ != Kind::stream || event.empty()) co_return true;
  co_return (co_await client.write(as_bytes(event))).has_value();
}

Task<bool> SessionMeter::write_receipt(http::Exchange& client) {
  if (std::exchange(receipt_sent_, true)) co_return true;
  if (tab_.units() == 0) std::ignore = tab_.delivered(1);
  co_await balance();
  co_return co_await tell(account_->receipt(tab_), client);
}

// ------------------------------------------------------------------------------------------------
// The end.

std::uint64_t SessionMeter::units_at_the_end(http::RelayState state, Fate fate) const {
  // Who leaves has had the upstream work; an upstream that breaks off has worked for nothing.
  const std::uint64_t least = state == http::RelayState::torn ? 0 : 1;
  switch (kind_) {
    case Kind::none:
      switch (fate) {
        case Fate::delivered:
          return least;
        case Fate::abandoned:
          return terms_.price.unit == Unit::token ? std::max<std::uint64_t>(terms_.input, 1) : 1;
        case Fate::failed:
          return 0;
      }
      return 0;
    case Kind::unbilled:
      return 0;
    case Kind::stream:
      return std::max(tab_.units(), least);
    case Kind::plain:
      if (terms_.price.unit != Unit::token) return std::max(tab_.units(), least);
      return std::max(answer_tokens_.tokens(terms_.input), least);
  }
  return 0;
}

SessionMeter::~SessionMeter() {
  if (settled_) return;
  std::ignore = tab_.delivered(units_at_the_end(http::RelayState::client_gone, Fate::delivered));
  if (!tab_.surplus().is_zero()) account_->leave(tab_.surplus());
}

Task<void> SessionMeter::settle(http::RelayState state, Fate fate) {
  settled_ = true;
  if (auto counted = tab_.delivered(units_at_the_end(state, fate)); !counted) {
    OCTROI_LOG(error, kModule, "an answer has no price that could be counted",
               {{"service", terms_.service}, {"error", counted.error().message()}});
  }
  if (tab_.units() != 0) account_->billed(tab_.units());
  co_await balance();
}

/// An answer that is no stream is here to its end.
Task<void> SessionMeter::bill_whole() {
  std::ignore = tab_.delivered(units_at_the_end(http::RelayState::complete, Fate::delivered));
  co_await balance();
}

Task<void> SessionMeter::balance() {
  if (!tab_.shortfall().is_zero() && !written_off_) co_await take_shortfall();
  if (const Msat unused = tab_.surplus(); !unused.is_zero()) {
    tab_.remove_reserved(unused);  // before the step of the ledger: nothing is ever given back twice
    co_await account_->give_back(unused);
  }
}

/// An answer that turned out dearer than its estimate has been delivered: what is left is taken,
/// and the rest is the seller's loss, told and counted.
Task<void> SessionMeter::take_shortfall() {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const Msat due = tab_.shortfall();
    const Funds funds = co_await debit(attempt == 0 ? due : std::min(due, account_->balance()));
    if (funds == Funds::enough && tab_.shortfall().is_zero()) co_return;
    if (funds != Funds::dry || account_->balance().is_zero()) break;
  }
  if (tab_.shortfall().is_zero()) co_return;
  written_off_ = true;
  account_->unpaid(tab_.shortfall());
}

}  // namespace octroi::paywall
