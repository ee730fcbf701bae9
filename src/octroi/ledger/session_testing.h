// octroi/ledger/session_testing.h: short ways to make and to compare what tests of sessions need.
// For tests only.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "octroi/ledger/sessions.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

/// When everything below happens: one minute after kStart.
inline constexpr UnixMillis kUsed{kStart.value + 60'000};

inline PaymentHash return_hash_of(std::uint32_t n) {
  auto raw = hash_of(n).raw();
  raw[30] = 0xCD;
  return PaymentHash(raw);
}
/// A proof of the session scheme: it replays to the same bytes.
inline ConsumeRequest session_proof_of(std::uint32_t n, std::string_view action) {
  ConsumeRequest r = consume_of(n);
  r.scheme = Scheme::mpp_session;
  r.payload = digest_of(static_cast<std::uint8_t>(n));
  for (const char c : action) r.payload[6] = static_cast<std::uint8_t>(r.payload[6] * 31 + c);
  r.idempotency_key = to_hex(r.payload);
  r.now = kUsed;
  return r;
}
inline OpenSession open_of(std::uint32_t n) {
  OpenSession r;
  r.proof = session_proof_of(n, "open");
  r.deposit = 10'000_msat;
  r.return_invoice = "lnbcrt1return" + std::to_string(n);
  r.return_hash = return_hash_of(n);
  r.idle_timeout = std::chrono::minutes(5);
  return r;
}
inline TopUp top_up_of(std::uint32_t n, std::uint32_t session) {
  return {session_proof_of(n, "topUp"), hash_of(session), 10'000_msat};
}
/// As the operator does it, on the service "weather".
inline CloseSession close_of(std::uint32_t session) {
  CloseSession r;
  r.session = hash_of(session);
  r.service = "weather";
  r.now = kUsed;
  return r;
}
/// As the client does it, with the challenge over invoice n.
inline CloseSession close_with(std::uint32_t n, std::uint32_t session) {
  CloseSession r = close_of(session);
  r.proof = session_proof_of(n, "close" + std::to_string(session));
  return r;
}

inline std::vector<std::uint32_t> numbers(const std::vector<Session>& sessions) {
  std::vector<std::uint32_t> out;
  for (const Session& s : sessions) {
    out.push_back(static_cast<std::uint32_t>(s.id.raw()[0] | (s.id.raw()[1] << 8)));
  }
  return out;
}

inline std::int64_t raw(Msat amount) { return amount.count(); /* raw: to be shown by a test */ }

inline std::string describe(const Session& s) {
  return fmt::format(
      "{} {} {} {} deposit {} spent {} at {} used {} idle {} {} {} closed {} refund {} {} rest {} "
      "fee {} tried {} at {} '{}'",
      s.id.hex(), s.service, s.return_invoice, s.return_hash.hex(), raw(s.deposit), raw(s.spent),
      s.opened.value, s.last_used.value, s.idle_timeout.count(), to_string(s.state),
      to_string(s.reason), s.closed ? s.closed->value : 0, to_string(s.refund.stage),
      raw(s.refund.amount), raw(s.refund.rounding), raw(s.refund.fee), s.refund.attempts,
      s.refund.updated.value, s.refund.detail);
}
inline std::string describe(const SessionTotals& t) {
  return fmt::format("deposits {} spent {} refunded {} fees {} rounding {} open {} unpaid {}",
                     raw(t.deposits), raw(t.spent), raw(t.refunded), raw(t.refund_fees),
                     raw(t.rounding), raw(t.open_balances), raw(t.unpaid_refunds));
}
inline bool balanced(const SessionTotals& t) {
  return raw(t.deposits) == raw(t.spent) + raw(t.refunded) + raw(t.rounding) +
                                raw(t.open_balances) + raw(t.unpaid_refunds);
}

}  // namespace octroi::ledger
