// octroi/wallet/session_manager.h: fetches that are paid from a prepaid session: one deposit opens
// it, later requests of any process of the profile draw on it, the rest comes back at its end.
//
//   known session? → bearer with the challenge we still have ──▶ the answer
//        │ no, or refused           │ insufficient: one top-up, and again
//        ▼                          │ ended: another session
//   402 → cross-check → decide → return invoice → record → pay → record → open ──▶ the answer
//
// Never    pays a deposit twice: whatever was paid and not shown is found in the book, and shown
//          first. Opens two sessions, or tops up twice, for one request; a stream may be topped up
//          again while --max-cost lasts. Pays at all while the outcome of an earlier payment for
//          the same session is unknown.
// Limits   deposits are payments: journal and limits as for a charge. --max-cost is for all of one
//          fetch.
// Errors   wallet::Errc; refused_after_pay when a paid deposit is not taken.
// Thread   one loop; other processes share the book.
// Source   Lightning session, client side.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/mpp/problems.h"
#include "octroi/wallet/payer.h"
#include "octroi/wallet/session_book.h"

namespace octroi::wallet {

class SessionManager {
 public:
  /// Opened when first needed, as the payer's.
  struct Means {
    std::function<Task<Result<lightning::Node*>>()> node;
    std::function<Result<ledger::SpendJournal*>()> journal;
    std::function<Result<SessionBook*>()> book;
  };
  SessionManager(Payer& payer, http::Client& client, Means means, Clock& clock)
      : payer_(payer), client_(client), means_(std::move(means)), clock_(clock) {}

  /// As Payer::fetch, with sessions where `request.session` asks for them or nothing else is
  /// offered.
  Task<Result<FetchResult>> fetch(FetchRequest request);

  struct Closed {
    SessionRecord record;
    bool mismatch = false;  // what came back is not what the service said
    std::vector<std::string> notes;
  };
  /// Ends the session at its service and looks for the refund. `like` gives time limits and whether
  /// private targets are allowed; its URL is not looked at.
  Task<Result<Closed>> close(PaymentHash id, FetchRequest like);

  /// What is known of every session, after the node was asked about refunds that are outstanding;
  /// those that are idle for longer than their service waits are ended.
  Task<Result<std::vector<SessionRecord>>> list(FetchRequest like);

 private:
  struct Turn;
  struct Answer;
  struct Refusal;
  struct Next;
  struct Stream;

  // one request (session_manager.cc)
  Task<Result<FetchResult>> run(Turn* turn);
  [[nodiscard]] static Result<std::optional<SessionRecord>> pick(const Turn& turn);
  Task<Result<std::optional<FetchResult>>> ask(Turn* turn);
  Task<Result<>> refresh(Turn* turn);
  Task<Result<FetchResult>> look_only(Turn* turn);
  Task<Result<std::optional<FetchResult>>> bear(Turn* turn, SessionRecord record);
  Task<Result<>> refused_bearer(Turn* turn, const SessionRecord* record, bool was_fresh,
                                Refusal refusal);
  Task<Result<FetchResult>> finish(Turn* turn, Answer answer);

  // over the wire (session_exchange.cc)
  Task<Result<Answer>> show(Turn* turn, mpp::Challenge challenge, std::string payload);
  Task<Result<Refusal>> read_refusal(Turn* turn, Answer* answer);
  Task<Result<>> read_body(Turn* turn, Answer* answer);
  Task<Result<>> read_stream(Turn* turn, Answer* answer);
  Task<void> top_up_stream(Stream* stream);

  // what costs money (session_pay.cc)
  Task<Result<Next>> open_or_join(Turn* turn);
  Task<Result<Next>> open_new(Turn* turn);
  Task<Result<Next>> resume_open(Turn* turn, SessionRecord record);
  Task<Result<Next>> send_open(Turn* turn, SessionRecord record);
  Task<Result<>> top_up(Turn* turn, PaymentHash id);
  Task<Result<>> pay_top_up(Turn* turn, SessionRecord* record);
  Task<Result<>> send_top_up(Turn* turn, SessionRecord* record);
  Task<Result<lightning::Payment>> pay_deposit(Turn* turn, const SessionOffer* offer);
  Result<> may_deposit(const Turn& turn, const SessionOffer& offer) const;

  // the end (session_close.cc)
  Task<Result<Closed>> close_claimed(Turn* turn, SessionRecord record);
  Task<Result<>> top_up_left_over(Turn* turn, SessionRecord* record);
  Task<Result<>> send_close(Turn* turn, Closed* closed);
  Task<Result<>> see_refund(SessionBook* book, Closed* closed, Millis patience);
  void compare_refund(Closed& closed) const;

  Payer& payer_;
  http::Client& client_;
  Means means_;
  Clock& clock_;
};

}  // namespace octroi::wallet
