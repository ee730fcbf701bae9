// octroi/adapters/postgres/session.h: one connection to a PostgreSQL server, as the shared SQL
// sees it.
//
// Two manners. `eager` is for a batch: statements whose rows nobody asked for yet are only queued
// (libpq's pipeline), so that a batch takes few turns of the network; a savepoint costs nothing,
// because a batch in which anything goes wrong is rolled back as a whole and done again call by
// call. `careful` is that second time: each statement is waited for, savepoints are real.
//
// Errors   told by SQLSTATE only, never with a value. `trouble()` says what the last transaction
//          came to, whatever its operations made of it.
// Poolers  a connection through pgbouncer (or another that gives its own process id) keeps no
//          prepared statement and no setting between transactions: none is used there.
// Thread   one at a time; every wait ends after Options::timeout.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/base/clock.h"
#include "octroi/base/secret.h"

struct pg_conn;
struct pg_result;

namespace octroi::postgres {

struct SessionOptions {
  std::string url;                            // postgresql://user@host/db?sslmode=…
  std::shared_ptr<const Secret> password;     // null: libpq's ways (none, .pgpass, a certificate)
  Millis timeout = std::chrono::seconds(10);  // for the server to answer
  Millis connect_timeout = std::chrono::seconds(3);  // for each of its hosts
};

/// What went wrong in a transaction, as far as it matters to who runs it.
enum class Trouble : std::uint8_t {
  none,
  again,      // a deadlock or a serialization failure: the same may succeed now
  statement,  // the server refused a statement
  lost,       // no connection any more, or not to a server that can write
};

struct ResultDeleter {
  void operator()(pg_result* r) const;
};
using ResultPtr = std::unique_ptr<pg_result, ResultDeleter>;

class Session final : public sql::Connection {
 public:
  /// Connects, and refuses a server that would not keep what it acknowledges.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const SessionOptions& options);
  ~Session() override;

  enum class Manner : std::uint8_t { careful, eager };
  void set_manner(Manner m) { manner_ = m; }

  [[nodiscard]] Trouble trouble() const { return trouble_; }
  [[nodiscard]] const std::optional<Error>& first_error() const { return error_; }
  /// In eager manner: an operation wanted a part of the transaction undone.
  [[nodiscard]] bool undo_wanted() const { return undo_wanted_; }
  [[nodiscard]] bool lost() const { return lost_; }
  [[nodiscard]] bool pooled() const { return pooled_; }

  [[nodiscard]] sql::Engine engine() const override { return sql::Engine::postgresql; }
  [[nodiscard]] Result<> script(const std::string& sql) override;
  [[nodiscard]] std::int64_t changes() override;
  [[nodiscard]] Result<> begin() override;
  /// Everything that was queued, and COMMIT. After `lost` nobody knows whether it happened.
  [[nodiscard]] Result<> commit() override;
  void rollback() override;
  [[nodiscard]] bool in_transaction() const override { return in_transaction_; }
  [[nodiscard]] Result<> lock_schema() override;
  [[nodiscard]] Result<bool> has_table(std::string_view name) override;
  [[nodiscard]] Result<bool> is_empty() override;
  /// Forgets what went wrong before; statements are then each their own transaction.
  void start_reading();
  /// False: the connection ended while nobody used it. Costs a look at the socket.
  [[nodiscard]] bool alive();
  /// What other connections told the channels that this one LISTENs to, as far as it was read.
  [[nodiscard]] std::vector<std::string> notices();
  /// Until something came, `wake` (a descriptor) is readable, or `limit` passed. An error: lost.
  [[nodiscard]] Result<> wait(int wake, Millis limit);
  /// Sends what is queued and waits for all of it.
  [[nodiscard]] Result<> drain();

 private:
  class Prepared;
  struct Deadline;
  Session(pg_conn* conn, const SessionOptions& options);

  [[nodiscard]] Result<> examine();
  [[nodiscard]] Result<> settle_in();
  [[nodiscard]] Result<sql::Statement*> cached(std::string_view sql) override;
  [[nodiscard]] Result<std::unique_ptr<sql::Statement>> once(std::string_view sql) override;
  [[nodiscard]] Result<> nest() override;
  [[nodiscard]] Result<> keep_nested() override;
  void undo_nested() override;

  /// Queues a statement without parameters.
  [[nodiscard]] Result<> command(const char* sql);
  /// Queues `s`; the answer to it is the last of the next drain().
  [[nodiscard]] Result<> queue(Prepared& s);
  [[nodiscard]] Result<> queued(int sent, int answers);
  [[nodiscard]] Result<> flush(const Deadline& deadline);
  [[nodiscard]] Result<ResultPtr> next_result(const Deadline& deadline);
  void take(ResultPtr result);
  void note(const pg_result* result);
  [[nodiscard]] tl::unexpected<Error> lose(std::string why);
  void forget_statements();

  pg_conn* const conn_;
  const SessionOptions options_;
  bool pooled_ = false;
  Manner manner_ = Manner::careful;
  std::map<std::string_view, std::unique_ptr<Prepared>> cache_;
  std::uint64_t names_ = 0;
  int waiting_ = 0;  // answers that were not read
  ResultPtr last_;   // of the statement that was run last
  bool in_transaction_ = false;
  bool lost_ = false;
  bool undo_wanted_ = false;
  Trouble trouble_ = Trouble::none;
  std::optional<Error> error_;
};

/// SQL with `?` and `?N` as PostgreSQL writes it ($1, $2), with its own comments opened.
[[nodiscard]] std::string in_postgres(std::string_view sql);

}  // namespace octroi::postgres
