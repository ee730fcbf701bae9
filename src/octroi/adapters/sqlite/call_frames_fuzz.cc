// Frames of the log of calls: whatever stands in them, replaying refuses or applies, and what was
// written is read back as it was.
#include <cstdlib>

#include "octroi/adapters/sql/call_frames.h"
#include "octroi/adapters/sql/migrations.h"
#include "octroi/adapters/sqlite/database.h"

namespace {

octroi::sqlite::Database& database() {
  using namespace octroi;
  static const auto db = [] {
    auto opened = sqlite::Database::open(":memory:", sqlite::Access::read_write, "").value();
    const auto known = sql::embedded_migrations();
    if (!sql::migrate_to(*opened, known, static_cast<std::int64_t>(known.size()), UnixMillis{0}))
      std::abort();
    if (!opened->script("INSERT INTO spend_windows (scope, unit, starts_at, ends_at, held, settled,"
                        " seen_at) VALUES ('s', 'calls', 0, 10, 0, 0, 0)"))
      std::abort();
    return opened;
  }();
  return *db;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  sqlite::Database& db = database();
  if (!db.begin()) std::abort();
  static_cast<void>(sql::replay(db, {data, size}));
  db.rollback();

  // A reservation whose texts are the input's.
  sql::StoredSpend spend;
  spend.record.id = to_hex(ByteView(data, size < 32 ? size : 32)) + "x";
  spend.record.run = to_hex({data, size});
  spend.holds.push_back({1, ledger::SpendUnit::calls, static_cast<std::int64_t>(size), true});
  std::string frame;
  sql::append_record(frame, spend);
  if (!db.begin() || !sql::replay(db, as_bytes(frame))) std::abort();
  {
    auto q =
        db.query("SELECT run, holds FROM spends WHERE id = ?", std::string_view(spend.record.id));
    if (!q || !q->step().value_or(false) || q->text(0) != spend.record.run ||
        q->text(1) != sql::to_text(spend.holds))
      std::abort();
  }
  db.rollback();
  return 0;
}
