#include "octroi/adapters/sql/approval_operations.h"

#include <algorithm>
#include <utility>

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

#define OCTROI_APPROVAL_COLUMNS                                                               \
  "id, request, body, key_id, vendor, operation, method, path, customer, policy, run, agent," \
  " amount, reason, state, asked_at, expires_at, decided_at, decided_by, used_by"

/// Held from here on, so that changes come one after the other.
Result<> next_version(Connection& db) {
  return db.run("UPDATE approval_list SET version = version + 1 WHERE id = 1");
}

Result<Digest> digest(ByteView bytes) {
  Digest out{};
  if (bytes.size() != out.size()) return fail(Errc::corrupt, "a digest of an approval is damaged");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Result<Approval> read_approval(const Query& q) {
  Approval a;
  a.id = q.text(0);
  OCTROI_TRY(a.request, digest(q.blob(1)));
  OCTROI_TRY(a.body, digest(q.blob(2)));
  a.key_id = q.text(3);
  a.vendor = q.text(4);
  a.operation = q.text(5);
  a.method = q.text(6);
  a.path = q.text(7);
  a.customer = q.text(8);
  a.policy = q.text(9);
  a.run = q.text(10);
  a.agent = q.text(11);
  auto amount = MicroUsd::from_raw(q.integer(12));
  if (!amount) return fail(Errc::corrupt, "the amount of an approval makes no sense");
  a.amount = *amount;
  a.reason = q.text(13);
  const auto state = approval_state_from_string(q.text(14));
  if (!state) return fail(Errc::corrupt, "the state of an approval makes no sense");
  a.state = *state;
  a.asked = {q.integer(15)};
  a.expires = {q.integer(16)};
  if (!q.is_null(17)) a.decided = UnixMillis{q.integer(17)};
  a.decided_by = q.text(18);
  a.used_by = q.text(19);
  return a;
}

Result<std::vector<Approval>> read_all(Query& q) {
  std::vector<Approval> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(auto one, read_approval(q));
    out.push_back(std::move(one));
  }
}

Result<std::optional<Approval>> read_one(Query& q) {
  OCTROI_TRY(auto all, read_all(q));
  if (all.empty()) return std::optional<Approval>{};
  return std::optional<Approval>(std::move(all.front()));
}

Result<std::optional<Approval>> open_one(Connection& db, const Approval& wanted) {
  OCTROI_TRY(
      Query q,
      db.query("SELECT " OCTROI_APPROVAL_COLUMNS " FROM approvals WHERE request = ?1 AND"
               " ((state IN ('pending', 'approved', 'denied') AND expires_at > ?2)"
               " OR (state = 'used' AND used_by = ?3 AND used_at > ?4))"
               // The one that it has used before, whatever else was asked meanwhile.
               " ORDER BY CASE WHEN state = 'used' THEN 0 ELSE 1 END, seq DESC LIMIT 1",
               ByteView(wanted.request), wanted.asked.value, std::string_view(wanted.used_by),
               (wanted.asked - Approvals::kUsedFor).value));
  return read_one(q);
}

Result<std::int64_t> count_pending(Connection& db, const Approval& wanted) {
  OCTROI_TRY(Query q, db.query("SELECT COUNT(*) FROM approvals WHERE state = 'pending' AND"
                               " key_id = ? AND expires_at > ?",
                               std::string_view(wanted.key_id), wanted.asked.value));
  OCTROI_TRY(const bool row, q.step());
  return row ? q.integer(0) : 0;
}

Result<> insert(Connection& db, const Approval& a) {
  return db.run(
      "INSERT INTO approvals (id, request, body, key_id, vendor, operation, method, path, customer,"
      " policy, run, agent, amount, reason, state, asked_at, expires_at, decided_by, used_by)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, '', '')",
      std::string_view(a.id), ByteView(a.request), ByteView(a.body), std::string_view(a.key_id),
      std::string_view(a.vendor), std::string_view(a.operation), std::string_view(a.method),
      std::string_view(a.path), std::string_view(a.customer), std::string_view(a.policy),
      std::string_view(a.run), std::string_view(a.agent), a.amount.count() /* raw: storage */,
      std::string_view(a.reason), a.asked.value, a.expires.value);
}

}  // namespace

Result<AskOutcome> ask_approval(Connection& db, const Approval& wanted, int most_pending) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  AskOutcome out;
  OCTROI_TRY(auto open, open_one(db, wanted));
  if (open) {
    out.ticket = *std::move(open);
  } else {
    out.ticket = wanted;
    out.ticket.used_by.clear();
    out.ticket.state = ApprovalState::pending;
    OCTROI_TRY(const std::int64_t pending, count_pending(db, wanted));
    out.full = pending >= most_pending;
    if (!out.full) OCTROI_CHECK(insert(db, out.ticket));
    out.made = !out.full;
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<DecideOutcome> decide_approval(Connection& db, std::string_view id, bool approved,
                                      std::string_view by, UnixMillis now, UnixMillis use_until) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  DecideOutcome out;
  OCTROI_CHECK(
      db.run("UPDATE approvals SET state = ?2, decided_at = ?3, decided_by = ?4,"
             " expires_at = CASE WHEN ?2 = 'approved' THEN ?5 ELSE expires_at END"
             " WHERE id = ?1 AND state = 'pending' AND expires_at > ?3",
             id, to_string(approved ? ApprovalState::approved : ApprovalState::denied), now.value,
             by, use_until.value));
  out.applied = db.changes() > 0;
  OCTROI_TRY(out.ticket, find_approval(db, id));
  OCTROI_CHECK(all.keep());
  return out;
}

namespace {

Result<bool> take_first(Connection& db, std::string_view id, const Digest& request,
                        std::string_view used_by, UnixMillis now) {
  OCTROI_CHECK(
      db.run("UPDATE approvals SET state = 'used', used_by = ?3, used_at = ?4"
             " WHERE id = ?1 AND request = ?2 AND state = 'approved' AND expires_at > ?4",
             id, ByteView(request), used_by, now.value));
  return db.changes() > 0;
}

/// From now on whoever took it first does not know its time any more, and cannot give it back.
Result<bool> take_again(Connection& db, std::string_view id, const Digest& request,
                        std::string_view used_by, UnixMillis now) {
  OCTROI_CHECK(
      db.run("UPDATE approvals SET used_at = used_at + 1"
             " WHERE id = ?1 AND request = ?2 AND state = 'used' AND used_by = ?3"
             " AND used_at > ?4",
             id, ByteView(request), used_by, (now - Approvals::kUsedFor).value));
  return db.changes() > 0;
}

}  // namespace

Result<TakeOutcome> take_approval(Connection& db, std::string_view id, const Digest& request,
                                  std::string_view used_by, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  TakeOutcome out = TakeOutcome::refused;
  OCTROI_TRY(const bool first, take_first(db, id, request, used_by, now));
  if (first) {
    out = TakeOutcome::taken;
  } else {
    OCTROI_TRY(const bool again, take_again(db, id, request, used_by, now));
    if (again) out = TakeOutcome::again;
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<> give_back_approval(Connection& db, std::string_view id, std::string_view used_by,
                            UnixMillis taken) {
  return db.run(
      "UPDATE approvals SET state = 'approved', used_by = '', used_at = NULL"
      " WHERE id = ? AND state = 'used' AND used_by = ? AND used_at = ?",
      id, used_by, taken.value);
}

Result<std::optional<Approval>> find_approval(Connection& db, std::string_view id) {
  OCTROI_TRY(Query q,
             db.query("SELECT " OCTROI_APPROVAL_COLUMNS " FROM approvals WHERE id = ?", id));
  return read_one(q);
}

Result<std::vector<Approval>> list_approvals(Connection& db, std::optional<ApprovalState> state,
                                             int limit) {
  OCTROI_TRY(
      Query q,
      db.query("SELECT " OCTROI_APPROVAL_COLUMNS " FROM approvals WHERE (?1 = '' OR state = ?1)"
               " ORDER BY seq DESC LIMIT ?2",
               state ? to_string(*state) : std::string_view(), static_cast<std::int64_t>(limit)));
  return read_all(q);
}

Result<std::vector<Approval>> expire_approvals(Connection& db, UnixMillis now, int limit) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  std::vector<Approval> out;
  {
    OCTROI_TRY(Query q,
               db.query("UPDATE approvals SET state = 'expired'"
                        " WHERE state IN ('pending', 'approved') AND expires_at <= ?1 AND seq IN"
                        " (SELECT seq FROM approvals WHERE state IN ('pending', 'approved')"
                        " AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"
                        " RETURNING " OCTROI_APPROVAL_COLUMNS,
                        now.value, static_cast<std::int64_t>(limit)));
    OCTROI_TRY(out, read_all(q));
  }
  if (!out.empty()) OCTROI_CHECK(next_version(db));
  OCTROI_CHECK(all.keep());
  return out;
}

Result<std::int64_t> approvals_version(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT version FROM approval_list"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return fail(Errc::corrupt, "the list of approvals has no version");
  return q.integer(0);
}

}  // namespace octroi::sql
