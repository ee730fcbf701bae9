#include "octroi/adapters/sql/spend_operations.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "octroi/adapters/sql/call_buffer.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/adapters/sql/spend_rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

Result<std::optional<StoredSpend>> lock_spend(Connection& db, std::string_view id) {
  OCTROI_TRY(
      Query q,
      db.query("SELECT " OCTROI_SPEND_COLUMNS " FROM spends WHERE id = ? /*pg FOR UPDATE*/", id));
  return next_spend(q);
}

Result<std::optional<StoredWindow>> newest_window(Connection& db, std::string_view scope) {
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_WINDOW_COLUMNS " FROM spend_windows WHERE scope = ?"
                               " ORDER BY starts_at DESC LIMIT 1 /*pg FOR UPDATE*/",
                               scope));
  return next_window(q);
}

namespace {

/// How often an operation is tried whose statement found nothing to change, when what explains it
/// says that it could: another process changed it in between.
constexpr int kTries = 8;

tl::unexpected<Error> changes_too_fast() {
  return fail(Errc::unavailable, "the ledger was changed by others all the time");
}

// --- windows

/// What became of one hold.
struct Taken {
  ReserveState state = ReserveState::applied;
  std::int64_t window = 0;
  SpendUsage usage;      // after it, when it was applied; before it, otherwise
  bool created = false;  // its window was not there
};

/// The one statement that counts a call, and the condition under which it may.
Result<std::optional<Taken>> take_open(Connection& db, const Hold& h, UnixMillis now) {
  OCTROI_TRY(Query q,
             db.query("UPDATE spend_windows SET held = held + ?3,"
                      " seen_at = CASE WHEN seen_at < ?4 THEN ?4 ELSE seen_at END"
                      " WHERE scope = ?1 AND starts_at = ?2 AND held + settled <= ?5 - ?3"
                      " AND seen_at <= ?4 + ?6 AND NOT EXISTS (SELECT 1 FROM spend_windows later"
                      " WHERE later.scope = ?1 AND later.starts_at > ?2)"
                      " RETURNING " OCTROI_USAGE_COLUMNS ", id",
                      std::string_view(h.scope), h.starts.value, h.amount, now.value, h.limit,
                      std::int64_t{kClockSkew.count()}));
  OCTROI_TRY(auto usage, next_usage(q));
  if (!usage) return std::optional<Taken>{};
  return std::optional<Taken>({ReserveState::applied, q.integer(6), *std::move(usage), false});
}

/// The first call of a window. Nothing when another process was faster.
Result<std::optional<Taken>> begin_window(Connection& db, const Hold& h, UnixMillis now) {
  OCTROI_TRY(Query q,
             db.query("INSERT INTO spend_windows (scope, unit, starts_at, ends_at, held, settled,"
                      " seen_at) VALUES (?, ?, ?, ?, ?, 0, ?)"
                      " ON CONFLICT (scope, starts_at) DO NOTHING"
                      " RETURNING " OCTROI_USAGE_COLUMNS ", id",
                      std::string_view(h.scope), to_string(h.unit), h.starts.value, h.ends.value,
                      h.amount, now.value));
  OCTROI_TRY(auto usage, next_usage(q));
  if (!usage) return std::optional<Taken>{};
  return std::optional<Taken>({ReserveState::applied, q.integer(6), *std::move(usage), true});
}

Result<> count_into(Connection& db, StoredWindow& row, const Hold& h, UnixMillis now) {
  row.usage.held += h.amount;
  return db.run(
      "UPDATE spend_windows SET held = held + ?2,"
      " seen_at = CASE WHEN seen_at < ?3 THEN ?3 ELSE seen_at END WHERE id = ?1",
      row.id, h.amount, now.value);
}

/// Counts one hold in its window, or says why not.
Result<Taken> take(Connection& db, const Hold& h, UnixMillis now) {
  for (int tries = 0; tries < kTries; ++tries) {
    // SQLite's writer is alone with the file: what it reads stands, and costs it less than a
    // statement that answers.
    if (db.engine() != Engine::sqlite) {
      OCTROI_TRY(auto taken, take_open(db, h, now));
      if (taken) return *std::move(taken);
    }
    OCTROI_TRY(auto newest, newest_window(db, h.scope));
    if (newest && newest->seen > now + kClockSkew) {
      return Taken{ReserveState::clock_went_back, newest->id, newest->usage, false};
    }
    if (!newest || newest->usage.starts < h.starts) {
      if (h.amount > h.limit) {
        return Taken{ReserveState::over_cap, 0, {h.scope, h.unit, h.starts, h.ends, 0, 0}, false};
      }
      OCTROI_TRY(auto taken, begin_window(db, h, now));
      if (taken) return *std::move(taken);
      continue;
    }
    // This window, or one that others have begun already.
    const std::int64_t used = newest->usage.total();
    if (used > h.limit || h.amount > h.limit - used) {
      return Taken{ReserveState::over_cap, newest->id, newest->usage, false};
    }
    OCTROI_CHECK(count_into(db, *newest, h, now));
    return Taken{ReserveState::applied, newest->id, newest->usage, false};
  }
  return changes_too_fast();
}

/// As if they had not been taken. Not by undoing the transaction: that may cost the whole batch a
/// second try.
Result<> give_back(Connection& db, const std::vector<std::pair<Taken, std::int64_t>>& taken) {
  for (const auto& [t, amount] : taken) {
    if (t.created) {
      OCTROI_CHECK(db.run("DELETE FROM spend_windows WHERE id = ?", t.window));
    } else {
      OCTROI_CHECK(
          db.run("UPDATE spend_windows SET held = held - ?2 WHERE id = ?1", t.window, amount));
    }
  }
  return {};
}

// --- changes of state

/// Moves what is counted in a window, and tells how it stands then.
Result<std::optional<SpendUsage>> move_in_window(Connection& db, std::int64_t window,
                                                 std::int64_t held, std::int64_t settled) {
  if (db.engine() == Engine::sqlite) {  // see take()
    OCTROI_CHECK(
        db.run("UPDATE spend_windows SET held = held + ?2, settled = settled + ?3 WHERE id = ?1",
               window, held, settled));
    OCTROI_TRY(Query q,
               db.query("SELECT " OCTROI_USAGE_COLUMNS " FROM spend_windows WHERE id = ?", window));
    return next_usage(q);
  }
  OCTROI_TRY(Query q, db.query("UPDATE spend_windows SET held = held + ?2, settled = settled + ?3"
                               " WHERE id = ?1 RETURNING " OCTROI_USAGE_COLUMNS,
                               window, held, settled));
  return next_usage(q);
}

Result<std::vector<SpendUsage>> move_counted(Connection& db, const StoredSpend& spend,
                                             SpendState to, MicroUsd settled) {
  std::vector<SpendUsage> out;
  for (const StoredHold& h : spend.holds) {
    const Counted was =
        counted(spend.record.state, h.unit, h.amount, h.returns, spend.record.settled);
    const Counted is = counted(to, h.unit, h.amount, h.returns, settled);
    OCTROI_TRY(auto usage,
               move_in_window(db, h.window, is.held - was.held, is.settled - was.settled));
    if (!usage) return fail(Errc::corrupt, "a reservation counts in a window that is not there");
    out.push_back(*std::move(usage));
  }
  return out;
}

/// Everything that changes a reservation; the caller has looked at its state and holds its row.
Result<ChangeOutcome> change(Connection& db, StoredSpend& spend, SpendState to, MicroUsd settled,
                             UnixMillis now) {
  ChangeOutcome out{ChangeState::applied, {}, {}};
  OCTROI_TRY(out.usage, move_counted(db, spend, to, settled));
  SpendRecord& r = spend.record;
  r.state = to;
  r.settled = settled;
  r.changed = now;
  OCTROI_CHECK(update_spend(db, r));
  out.record = r;
  return out;
}

Result<> unclaim(Connection& db, const std::optional<Digest>& content, std::string_view id) {
  if (!content) return {};
  return db.run("DELETE FROM spend_dedupe WHERE content = ? AND spend = ?", ByteView(*content), id);
}

/// After its time an id stands for a new call; the old one is kept under a name of its own.
Result<> free_id(Connection& db, StoredSpend& spend, UnixMillis now) {
  const SpendState state = spend.record.state;
  if (state == SpendState::held || state == SpendState::unknown) {
    spend.record.assumed = true;
    OCTROI_CHECK(change(db, spend, SpendState::settled, spend.record.amount, now));
  }
  return db.run("UPDATE spends SET id = ?2 WHERE id = ?1", std::string_view(spend.record.id),
                std::string_view(past_spend_id(spend.record.id, spend.record.created)));
}

// --- reserving

/// One attempt at a reservation.
class Reserving {
 public:
  Reserving(Connection& db, const Reservation& r) : db_(db), r_(r), id_(kept_text(r.id)) {}

  /// Nothing when another process reserved the same id in between: look again.
  Result<std::optional<ReserveOutcome>> run() {
    OCTROI_TRY(auto before, lock_spend(db_, id_));
    if (before && before->record.replay_until <= r_.now) {
      OCTROI_CHECK(free_id(db_, *before, r_.now));
      before.reset();
    }
    if (before) {
      const bool same = before->record.fingerprint == r_.fingerprint;
      if (!same || before->record.state != SpendState::released) {
        out_.state = same ? ReserveState::replayed : ReserveState::mismatch;
        if (is_tried_again(before->record, r_)) {
          try_again(before->record, r_);
          OCTROI_CHECK(db_.run("UPDATE spends SET answer_by = ?, attempt = ? WHERE id = ?",
                               r_.answer_by.value, before->record.attempt, std::string_view(id_)));
        }
        out_.seen = std::move(before->record);
        return std::optional(std::move(out_));
      }
    }
    OCTROI_TRY(const bool first, claim_content());
    if (!first) return std::optional(std::move(out_));
    OCTROI_TRY(const bool held, take_all());
    if (held) {
      OCTROI_TRY(const bool written, write(before ? &before->record : nullptr));
      if (written) return std::optional(std::move(out_));
    }
    OCTROI_CHECK(give_back(db_, taken_));
    if (r_.dedupe) OCTROI_CHECK(unclaim(db_, r_.dedupe->content, id_));
    if (held) return std::optional<ReserveOutcome>{};
    return std::optional(std::move(out_));
  }

 private:
  Result<bool> claim_content() {
    if (!r_.dedupe) return true;
    const ByteView content(r_.dedupe->content);
    OCTROI_CHECK(
        db_.run("INSERT INTO spend_dedupe (content, spend, until_at) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (content) DO UPDATE SET spend = excluded.spend,"
                " until_at = excluded.until_at WHERE spend_dedupe.until_at <= ?4"
                " OR spend_dedupe.spend = excluded.spend",
                content, std::string_view(id_), r_.dedupe->until.value, r_.now.value));
    if (db_.changes() > 0) return true;
    OCTROI_TRY(Query q, db_.query("SELECT spend FROM spend_dedupe WHERE content = ?", content));
    OCTROI_TRY(const bool row, q.step());
    if (!row) return changes_too_fast();
    out_.state = ReserveState::duplicate;
    out_.duplicate_of = q.text(0);
    return false;
  }

  Result<bool> take_all() {
    std::vector<SpendUsage> usage(r_.holds.size());
    for (const std::size_t i : in_scope_order(r_.holds)) {
      const Hold& hold = r_.holds[i];
      OCTROI_TRY(Taken taken, take(db_, hold, r_.now));
      if (taken.state != ReserveState::applied) {
        const bool over = taken.state == ReserveState::over_cap;
        out_.state = taken.state;
        out_.refused = i;
        out_.left = over ? std::max<std::int64_t>(0, hold.limit - taken.usage.total()) : 0;
        out_.resets_at = taken.usage.ends;
        return false;
      }
      usage[i] = taken.usage;
      kept_.push_back({taken.window, hold.unit, hold.amount, hold.returns});
      taken_.emplace_back(std::move(taken), hold.amount);
    }
    out_.state = ReserveState::applied;
    out_.usage = std::move(usage);
    return true;
  }

  /// False when a row of this id came in between.
  Result<bool> write(const SpendRecord* before) {
    const UnixMillis created = before == nullptr ? r_.now : before->created;
    out_.attempt = before == nullptr ? 1 : before->attempt + 1;
    // A released row is locked; it becomes the new attempt as a whole.
    if (before != nullptr) {
      OCTROI_CHECK(db_.run("DELETE FROM spends WHERE id = ?", std::string_view(id_)));
    }
    StoredSpend spend = new_stored_spend(r_, created, out_.attempt);
    spend.holds = kept_;
    if (r_.dedupe) spend.dedupe = r_.dedupe->content;
    OCTROI_CHECK(insert_spend(db_, spend));
    return db_.changes() > 0;
  }

  Connection& db_;
  const Reservation& r_;
  std::string id_;
  ReserveOutcome out_;
  std::vector<std::pair<Taken, std::int64_t>> taken_;
  std::vector<StoredHold> kept_;
};

}  // namespace

Result<ReserveOutcome> reserve_spend(Connection& db, const Reservation& r) {
  OCTROI_CHECK(check_reservation(r));
  if (CallBuffer* buffer = db.call_buffer()) {
    OCTROI_TRY(auto outcome, buffer->reserve(r));
    if (outcome) return *std::move(outcome);
    OCTROI_CHECK(buffer->write_out());
  }
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  for (int tries = 0; tries < kTries; ++tries) {
    OCTROI_TRY(auto outcome, Reserving(db, r).run());
    if (!outcome) continue;
    OCTROI_CHECK(all.keep());
    return *std::move(outcome);
  }
  return changes_too_fast();
}

// --- what became of it

namespace {

/// Reservations in their tables.
class Tables final : public SpendPlace {
 public:
  explicit Tables(Connection& db) : db_(db) {}
  Result<StoredSpend*> find(std::string_view id) override {
    OCTROI_TRY(spend_, lock_spend(db_, id));
    return spend_ ? &*spend_ : nullptr;
  }
  Result<ChangeOutcome> change(StoredSpend& spend, SpendState to, MicroUsd settled,
                               UnixMillis now) override {
    return sql::change(db_, spend, to, settled, now);
  }

 private:
  Connection& db_;
  std::optional<StoredSpend> spend_;
};

/// One change of one reservation, wherever it is kept: `apply` gets it, if it is there.
template <class Apply>
Result<ChangeOutcome> changed_at(Connection& db, std::string_view id, Apply apply) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  Tables tables(db);
  CallBuffer* const buffer = db.call_buffer();
  SpendPlace& place = buffer != nullptr ? static_cast<SpendPlace&>(*buffer) : tables;
  OCTROI_TRY(StoredSpend* const spend, place.find(kept_text(id)));
  ChangeOutcome out;
  if (spend != nullptr) {
    OCTROI_TRY(out, apply(place, *spend));
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<ChangeOutcome> take_back(Connection& db, SpendPlace& place, StoredSpend& spend,
                                UnixMillis now) {
  OCTROI_TRY(ChangeOutcome out, place.change(spend, SpendState::released, {}, now));
  OCTROI_CHECK(unclaim(db, spend.dedupe, spend.record.id));
  return out;
}

}  // namespace

Result<ChangeOutcome> settle_spend(Connection& db, std::string_view id, MicroUsd actual,
                                   std::string_view object, UnixMillis now) {
  OCTROI_CHECK(check_settlement(actual, object));
  return changed_at(db, id, [&](SpendPlace& place, StoredSpend& spend) -> Result<ChangeOutcome> {
    SpendRecord& r = spend.record;
    const std::string named = kept_text(object);
    const ChangeState state = settling(r, actual, named);
    if (state != ChangeState::applied) return ChangeOutcome{state, r, {}};
    if (!named.empty()) r.object = named;
    r.assumed = false;
    return place.change(spend, SpendState::settled, actual, now);
  });
}

Result<ChangeOutcome> release_spend(Connection& db, std::string_view id, UnixMillis now) {
  return changed_at(db, id, [&](SpendPlace& place, StoredSpend& spend) -> Result<ChangeOutcome> {
    const ChangeState state = releasing(spend.record);
    if (state != ChangeState::applied) return ChangeOutcome{state, spend.record, {}};
    return take_back(db, place, spend, now);
  });
}

Result<ChangeOutcome> undo_spend(Connection& db, std::string_view id, UnixMillis reserved_at,
                                 UnixMillis now) {
  return changed_at(db, id, [&](SpendPlace& place, StoredSpend& spend) -> Result<ChangeOutcome> {
    const SpendRecord& r = spend.record;
    if (r.state != SpendState::held || r.changed != reserved_at)
      return ChangeOutcome{ChangeState::refused, r, {}};
    return take_back(db, place, spend, now);
  });
}

Result<ChangeOutcome> mark_spend_unknown(Connection& db, std::string_view id,
                                         std::string_view object, UnixMillis now) {
  OCTROI_CHECK(check_settlement({}, object));
  return changed_at(db, id, [&](SpendPlace& place, StoredSpend& spend) -> Result<ChangeOutcome> {
    const ChangeState state = doubting(spend.record);
    if (state != ChangeState::applied) return ChangeOutcome{state, spend.record, {}};
    if (!object.empty()) spend.record.object = kept_text(object);
    return place.change(spend, SpendState::unknown, {}, now);
  });
}

// --- upkeep

namespace {

/// The ids of a query's rows, read to its end before anything else is run.
Result<std::vector<std::string>> ids_of(Query q) {
  std::vector<std::string> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.push_back(q.text(0));
  }
}

std::int64_t bounded(int limit) { return std::clamp(limit, 1, 1000); }

}  // namespace

Result<SweepReport> sweep_spends(Connection& db, UnixMillis now, int limit) {
  OCTROI_CHECK(write_out_calls(db));
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  SweepReport report;
  OCTROI_TRY(Query given_up, db.query("SELECT id FROM spends WHERE state = 'unknown'"
                                      " AND give_up_at <= ? ORDER BY id LIMIT ?",
                                      now.value, bounded(limit)));
  OCTROI_TRY(const auto assumed, ids_of(std::move(given_up)));
  OCTROI_TRY(Query late, db.query("SELECT id FROM spends WHERE state = 'held'"
                                  " AND answer_by <= ? ORDER BY id LIMIT ?",
                                  now.value, bounded(limit)));
  OCTROI_TRY(const auto orphans, ids_of(std::move(late)));
  // Each is looked at again under its lock: whoever was late may have answered.
  for (const std::string& id : assumed) {
    OCTROI_TRY(auto spend, lock_spend(db, id));
    if (!spend || spend->record.state != SpendState::unknown) continue;
    spend->record.assumed = true;
    OCTROI_CHECK(change(db, *spend, SpendState::settled, spend->record.amount, now));
    ++report.assumed;
  }
  for (const std::string& id : orphans) {
    OCTROI_TRY(auto spend, lock_spend(db, id));
    if (!spend || spend->record.state != SpendState::held) continue;
    OCTROI_CHECK(change(db, *spend, SpendState::unknown, {}, now));
    ++report.orphaned;
  }
  OCTROI_CHECK(all.keep());
  return report;
}

namespace {

/// Windows that ended before this moment are counted in by no reservation that is still known: one
/// counts in windows that contain the moment of its creation, or in later ones.
Result<std::int64_t> oldest_need(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT MIN(created_at) FROM spends"));
  OCTROI_TRY(const bool row, q.step());
  if (!row || q.is_null(0)) return std::numeric_limits<std::int64_t>::max();
  return q.integer(0);
}

}  // namespace

Result<std::int64_t> prune_spends(Connection& db, UnixMillis before, int limit) {
  OCTROI_CHECK(write_out_calls(db));
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(db.run("DELETE FROM spend_dedupe WHERE until_at < ?", before.value));
  OCTROI_CHECK(
      db.run("DELETE FROM spends WHERE id IN (SELECT id FROM spends"
             " WHERE created_at < ?1 AND changed_at < ?1 AND replay_until < ?1"
             " AND state IN ('settled', 'released') ORDER BY created_at LIMIT ?2)",
             before.value, bounded(limit)));
  const std::int64_t gone = db.changes();
  OCTROI_TRY(const std::int64_t oldest, oldest_need(db));
  OCTROI_CHECK(
      db.run("DELETE FROM spend_windows WHERE id IN (SELECT w.id FROM spend_windows w"
             " WHERE w.ends_at < ?1 AND w.ends_at < ?3 ORDER BY w.ends_at LIMIT ?2)",
             before.value, bounded(limit), oldest));
  OCTROI_CHECK(all.keep());
  return gone;
}

// --- look-ups

namespace {

Result<std::optional<SpendRecord>> one_record(Query q) {
  OCTROI_TRY(auto spend, next_spend(q));
  if (!spend) return std::optional<SpendRecord>{};
  return std::optional(std::move(spend->record));
}

Result<std::optional<SpendRecord>> stored_of(Connection& db, std::string_view vendor,
                                             std::string_view object) {
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_SPEND_COLUMNS
                               " FROM spends WHERE vendor = ? AND object = ? AND object <> ''"
                               " ORDER BY created_at DESC, id DESC LIMIT 1",
                               vendor, object));
  return one_record(std::move(q));
}

/// What comes after everything that begins with `prefix`.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) >= 0x7f) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

Result<std::optional<SpendRecord>> find_spend(Connection& db, std::string_view id) {
  const std::string key = kept_text(id);
  if (const CallBuffer* buffer = db.call_buffer()) {
    if (const SpendRecord* kept = buffer->kept(key)) return std::optional(*kept);
  }
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_SPEND_COLUMNS " FROM spends WHERE id = ?",
                               std::string_view(key)));
  return one_record(std::move(q));
}

Result<std::optional<SpendRecord>> find_spend_of(Connection& db, std::string_view vendor,
                                                 std::string_view object) {
  if (object.empty()) return std::optional<SpendRecord>{};
  const std::string named = kept_text(object);
  OCTROI_TRY(auto stored, stored_of(db, vendor, named));
  CallBuffer* const buffer = db.call_buffer();
  if (buffer == nullptr) return stored;
  if (auto found = buffer->newest_of(vendor, named, std::move(stored))) return *std::move(found);
  OCTROI_CHECK(buffer->write_out());
  return stored_of(db, vendor, named);
}

Result<std::vector<SpendRecord>> list_spends(Connection& db, const SpendFilter& f) {
  const std::string object = kept_text(f.object);
  const std::string run = kept_text(f.run);
  const std::string_view state = f.state ? to_string(*f.state) : std::string_view();
  OCTROI_TRY(
      Query q,
      db.query("SELECT " OCTROI_SPEND_COLUMNS
               " FROM spends WHERE id > ?1 AND (?2 = '' OR state = ?2)"
               " AND (?3 = '' OR vendor = ?3) AND (?4 = '' OR policy = ?4)"
               " AND (?5 = '' OR key_id = ?5) AND (?6 = '' OR run = ?6)"
               " AND (?7 = '' OR object = ?7) AND created_at >= ?8 AND created_at < ?9"
               " ORDER BY id LIMIT ?10",
               std::string_view(f.after_id), state, std::string_view(f.vendor),
               std::string_view(f.policy), std::string_view(f.key_id), std::string_view(run),
               std::string_view(object),
               f.from ? f.from->value : std::numeric_limits<std::int64_t>::min(),
               f.to ? f.to->value : std::numeric_limits<std::int64_t>::max(), bounded(f.limit)));
  std::vector<SpendRecord> out;
  for (;;) {
    OCTROI_TRY(auto spend, next_spend(q));
    if (!spend) return out;
    out.push_back(std::move(spend->record));
  }
}

Result<std::vector<SpendUsage>> spend_usage(Connection& db, std::string_view prefix,
                                            UnixMillis at) {
  const std::string after = after_prefix(std::string(prefix));
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_USAGE_COLUMNS
                               " FROM spend_windows WHERE scope >= ?1 AND (?2 = '' OR scope < ?2)"
                               " AND starts_at <= ?3 AND ends_at > ?3 ORDER BY scope, starts_at",
                               prefix, std::string_view(after), at.value));
  std::vector<SpendUsage> out;
  for (;;) {
    OCTROI_TRY(auto usage, next_usage(q));
    if (!usage) return out;
    out.push_back(*std::move(usage));
  }
}

}  // namespace octroi::sql
