#include "octroi/adapters/sql/audit_operations.h"

#include <algorithm>
#include <utility>

#include "octroi/adapters/sql/call_buffer.h"
#include "octroi/audit/chain.h"
#include "octroi/audit/filter.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

using namespace octroi::audit;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

template <std::size_t N>
Result<std::array<std::uint8_t, N>> read_bytes(const Query& q, int column) {
  const ByteView bytes = q.blob(column);
  if (bytes.size() != N) return fail(ledger::Errc::corrupt, "the audit: a hash has another length");
  std::array<std::uint8_t, N> out{};
  std::ranges::copy(bytes, out.begin());
  return out;
}

/// The newest row of the chain that began last: what a new chain names, so that each of them is
/// named by the next. Not the newest row by its time: after a clock that was ahead all the chains
/// to come would name the same one, and no other would be missed.
Result<std::optional<Head>> newest_row(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT w.writer, r.seq, r.row_hash, r.at FROM audit_writers w"
                               " JOIN audit_rows r ON r.writer = w.writer AND r.seq ="
                               " (SELECT MAX(seq) FROM audit_rows m WHERE m.writer = w.writer)"
                               " WHERE w.number IS NOT NULL ORDER BY w.number DESC LIMIT 1"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<Head>{};
  Head head{q.text(0), q.integer(1), {}, {q.integer(3)}};
  OCTROI_TRY(head.hash, read_bytes<32>(q, 2));
  return std::optional<Head>(std::move(head));
}

Result<std::int64_t> next_number(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT COALESCE(MAX(number), 0) + 1 FROM audit_writers"));
  OCTROI_TRY(const bool row, q.step());
  return row ? q.integer(0) : 1;
}

Result<> add(Connection& db, ChainTip& tip, UnixMillis now, const Event& event) {
  const StoredRow row = make_row({tip.writer, tip.seq + 1}, now, event, tip.hash);
  OCTROI_CHECK(insert_audit_row(db, row, now, searched_by(event)));
  tip.seq = row.id.seq;
  tip.hash = row.row_hash;
  return {};
}

/// What was there before; each number is one chain's, so that of two which begin at once one waits
/// and names the other.
Result<std::optional<Head>> add_writer(Connection& db, const ChainTip& tip, UnixMillis now) {
  constexpr int kTries = 8;
  for (int tries = 0; tries < kTries; ++tries) {
    OCTROI_TRY(const std::int64_t number, next_number(db));
    OCTROI_TRY(auto before, newest_row(db));
    OCTROI_CHECK(
        db.run("INSERT INTO audit_writers (writer, started_at, number) VALUES (?, ?, ?)"
               " ON CONFLICT (number) DO NOTHING",
               std::string_view(tip.writer), now.value, number));
    if (db.changes() > 0) return before;
  }
  return fail(ledger::Errc::unavailable, "too many chains of the audit begin at once");
}

/// The first row of a chain: who writes it, and what was there before.
Result<> start_chain(Connection& db, ChainTip& tip, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const auto before, add_writer(db, tip, now));
  tip.seq = 0;
  tip.hash = origin_of(tip.writer);
  OCTROI_CHECK(add(db, tip, now, start_event(before)));
  return all.keep();
}

}  // namespace

AuditColumns searched_by(const Event& e) {
  return {e.kind,      e.id,     e.run,
          e.agent,     e.key_id, e.vendor,
          e.operation, e.policy, e.verdict ? to_string(*e.verdict) : std::string_view{}};
}

Result<> insert_audit_row(Connection& db, const StoredRow& row, UnixMillis at,
                          const AuditColumns& c) {
  return db.run(
      "INSERT INTO audit_rows (writer, seq, at, kind, call_id, run, agent, key_id, vendor,"
      " operation, policy, verdict, row_text, prev_hash, row_hash)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      std::string_view(row.id.writer), row.id.seq, at.value, c.kind, c.call_id, c.run, c.agent,
      c.key_id, c.vendor, c.operation, c.policy, c.verdict, std::string_view(row.text),
      ByteView(row.prev_hash), ByteView(row.row_hash));
}

/// What is remembered of an earlier transaction may have been rolled back.
Result<> find_tip(Connection& db, ChainTip& tip, UnixMillis now) {
  if (tip.connection == &db && tip.transaction == db.transactions()) return {};
  tip.connection = nullptr;
  bool begun = false;
  {
    OCTROI_TRY(Query q, db.query("SELECT seq, row_hash FROM audit_rows WHERE writer = ?"
                                 " ORDER BY seq DESC LIMIT 1",
                                 std::string_view(tip.writer)));
    OCTROI_TRY(begun, q.step());
    if (begun) {
      tip.seq = q.integer(0);
      OCTROI_TRY(tip.hash, read_bytes<32>(q, 1));
    }
  }
  if (!begun) OCTROI_CHECK(start_chain(db, tip, now));
  tip.connection = &db;
  tip.transaction = db.transactions();
  return {};
}

Result<RowId> append_row(Connection& db, ChainTip& tip, UnixMillis now, const Event& event) {
  if (CallBuffer* buffer = db.call_buffer()) return buffer->append(tip, now, event);
  auto added = find_tip(db, tip, now);
  if (added) added = add(db, tip, now, event);
  if (!added) {
    tip.connection = nullptr;
    return fail(std::move(added).error());
  }
  return RowId{tip.writer, tip.seq};
}

// --- reading

namespace {

#define OCTROI_AUDIT_ROWS                                                                     \
  "SELECT writer, seq, row_text, prev_hash, row_hash, at, kind, call_id, run, agent, key_id," \
  " vendor, operation, policy, verdict FROM audit_rows"

Result<StoredRow> read_stored(const Query& q) {
  StoredRow row;
  row.id = {q.text(0), q.integer(1)};
  row.text = q.text(2);
  OCTROI_TRY(row.prev_hash, read_bytes<32>(q, 3));
  OCTROI_TRY(row.row_hash, read_bytes<32>(q, 4));
  return row;
}

/// Whether the columns repeat the text.
bool is_searchable(const Query& q, const Row& row) {
  const AuditColumns c = searched_by(row.event);
  const auto is = [&](int column, std::string_view text) {
    return as_text(q.blob(column)) == text;
  };
  return q.integer(5) == row.at.value && is(6, c.kind) && is(7, c.call_id) && is(8, c.run) &&
         is(9, c.agent) && is(10, c.key_id) && is(11, c.vendor) && is(12, c.operation) &&
         is(13, c.policy) && is(14, c.verdict);
}

using QueryValue = std::variant<std::int64_t, std::string_view>;

std::string query_text(const Filter& f, const std::optional<Position>& after,
                       std::vector<QueryValue>& values) {
  std::string sql = OCTROI_AUDIT_ROWS " WHERE 1 = 1";
  const auto narrow = [&](std::string_view clause, QueryValue value) {
    sql += " AND ";
    sql += clause;
    values.push_back(value);
  };
  const auto equal = [&](std::string_view clause, const std::string& text) {
    if (!text.empty()) narrow(clause, std::string_view(text));
  };
  // The second half lets the index of runs be used.
  equal("run <> '' AND run = ?", f.run);
  equal("agent = ?", f.agent);
  equal("key_id = ?", f.key_id);
  equal("vendor = ?", f.vendor);
  equal("operation = ?", f.operation);
  equal("policy = ?", f.policy);
  equal("kind = ?", f.kind);
  equal("call_id = ?", f.id);
  if (f.verdict) narrow("verdict = ?", to_string(*f.verdict));
  if (f.from) narrow("at >= ?", f.from->value);
  if (f.to) narrow("at < ?", f.to->value);
  if (after) {
    narrow("(at, writer, seq) < (?, ?, ?)", after->at.value);
    values.emplace_back(std::string_view(after->writer));
    values.emplace_back(after->seq);
  }
  sql += " ORDER BY at DESC, writer DESC, seq DESC LIMIT ?";
  values.emplace_back(std::int64_t{f.limit} + 1);
  return sql;
}

}  // namespace

Result<Page> query_rows(Connection& db, const Filter& filter) {
  std::optional<Position> after;
  if (!filter.cursor.empty()) {
    OCTROI_TRY(after, parse_cursor(filter.cursor));
  }
  std::vector<QueryValue> values;
  OCTROI_TRY(Query q, db.prepare(query_text(filter, after, values)));
  for (const auto& value : values) std::visit([&](const auto& v) { q.bind(v); }, value);
  Page page;
  for (;;) {
    OCTROI_TRY(const bool more, q.step());
    if (!more) return page;
    if (std::ssize(page.rows) == filter.limit) {
      const Row& last = page.rows.back();
      page.next = cursor_text({last.at, last.id.writer, last.id.seq});
      return page;
    }
    OCTROI_TRY(const StoredRow stored, read_stored(q));
    auto row = read_row(stored);
    if (!row || !is_searchable(q, *row)) {
      return fail(audit::Errc::broken,
                  fmt::format("row {} of {} is not what was written: run `octroi audit verify`",
                              stored.id.seq, stored.id.writer));
    }
    page.rows.push_back(*std::move(row));
  }
}

Result<std::vector<StoredRow>> audit_rows(Connection& db, std::string_view writer,
                                          std::int64_t from, int limit) {
  OCTROI_TRY(Query q, db.query(OCTROI_AUDIT_ROWS " WHERE writer = ? AND seq >= ?"
                                                 " ORDER BY seq LIMIT ?",
                               writer, from, std::int64_t{limit}));
  std::vector<StoredRow> out;
  for (;;) {
    OCTROI_TRY(const bool more, q.step());
    if (!more) return out;
    OCTROI_TRY(StoredRow stored, read_stored(q));
    // One that cannot be read is found by whoever verifies it.
    const auto row = read_row(stored);
    stored.searchable = !row || is_searchable(q, *row);
    out.push_back(std::move(stored));
  }
}

Result<std::vector<Head>> audit_heads(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT w.writer, r.seq, r.row_hash, r.at FROM audit_writers w"
                               " LEFT JOIN audit_rows r ON r.writer = w.writer AND r.seq ="
                               " (SELECT MAX(seq) FROM audit_rows m WHERE m.writer = w.writer)"
                               " ORDER BY w.started_at, w.writer"));
  std::vector<Head> out;
  for (;;) {
    OCTROI_TRY(const bool more, q.step());
    if (!more) return out;
    Head head;
    head.writer = q.text(0);
    if (!q.is_null(1)) {  // else all its rows are gone, and its checkpoints tell
      head.seq = q.integer(1);
      OCTROI_TRY(head.hash, read_bytes<32>(q, 2));
      head.at = {q.integer(3)};
    }
    out.push_back(std::move(head));
  }
}

// --- checkpoints

Result<> keep_checkpoint(Connection& db, const Checkpoint& c) {
  return db.run(
      "INSERT INTO audit_checkpoints (writer, seq, row_hash, at, public_key, signature)"
      " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (writer, seq) DO NOTHING",
      std::string_view(c.writer), c.seq, ByteView(c.row_hash), c.at.value, ByteView(c.key),
      ByteView(c.signature));
}

Result<std::vector<Checkpoint>> audit_checkpoints(Connection& db, std::string_view writer,
                                                  std::int64_t after, int limit) {
  OCTROI_TRY(Query q, db.query("SELECT writer, seq, row_hash, at, public_key, signature"
                               " FROM audit_checkpoints WHERE writer = ? AND seq > ?"
                               " ORDER BY seq LIMIT ?",
                               writer, after, std::int64_t{limit}));
  std::vector<Checkpoint> out;
  for (;;) {
    OCTROI_TRY(const bool more, q.step());
    if (!more) return out;
    Checkpoint c{q.text(0), q.integer(1), {}, {q.integer(3)}, {}, {}};
    OCTROI_TRY(c.row_hash, read_bytes<32>(q, 2));
    OCTROI_TRY(c.key, read_bytes<32>(q, 4));
    OCTROI_TRY(c.signature, read_bytes<64>(q, 5));
    out.push_back(std::move(c));
  }
}

}  // namespace octroi::sql
