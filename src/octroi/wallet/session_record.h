// octroi/wallet/session_record.h: what the wallet remembers of one prepaid session, and its form on
// the disk.
//
//   paying ──▶ paid ──▶ opening ──▶ open ──▶ closing ──▶ closed
//                          └─▶ refused
//
// Every arrow is on the disk before what it announces is done: `paying` before the node gets the
// order, `opening` before the proof is sent. So whatever kills the process, the next one knows what
// may have happened, and a deposit that was paid is never paid again.
//
// Secrets  preimages are in Secret, and beside the JSON, never in it. The whole form is sealed by
//          whoever writes it (session_book.h).
// Errors   Errc::session_store for a form that cannot be read.   Thread: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/lightning/session.h"

namespace octroi::wallet {

enum class SessionStage : std::uint8_t {
  paying,   // the deposit may have been paid; there is no preimage yet
  paid,     // it was, and the service does not know
  opening,  // the proof was sent, or is about to be
  open,     // the service has the session
  closing,  // the end was asked for, or is about to be
  closed,   // it has ended, whoever ended it
  refused,  // the deposit was paid and the service does not take its proof
};
[[nodiscard]] std::string_view to_string(SessionStage stage);

/// A further deposit that has not arrived at the service yet.
struct PendingTopUp {
  PaymentHash hash;
  mpp::Challenge challenge;
  Msat amount;
  Secret preimage;  // empty: it is not known whether it was paid
};

struct SessionRecord {
  PaymentHash id;  // of the first deposit
  std::string origin;
  std::string realm;
  std::string url;  // the last that it opened, and how
  std::string method;
  std::vector<std::string> paths;  // that it opened, the latest last
  SessionStage stage = SessionStage::paying;
  Secret preimage;           // of the first deposit; empty while paying
  mpp::Challenge challenge;  // the last one that we were given for it
  UnixMillis challenge_expires;
  Sat unit;      // as that challenge says
  Msat deposit;  // all that was paid in
  Msat spent;    // as far as we were told
  std::string return_invoice;
  PaymentHash return_hash;
  Seconds idle_timeout{0};  // zero: the service did not say
  UnixMillis opened;
  UnixMillis last_used;
  std::optional<Sat> refund;  // as the service said
  std::optional<mpp::lightning::RefundStatus> refund_status;
  Msat refund_seen;  // what our node received
  std::string detail;
  std::optional<PendingTopUp> top_up;

  /// The service's own clock may have ended it.
  [[nodiscard]] bool is_idle(UnixMillis now) const;
  [[nodiscard]] bool is_unfinished() const;
  [[nodiscard]] SessionRecord clone() const;
};

/// How well the session fits a path: 2 it opened this path, 1 another one below the same folder,
/// 0 it did not.
[[nodiscard]] int fitness(const SessionRecord& record, std::string_view path);
/// Remembers that it opened this path; at most a few dozen are kept.
void remember_path(SessionRecord& record, std::string_view path);

[[nodiscard]] Result<Secret> encode(const SessionRecord& record);
[[nodiscard]] Result<SessionRecord> decode_session(const Secret& form);

}  // namespace octroi::wallet
