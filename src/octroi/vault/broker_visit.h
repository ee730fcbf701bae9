// octroi/vault/broker_visit.h: everything about one call on its way through the broker. For
// broker*.cc only.
//
// The parts, in the order of a call: broker.cc (the story, and saying no), broker_judge.cc (whose
// key, which call, what the policy says), broker_approval.cc (waiting for a human),
// broker_money.cc (what is held, what it cost, and the rows that tell it), broker_forward.cc (to
// the vendor and back), broker_trace.cc (what of it is traced).
//
// Thread  as broker.h.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/trace.h"
#include "octroi/net/timer.h"
#include "octroi/vault/broker.h"
#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/request.h"
#include "octroi/vault/sigv4.h"

namespace octroi::vault {

inline constexpr std::string_view kModule = "vault";

/// A hash over parts that cannot run into each other.
[[nodiscard]] ledger::Digest digest_of(std::initializer_list<std::string_view> parts);
/// The code of a denial that the policy or the ledger gave.
[[nodiscard]] Errc code_of(policy::Reason reason);

struct Broker::Visit {
  Visit(Broker& b, http::Exchange& e)
      : broker(b),
        exchange(e),
        snapshot(b.snapshot_),
        book(b.book_),
        revoked_timer(*this),
        end_timer(*this) {
    broker.visits_.insert(this);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() { broker.visits_.erase(this); }

  struct Cut : net::Timer {
    explicit Cut(Visit& v)
        : Timer([](Timer& t) { static_cast<Cut&>(t).visit.exchange.abort(); }), visit(v) {}
    Visit& visit;
  };

  struct End : net::Timer {
    explicit End(Visit& v)
        : Timer([](Timer& t) {
            Visit& visit = static_cast<End&>(t).visit;
            visit.broker.mind_key(visit);
          }),
          visit(v) {}
    Visit& visit;
  };

  Broker& broker;
  http::Exchange& exchange;
  // What it stands on: vendor, key, policies and those above are of these two, which are replaced
  // together (Broker::renew). What was judged is what is reserved and written down.
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<const KeyBook> book;
  Via via;  // how it came
  UnixMillis started;
  UnixMillis judged;  // by windows, rates and dates of this moment; waiting goes before it
  std::optional<SignedClaim> signature;  // of a request that is signed
  bool proven = false;                   // it was made with the key that it names
  std::string id;                        // of the call

  const Vendor* vendor = nullptr;
  const ledger::VaultKey* key = nullptr;
  const policy::Policy* policy = nullptr;
  struct Above {
    const ledger::VaultKey* key;
    const policy::Policy* policy;
  };
  std::vector<Above> above;  // of a key that is narrower than others, the nearest first
  std::string agent_run;     // as the agent says
  Input input;
  Operation operation;
  policy::Call call;
  policy::Call as_sent;  // the same, before anything was looked up
  bool goes_on = false;  // with what was counted whole when it began
  policy::Decision decision;
  std::string user_agent;
  std::string idempotency_key;  // the agent's
  ledger::Digest body_hash{};
  std::string reservation;  // its id; empty: nothing is held
  ledger::Digest fingerprint{};
  std::optional<ledger::SpendState> before;  // a retry: how the first one stands
  std::string looked_up;       // which object was asked for what the request does not say
  ledger::SpendChange change;  // what became of it; written with the row that tells it
  std::optional<MicroUsd> cap_usage;
  std::optional<MicroUsd> settled;
  bool announced = false;
  bool forwarding = false;
  bool revoked = false;             // while it was under way
  bool left = false;                // the agent, while it waited for a human
  std::string ticket;               // of a human's approval, which this call has taken
  std::optional<UnixMillis> taken;  // since when, if it is the first that has
  std::string refused_ticket;       // the one that it may come back with
  std::string reason;               // of a denial
  std::optional<UnixMillis> resets_at;
  TokenPtr token;  // shown instead of the real key
  int upstream_status = 0;
  Outcome outcome;
  Cut revoked_timer;
  End end_timer;  // of its key, while it is forwarded

  // broker_trace.cc, of calls that are recorded
  std::unique_ptr<RequestTrace> trace;  // null: it is not
  std::unique_ptr<Span> hop;            // to the vendor
  std::string_view verdict;             // as the audit has it
  int answered = 0;                     // the status of our own answer
  void begin_hop();
  void end_hop(const http::RelayResult& result);
  void end_trace();

  /// What is put in: the real key, or the token that it was exchanged for.
  [[nodiscard]] const Secret& shown() const {
    return token != nullptr ? token->text : *vendor->real;
  }
  [[nodiscard]] const VendorPack& pack() const {
    static const std::unique_ptr<VendorPack> kNone = make_generic_pack({});
    return vendor != nullptr ? *vendor->pack : *kNone;
  }
};

}  // namespace octroi::vault
