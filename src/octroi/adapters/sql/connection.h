// octroi/adapters/sql/connection.h: a database connection as the shared SQL sees it, whichever
// engine is behind it. The drivers (adapters/sqlite, adapters/postgres) implement it.
//
// SQL       written once, for both: parameters are `?` (the next one) or `?N` (that one, again);
//           what only PostgreSQL may see stands in a comment that begins with `pg`, as in
//           `/*pg FOR UPDATE*/`; times and amounts are BIGINT, a sum is CAST(… AS BIGINT).
// Values    integer (64 bits), text (UTF-8 without a zero byte), blob, and null of one of them.
// Isolation READ COMMITTED is what may be relied upon: a decision and the write that rests on it
//           are one statement, or the row is locked first.
// Errors    ledger::Errc::corrupt when the database refused a row; ledger::Errc::unavailable for
//           everything else. An operation that got one must return it: drivers run an operation
//           again when only its moment was unlucky (a deadlock, a batch that failed), so it must
//           not have any effect but through its connection.
// Thread    one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"

namespace octroi::sql {

class CallBuffer;
class OfferIndex;

enum class Engine : std::uint8_t { sqlite, postgresql };
/// "sqlite", "postgresql".
[[nodiscard]] std::string_view to_string(Engine e);
[[nodiscard]] std::optional<Engine> engine_from_string(std::string_view text);

enum class ValueType : std::uint8_t { integer, text, blob };

/// The driver's side of a prepared statement. Parameters count from 1, columns from 0; what is
/// bound must live until the last step.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual void bind_integer(int index, std::int64_t value) = 0;
  virtual void bind_text(int index, std::string_view text) = 0;
  virtual void bind_blob(int index, ByteView blob) = 0;
  virtual void bind_null(int index, ValueType type) = 0;
  /// True: a row is there to be read.
  [[nodiscard]] virtual Result<bool> step() = 0;
  /// To the end, without looking at rows.
  [[nodiscard]] virtual Result<> run() = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  /// The bytes of a blob or of a text; until the next step.
  [[nodiscard]] virtual ByteView bytes(int column) const = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  /// Ready to be bound again.
  virtual void reset() = 0;
};

/// A statement in use: bound, stepped, and given back clean when it goes out of scope.
class Query {
 public:
  explicit Query(Statement& cached) : statement_(&cached) {}
  explicit Query(std::unique_ptr<Statement> own) : own_(std::move(own)), statement_(own_.get()) {}
  Query(Query&& other) noexcept
      : own_(std::move(other.own_)),
        statement_(std::exchange(other.statement_, nullptr)),
        next_(other.next_) {}
  Query& operator=(Query&&) = delete;
  Query(const Query&) = delete;
  ~Query() {
    if (statement_ != nullptr) statement_->reset();
  }

  /// Binds the next parameter.
  Query& bind(std::int64_t value) {
    statement_->bind_integer(next_++, value);
    return *this;
  }
  Query& bind(std::string_view text) {
    statement_->bind_text(next_++, text);
    return *this;
  }
  Query& bind(ByteView blob) {
    statement_->bind_blob(next_++, blob);
    return *this;
  }
  Query& bind(const std::optional<std::int64_t>& v) {
    return v ? bind(*v) : null(ValueType::integer);
  }
  Query& bind(const std::optional<std::string_view>& v) {
    return v ? bind(*v) : null(ValueType::text);
  }
  Query& bind(const std::optional<ByteView>& v) { return v ? bind(*v) : null(ValueType::blob); }

  [[nodiscard]] Result<bool> step() { return statement_->step(); }
  [[nodiscard]] Result<> run() { return statement_->run(); }

  [[nodiscard]] std::int64_t integer(int column) const { return statement_->integer(column); }
  [[nodiscard]] std::string text(int column) const { return std::string(as_text(blob(column))); }
  [[nodiscard]] ByteView blob(int column) const { return statement_->bytes(column); }
  [[nodiscard]] bool is_null(int column) const { return statement_->is_null(column); }

 private:
  Query& null(ValueType type) {
    statement_->bind_null(next_++, type);
    return *this;
  }

  std::unique_ptr<Statement> own_;
  Statement* statement_;
  int next_ = 1;
};

/// The text of a statement that is kept: a constant, since connections keep a view of it. What is
/// put together at run time does not compile here; see Connection::prepare().
class Sql {
 public:
  consteval Sql(const char* text) : text_(text) {}       // NOLINT(google-explicit-constructor)
  consteval Sql(std::string_view text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  [[nodiscard]] virtual Engine engine() const = 0;

  /// A statement kept for the life of the connection.
  template <class... Args>
  [[nodiscard]] Result<Query> query(Sql sql, const Args&... args) {
    OCTROI_TRY(Statement* const statement, cached(sql.text()));
    Query q(*statement);
    (static_cast<void>(q.bind(args)), ...);
    return q;
  }
  template <class... Args>
  [[nodiscard]] Result<> run(Sql sql, const Args&... args) {
    OCTROI_TRY(Query q, query(sql, args...));
    return q.run();
  }
  /// A statement for this once, of a text made on the way.
  [[nodiscard]] Result<Query> prepare(std::string_view sql) {
    OCTROI_TRY(auto statement, once(sql));
    return Query(std::move(statement));
  }
  /// Any number of statements, without parameters, as the engine takes them.
  [[nodiscard]] virtual Result<> script(const std::string& sql) = 0;

  /// Rows that the last run() changed. 0 when it failed.
  [[nodiscard]] virtual std::int64_t changes() = 0;

  /// The id that the last insert gave its row, of an engine that knows it without RETURNING (which
  /// makes SQLite build a table in between); 0: ask with RETURNING.
  [[nodiscard]] virtual std::int64_t last_row_id() { return 0; }

  /// Where this connection looks up offers by their hash; null: in the database.
  [[nodiscard]] virtual OfferIndex* offer_index() { return nullptr; }

  /// What this connection keeps of calls before their tables have it; null: nothing.
  [[nodiscard]] virtual CallBuffer* call_buffer() { return nullptr; }

  /// A transaction that may write.
  [[nodiscard]] virtual Result<> begin() = 0;
  [[nodiscard]] virtual Result<> commit() = 0;
  virtual void rollback() = 0;
  [[nodiscard]] virtual bool in_transaction() const = 0;
  /// How many were begun on this connection: what was remembered of an earlier one may have been
  /// rolled back.
  [[nodiscard]] std::uint64_t transactions() const { return transactions_; }

  /// For migrations: within a transaction, keeps other processes from changing the schema.
  [[nodiscard]] virtual Result<> lock_schema() = 0;
  [[nodiscard]] virtual Result<bool> has_table(std::string_view name) = 0;
  /// Whether there is any table at all.
  [[nodiscard]] virtual Result<bool> is_empty() = 0;

 protected:
  /// For begin().
  void note_transaction() { ++transactions_; }

 private:
  friend class Savepoint;
  /// `sql` lives as long as the program.
  [[nodiscard]] virtual Result<Statement*> cached(std::string_view sql) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Statement>> once(std::string_view sql) = 0;
  [[nodiscard]] virtual Result<> nest() = 0;
  [[nodiscard]] virtual Result<> keep_nested() = 0;
  virtual void undo_nested() = 0;

  std::uint64_t transactions_ = 0;
};

/// All or nothing for an operation of several statements inside a batch of others. Keep it also
/// when nothing was written: an undo may cost the whole batch a second try.
class Savepoint {
 public:
  [[nodiscard]] static Result<Savepoint> begin(Connection& db) {
    OCTROI_CHECK(db.nest());
    return Savepoint(db);
  }
  Savepoint(Savepoint&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Savepoint& operator=(Savepoint&&) = delete;
  Savepoint(const Savepoint&) = delete;
  /// Undoes the operation unless it was kept.
  ~Savepoint() {
    if (db_ != nullptr) db_->undo_nested();
  }
  [[nodiscard]] Result<> keep() { return std::exchange(db_, nullptr)->keep_nested(); }

 private:
  explicit Savepoint(Connection& db) : db_(&db) {}
  Connection* db_;
};

}  // namespace octroi::sql
