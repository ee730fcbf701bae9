#include "octroi/adapters/sqlite/workers.h"

#include <vector>

#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"

namespace octroi::sqlite {
namespace {

using sql::Connection;
using sql::Savepoint;
using Work = UniqueFunction<Result<>(Connection&)>;
using One = sql::CallOf<Result<>>;

Result<> add(Connection& db, std::int64_t n) { return db.run("INSERT INTO t (n) VALUES (?)", n); }

tl::unexpected<Error> no() { return fail(ledger::Errc::locked, "no"); }

Result<> adds(Connection& db, std::int64_t n) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(add(db, n));
  return all.keep();
}

/// Writes, and then says no.
Result<> adds_and_refuses(Connection& db, std::int64_t n) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(add(db, n));
  return no();
}

/// A part of it is undone; the rest is not, and it says yes.
Result<> adds_and_tries(Connection& db, std::int64_t n) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(add(db, n));
  static_cast<void>(adds_and_refuses(db, -n));
  return all.keep();
}

class WriterTest : public testing::Test {
 protected:
  WriterTest() {
    begin_migrated(folder_.file());
    auto db = Database::open(folder_.file(), Access::read_write, "");
    EXPECT_TRUE(db && (*db)->script("CREATE TABLE t (n INTEGER PRIMARY KEY)"));
    db_ = db->get();
    writer_ = std::make_unique<Writer>(*std::move(db), nullptr, 1000);
  }

  /// What became of each: whether it said yes.
  std::vector<bool> run(std::vector<Work> work) {
    std::vector<std::shared_ptr<sql::Call>> batch;
    batch.reserve(work.size());
    for (Work& w : work) batch.push_back(std::make_shared<One>(nullptr, 0, std::move(w)));
    writer_->run_batch(batch);
    std::vector<bool> out;
    out.reserve(batch.size());
    for (const auto& call : batch) out.push_back(static_cast<One&>(*call).take().has_value());
    return out;
  }

  std::vector<std::int64_t> rows() {
    std::vector<std::int64_t> out;
    auto q = db_->query("SELECT n FROM t ORDER BY n");
    while (q && q->step().value_or(false)) out.push_back(q->integer(0));
    return out;
  }

  TempFolder folder_;
  std::unique_ptr<Writer> writer_;
  Database* db_ = nullptr;
};

Work of(Result<> (*what)(Connection&, std::int64_t), std::int64_t n) {
  return [what, n](Connection& db) { return what(db, n); };
}

std::vector<Work> works(auto... one) {
  std::vector<Work> out;
  (out.push_back(std::move(one)), ...);
  return out;
}

using Answers = std::vector<bool>;
using Rows = std::vector<std::int64_t>;

TEST_F(WriterTest, NeighboursAreKept) {
  EXPECT_EQ(run(works(of(adds, 1), of(adds, 2))), (Answers{true, true}));
  EXPECT_EQ(rows(), (Rows{1, 2}));
  EXPECT_FALSE(db_->undo_wanted());
}

TEST_F(WriterTest, WhoSaysNoLeavesNothingAndItsNeighboursAreRunAgain) {
  int first = 0;
  Work counts = [&first](Connection& db) {
    ++first;
    return adds(db, 1);
  };
  EXPECT_EQ(run(works(std::move(counts), of(adds_and_refuses, 2), of(adds, 3))),
            (Answers{true, false, true}));
  EXPECT_EQ(rows(), (Rows{1, 3}));
  EXPECT_EQ(first, 2);
}

TEST_F(WriterTest, WhoSaysNoAloneLeavesNothing) {
  int runs = 0;
  Work refuses = [&runs](Connection& db) {
    ++runs;
    return adds_and_refuses(db, 1);
  };
  EXPECT_EQ(run(works(std::move(refuses))), (Answers{false}));
  EXPECT_TRUE(rows().empty());
  EXPECT_EQ(runs, 1) << "there was nobody to run again";
  EXPECT_EQ(run(works(of(adds, 2))), (Answers{true}));
  EXPECT_EQ(rows(), (Rows{2}));
}

TEST_F(WriterTest, APartThatIsUndoneTakesNothingElseWithIt) {
  EXPECT_EQ(run(works(of(adds_and_tries, 1))), (Answers{true}));
  EXPECT_EQ(run(works(of(adds, 2), of(adds_and_tries, 3))), (Answers{true, true}));
  EXPECT_EQ(rows(), (Rows{1, 2, 3}));
}

TEST_F(WriterTest, ARefusedRowUndoesItsOwnOperationOnly) {
  EXPECT_EQ(run(works(of(adds, 1), of(adds, 1), of(adds, 2))), (Answers{true, false, true}));
  EXPECT_EQ(rows(), (Rows{1, 2}));
}

}  // namespace
}  // namespace octroi::sqlite
