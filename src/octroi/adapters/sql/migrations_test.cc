#include "octroi/adapters/sql/migrations.h"

#include <gtest/gtest.h>

#include "octroi/ledger/store.h"

namespace octroi::sql {
namespace {

/// No row, whatever was asked.
class NoRows final : public Statement {
 public:
  void bind_integer(int /*index*/, std::int64_t /*value*/) override {}
  void bind_text(int /*index*/, std::string_view /*text*/) override {}
  void bind_blob(int /*index*/, ByteView /*blob*/) override {}
  void bind_null(int /*index*/, ValueType /*type*/) override {}
  Result<bool> step() override { return false; }
  Result<> run() override { return {}; }
  [[nodiscard]] std::int64_t integer(int /*column*/) const override { return 0; }
  [[nodiscard]] ByteView bytes(int /*column*/) const override { return {}; }
  [[nodiscard]] bool is_null(int /*column*/) const override { return true; }
  void reset() override {}
};

/// A database that another replica migrates between the first question and the second.
class Overtaken final : public Connection {
 public:
  explicit Overtaken(bool by_octroi) : by_octroi_(by_octroi) {}
  [[nodiscard]] Engine engine() const override { return Engine::postgresql; }
  Result<> script(const std::string& /*sql*/) override { return {}; }
  std::int64_t changes() override { return 0; }
  Result<> begin() override { return {}; }
  Result<> commit() override { return {}; }
  void rollback() override {}
  [[nodiscard]] bool in_transaction() const override { return false; }
  Result<> lock_schema() override { return {}; }
  Result<bool> has_table(std::string_view /*name*/) override {
    return questions_++ > 0 && by_octroi_;
  }
  Result<bool> is_empty() override { return questions_++ == 0; }

 private:
  Result<Statement*> cached(std::string_view /*sql*/) override { return &statement_; }
  Result<std::unique_ptr<Statement>> once(std::string_view /*sql*/) override {
    return std::make_unique<NoRows>();
  }
  Result<> nest() override { return {}; }
  Result<> keep_nested() override { return {}; }
  void undo_nested() override {}

  NoRows statement_;
  int questions_ = 0;
  bool by_octroi_;
};

// Replicas start together on an empty database, and each looks before it takes the lock.
TEST(SchemaVersion, OfADatabaseThatIsMigratedMeanwhileIsNoOtherProgram) {
  Overtaken db(true);
  const auto version = schema_version(db, embedded_migrations());
  ASSERT_TRUE(version) << version.error().message();
}

TEST(SchemaVersion, OfAnotherProgramsDatabaseIsRefused) {
  Overtaken db(false);
  ASSERT_TRUE(db.is_empty());
  const auto version = schema_version(db, embedded_migrations());
  ASSERT_FALSE(version);
  EXPECT_TRUE(version.error().is(ledger::Errc::corrupt));
}

}  // namespace
}  // namespace octroi::sql
