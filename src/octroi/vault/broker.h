// octroi/vault/broker.h: the vault door: one call of an agent from its head to its last byte.
//
//   key → vendor → operation → decide → reserve and journal → swap → relay → settle and journal
//
// The order is a promise. Nothing is forwarded before its row is durable and its money is held;
// the key is looked at once more after both; the real key is put in last, into a head that was
// made anew, and taken out of whatever comes back. What nobody can say the outcome of stays held.
// Each request is judged on its own: an open connection means nothing.
//
// Thread  one Broker per worker, used on its loop; snapshots and key books are immutable.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "octroi/audit/journal.h"
#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/random.h"
#include "octroi/http/client.h"
#include "octroi/http/server.h"
#include "octroi/ledger/call_book.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/vault/approval_desk.h"
#include "octroi/vault/call_metrics.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/freshness.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/notices.h"
#include "octroi/vault/request.h"
#include "octroi/vault/scrub.h"
#include "octroi/vault/snapshot.h"

namespace octroi {
class Tracer;
}  // namespace octroi

namespace octroi::http {
struct RelayResult;
}  // namespace octroi::http

namespace octroi::vault {

/// What all workers share; outlives them.
struct Shared {
  ledger::SpendLedger& spends;
  audit::Journal& journal;
  MetricRegistry& metrics;
  Clock& clock;
  Random& random;
  /// A brake of the key's policy says so; does not wait. Any thread. Empty: only this call is
  /// refused.
  std::function<void(std::string)> pause_key = {};
  /// Money and row in one commit; null: one after the other.
  ledger::CallBook* calls = nullptr;
  /// A reservation whose commit was lost; its call was not sent. Does not wait. Any thread. Empty:
  /// it is undone at once, or else by the sweep.
  std::function<void(std::string id, UnixMillis reserved_at)> not_sent = {};
  /// Where calls wait for a human; null: whatever needs one is refused.
  ApprovalDesk* approvals = nullptr;
  /// The vendor does not take the real key that lately took the place of another: its name, the
  /// version, and the call. Does not wait. Any thread.
  std::function<void(std::string vendor, std::int64_t version, std::string call)> real_key_refused =
      {};
  /// A canary key was used: by this call, with this key, from there. Does not wait. Any thread.
  std::function<void(std::string call, std::string key_id, std::string from)> alarm = {};
  /// What people want to hear of. Does not wait. Any thread.
  std::function<void(Notice)> notice = {};
  /// Null: no call is traced.
  Tracer* tracer = nullptr;
  /// Whether vendors get the fields by which traces travel.
  bool propagate = false;
  /// Until when what was published may be relied on: nothing is forwarded later. Null: for good.
  const Freshness* fresh = nullptr;
  [[nodiscard]] bool is_stale(Millis now) const { return fresh != nullptr && !fresh->at(now); }
  /// Counts it and raises the alarm. `call` is empty when the key was shown and nothing asked.
  void canary_used(std::string call, std::string key_id, const http::Peer& by) const;
};

class Broker {
 public:
  Broker(Shared& shared, VendorClients& clients, std::shared_ptr<const Snapshot> snapshot,
         std::shared_ptr<const KeyBook> book);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  Task<void> handle(http::Exchange& exchange, Via via = {});

  /// The next request sees it.
  void publish(std::shared_ptr<const Snapshot> snapshot);
  /// The same; calls under way whose key does not open anything any more are not forwarded, and
  /// answers to them end within a second.
  void publish(std::shared_ptr<const KeyBook> book);

  /// How long an answer may go on after its key was revoked, or ended.
  static constexpr Millis kStreamGrace{800};

 private:
  struct Visit;

  void mind_key(Visit& visit);
  Task<Result<>> pass(Visit& visit);
  Task<Result<>> admit(Visit& visit);
  [[nodiscard]] Result<> find_key(Visit& visit);
  [[nodiscard]] Result<> open_with(Visit& visit, const ledger::VaultKey* key, Address address,
                                   Form query);
  [[nodiscard]] static Result<> find_rules(Visit& visit);
  [[nodiscard]] Result<> renew(Visit& visit) const;
  [[nodiscard]] Result<> check_signed(Visit& visit) const;
  [[nodiscard]] static Result<> join_body(Visit& visit, const Secret& secret);
  [[nodiscard]] Result<> check_still_open(const Visit& visit) const;
  Task<Result<>> read_call(Visit& visit);
  Task<void> look_up(Visit& visit);
  Task<Result<std::optional<ledger::SpendRecord>>> find_begun(const Visit& visit,
                                                              std::string object);
  [[nodiscard]] static bool was_counted(const Visit& visit, const ledger::SpendRecord& begun);
  Task<Result<>> decide(Visit& visit);
  [[nodiscard]] Result<> check_first(Visit& visit) const;
  [[nodiscard]] static Result<> check_network(Visit& visit);
  [[nodiscard]] static policy::Decision judge(const Visit& visit);
  [[nodiscard]] Result<> judge_now(Visit& visit) const;
  Task<Result<>> judge_whole(Visit& visit);
  Task<Result<>> ask_human(Visit& visit);
  [[nodiscard]] ApprovalDesk::Question question_of(Visit& visit) const;
  Task<Result<>> look_again(Visit& visit, std::string seen);
  [[nodiscard]] Result<> not_approved(Visit& visit, const ApprovalDesk::Answer& answer);
  Task<void> give_back_ticket(Visit& visit);
  [[nodiscard]] static std::string reservation_id(const Visit& visit);
  [[nodiscard]] static std::string path_of_line(const Visit& visit);
  Task<Result<>> reserve(Visit& visit);
  [[nodiscard]] Result<> after_replay(Visit& visit, const ledger::SpendRecord& seen);
  Task<Result<>> announce(Visit& visit);
  [[nodiscard]] ledger::Reservation reservation_of(const Visit& visit) const;
  [[nodiscard]] static Notice notice_of(const Visit& visit, Notice::Kind kind);
  void tell_of_cap(const Visit& visit, const policy::Counted& cap, UnixMillis resets_at);
  [[nodiscard]] audit::Event intent_of(const Visit& visit) const;
  Task<void> undo(std::string id, UnixMillis reserved_at);
  Task<Result<>> get_token(Visit& visit);
  void swap(Visit& visit);
  Task<Result<>> forward(Visit& visit);
  Task<Result<bool>> attempt(Visit& visit, bool may_renew);
  Result<> not_sent(Visit& visit, const http::RelayResult& result);
  Task<Result<>> not_answered(Visit& visit, const http::RelayResult& result);
  void settle(Visit& visit, Outcome outcome);
  [[nodiscard]] static std::string object_of(const Visit& visit, const Outcome& outcome);
  [[nodiscard]] static MicroUsd cost_of(const Visit& visit);
  void release(Visit& visit);
  /// Whether the agent has its answer, so that nobody waits.
  enum class Told : std::uint8_t { first, later };
  [[nodiscard]] audit::Event outcome_of(const Visit& visit, audit::Verdict verdict,
                                        UnixMillis now) const;
  Task<void> tell_outcome(Visit& visit, audit::Verdict verdict, Told told);
  Task<void> change_alone(ledger::SpendChange change);
  Task<void> refuse(Visit& visit, Error error);
  [[nodiscard]] audit::Event event_of(const Visit& visit, std::string_view kind) const;
  [[nodiscard]] std::shared_ptr<const Needles> needles_for(const Vendor& vendor,
                                                           const ledger::VaultKey& key,
                                                           std::shared_ptr<const Snapshot> of);
  void watch_for_refusal(const Visit& visit, int status, std::string_view body) const;
  void count(const Visit& visit, audit::Verdict verdict);

  Shared& shared_;
  CallMetrics metrics_;
  ledger::SeparateCallBook separate_;
  ledger::CallBook& calls_;
  VendorClients& clients_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const KeyBook> book_;
  struct KeptNeedles {
    std::shared_ptr<const Needles> needles;
    std::shared_ptr<const Snapshot> of;  // the keys of an earlier one are others
    std::uint64_t tokens = 0;            // the version of those that it knows
  };
  std::unordered_map<std::string, KeptNeedles> needles_;
  std::unordered_set<Visit*> visits_;
};

}  // namespace octroi::vault
