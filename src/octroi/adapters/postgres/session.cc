#include "octroi/adapters/postgres/session.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

#include "octroi/ledger/store.h"

namespace octroi::postgres {
namespace {

using ledger::Errc;

/// libpq's buffers take any number, but the server answers while we still send.
constexpr int kMostWaiting = 128;
constexpr int kBinary = 1;

constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;
constexpr Oid kBytea = 17;

std::uint64_t swap_to_network(std::uint64_t v) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(v) : v;
}

Trouble trouble_of(std::string_view state) {
  if (state == "40001" || state == "40P01" || state == "55P03") return Trouble::again;
  // Shutting down, crashed, starting; fail-over left us on a standby.
  if (state.starts_with("57P") || state.starts_with("08") || state == "25006") return Trouble::lost;
  return Trouble::statement;
}

Errc errc_of(std::string_view state) {
  // Integrity constraints and values out of range: the row is at fault, not the server.
  return state.starts_with("23") || state.starts_with("22") ? Errc::corrupt : Errc::unavailable;
}

std::string_view words_of(std::string_view state) {
  if (state == "40P01") return "a deadlock with another transaction";
  if (state == "40001") return "another transaction changed the same rows";
  if (state == "55P03") return "another transaction keeps its rows locked";
  if (state == "53100") return "its disk is full";
  if (state == "53300") return "it has too many connections";
  if (state == "42501") return "the role may not do this: grant it its tables";
  if (state == "42P01") return "a table is missing: run octroi migrate";
  if (state == "25006") return "it is read-only now";
  if (state.starts_with("57P")) return "it is shutting down or starting";
  if (state.starts_with("23") || state.starts_with("22")) return "it refused a row";
  return "it refused a statement";
}

std::string trimmed(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::ranges::replace(out, '\n', ' ');
  return out;
}

}  // namespace

void ResultDeleter::operator()(pg_result* r) const { PQclear(r); }

std::string in_postgres(std::string_view sql) {
  std::string out;
  out.reserve(sql.size() + 16);
  int next = 1;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const std::string_view rest = sql.substr(i);
    if (rest.front() == '\'') {
      const std::size_t end = sql.find('\'', i + 1);
      const std::size_t last = end == std::string_view::npos ? sql.size() - 1 : end;
      out.append(sql, i, last - i + 1);
      i = last;
    } else if (rest.starts_with("/*pg ")) {
      const std::size_t end = sql.find("*/", i);
      if (end == std::string_view::npos) return out;  // no statement of ours
      out += in_postgres(sql.substr(i + 5, end - i - 5));
      i = end + 1;
    } else if (rest.front() == '?') {
      std::size_t digits = 1;
      while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
      out += '$';
      out += digits > 1 ? std::string(rest.substr(1, digits - 1)) : std::to_string(next++);
      i += digits - 1;
    } else {
      out += rest.front();
    }
  }
  return out;
}

// --- statements

class Session::Prepared final : public sql::Statement {
 public:
  static constexpr std::size_t kMost = 24;  // parameters

  /// `keep`: the server keeps it too, under a name.
  Prepared(Session& session, std::string_view sql, bool keep)
      : session_(session), sql_(in_postgres(sql)), keep_(keep) {}

  void bind_integer(int index, std::int64_t value) override {
    const std::size_t i = slot(index, kInt8);
    integers_.at(i) = swap_to_network(static_cast<std::uint64_t>(value));
    put(i, reinterpret_cast<const char*>(&integers_.at(i)), sizeof value);
  }
  void bind_text(int index, std::string_view text) override {
    put(slot(index, kText), text.data(), text.size());
  }
  void bind_blob(int index, ByteView blob) override {
    put(slot(index, kBytea), reinterpret_cast<const char*>(blob.data()), blob.size());
  }
  void bind_null(int index, sql::ValueType type) override {
    switch (type) {
      case sql::ValueType::integer:
        values_.at(slot(index, kInt8)) = nullptr;
        return;
      case sql::ValueType::text:
        values_.at(slot(index, kText)) = nullptr;
        return;
      case sql::ValueType::blob:
        values_.at(slot(index, kBytea)) = nullptr;
        return;
    }
  }

  Result<bool> step() override {
    if (!rows_) {
      OCTROI_CHECK(session_.queue(*this));
      OCTROI_CHECK(session_.drain());
      rows_ = std::move(session_.last_);
      row_ = -1;
    }
    return ++row_ < PQntuples(rows_.get());
  }
  Result<> run() override {
    if (rows_) return {};  // stepped before: it has run, whatever rows are left
    OCTROI_CHECK(session_.queue(*this));
    if (session_.manner_ == Manner::eager) return {};
    return session_.drain();
  }

  std::int64_t integer(int column) const override {
    if (is_null(column)) return 0;
    const char* data = PQgetvalue(rows_.get(), row_, column);
    std::uint64_t value = 0;
    const int size = PQgetlength(rows_.get(), row_, column);
    for (int i = 0; i < size && i < 8; ++i) {
      value = value << 8U | static_cast<std::uint8_t>(data[i]);
    }
    if (size == 4) return static_cast<std::int32_t>(value);
    if (size == 2) return static_cast<std::int16_t>(value);
    return static_cast<std::int64_t>(value);
  }
  ByteView bytes(int column) const override {
    return {reinterpret_cast<const std::uint8_t*>(PQgetvalue(rows_.get(), row_, column)),
            static_cast<std::size_t>(PQgetlength(rows_.get(), row_, column))};
  }
  bool is_null(int column) const override { return PQgetisnull(rows_.get(), row_, column) == 1; }
  void reset() override {
    rows_.reset();
    row_ = -1;
  }

  /// Sends it; 1 as libpq says it. `answers` counts what will come back.
  int send(PGconn* conn, int& answers) {
    const bool by_name = keep_ && !session_.pooled_;
    if (by_name && name_.empty()) {
      name_ = fmt::format("o{}", ++session_.names_);
      ++answers;
      if (PQsendPrepare(conn, name_.c_str(), sql_.c_str(), count_, types_.data()) != 1) return 0;
    }
    ++answers;
    if (by_name) {
      return PQsendQueryPrepared(conn, name_.c_str(), count_, values_.data(), lengths_.data(),
                                 formats().data(), kBinary);
    }
    return PQsendQueryParams(conn, sql_.c_str(), count_, types_.data(), values_.data(),
                             lengths_.data(), formats().data(), kBinary);
  }
  void forget() { name_.clear(); }

 private:
  static const std::array<int, kMost>& formats() {
    static const std::array<int, kMost> all = [] {
      std::array<int, kMost> a{};
      a.fill(kBinary);
      return a;
    }();
    return all;
  }
  std::size_t slot(int index, Oid type) {
    const auto i = static_cast<std::size_t>(index - 1);
    count_ = std::max(count_, index);
    types_.at(i) = type;
    return i;
  }
  void put(std::size_t i, const char* data, std::size_t size) {
    values_.at(i) = data == nullptr ? "" : data;  // a null pointer would be NULL
    lengths_.at(i) = static_cast<int>(size);
  }

  Session& session_;
  const std::string sql_;
  const bool keep_;
  std::string name_;  // empty: the server does not know it yet
  int count_ = 0;
  std::array<Oid, kMost> types_{};
  std::array<const char*, kMost> values_{};
  std::array<int, kMost> lengths_{};
  std::array<std::uint64_t, kMost> integers_{};
  ResultPtr rows_;
  int row_ = -1;
};

Result<sql::Statement*> Session::cached(std::string_view sql) {
  if (const auto it = cache_.find(sql); it != cache_.end()) return it->second.get();
  return cache_.emplace(sql, std::make_unique<Prepared>(*this, sql, true)).first->second.get();
}

Result<std::unique_ptr<sql::Statement>> Session::once(std::string_view sql) {
  return std::unique_ptr<sql::Statement>(std::make_unique<Prepared>(*this, sql, false));
}

void Session::forget_statements() {
  for (const auto& [sql, statement] : cache_) statement->forget();
}

// --- the connection

struct Session::Deadline {
  explicit Deadline(Millis wait) : end(std::chrono::steady_clock::now() + wait) {}
  [[nodiscard]] int left() const {
    const auto d = std::chrono::ceil<Millis>(end - std::chrono::steady_clock::now());
    return static_cast<int>(std::max<Millis::rep>(d.count(), 0));
  }
  std::chrono::steady_clock::time_point end;
};

Result<std::unique_ptr<Session>> Session::open(const SessionOptions& options) {
  const std::string connect_timeout =
      std::to_string(std::max<std::int64_t>(options.connect_timeout.count() / 1000, 2));
  const std::string user_timeout = std::to_string(options.timeout.count());
  const std::string password =
      options.password ? std::string(options.password->reveal_text()) : std::string();
  // Before `dbname` stand defaults that the URL may replace, after it what it may not.
  const std::array<const char*, 9> names = {"connect_timeout",
                                            "tcp_user_timeout",
                                            "keepalives_idle",
                                            "application_name",
                                            "target_session_attrs",
                                            "dbname",
                                            "client_encoding",
                                            "password",
                                            nullptr};
  const std::array<const char*, 9> values = {connect_timeout.c_str(),
                                             user_timeout.c_str(),
                                             "15",
                                             "octroi",
                                             "read-write",
                                             options.url.c_str(),
                                             "UTF8",
                                             options.password ? password.c_str() : nullptr,
                                             nullptr};
  // The blocking way, because only it goes on to the next host when one does not answer.
  PGconn* conn = PQconnectdbParams(names.data(), values.data(), /*expand_dbname=*/1);
  std::unique_ptr<Session> session(new Session(conn, options));  // its constructor is private
  if (PQstatus(conn) != CONNECTION_OK) {
    return fail(Errc::unavailable, fmt::format("PostgreSQL: {}", trimmed(PQerrorMessage(conn))));
  }
  // What the server says unasked would go to stderr.
  PQsetNoticeProcessor(conn, [](void*, const char*) {}, nullptr);
  if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1) {
    return fail(Errc::unavailable, "PostgreSQL: libpq cannot pipeline on this connection");
  }
  OCTROI_CHECK(session->examine());
  OCTROI_CHECK(session->settle_in());
  return session;
}

Session::Session(pg_conn* conn, const SessionOptions& options) : conn_(conn), options_(options) {}

Session::~Session() {
  cache_.clear();
  last_.reset();
  PQfinish(conn_);
}

/// Who answers, and whether it would keep its word.
Result<> Session::examine() {
  pooled_ = true;  // nothing is prepared before we know
  OCTROI_TRY(sql::Query q,
             query("SELECT CAST(pg_backend_pid() AS BIGINT), current_setting('synchronous_commit'),"
                   " current_setting('synchronous_standby_names'),"
                   " CAST(current_setting('server_version_num') AS BIGINT),"
                   " CAST(pg_is_in_recovery() AS INTEGER), current_setting('server_encoding')"));
  OCTROI_TRY([[maybe_unused]] const bool row, q.step());
  pooled_ = q.integer(0) != PQbackendPID(conn_);
  const std::string commit = q.text(1);
  if (commit == "off" || (commit == "local" && !q.text(2).empty())) {
    return fail(
        Errc::unavailable,
        fmt::format("PostgreSQL: synchronous_commit is {} for this role: a payment that was "
                    "acknowledged could be lost; ALTER ROLE … SET synchronous_commit = on",
                    commit));
  }
  if (q.integer(3) < 130000) {
    return fail(Errc::unavailable, "PostgreSQL: version 13 or newer is needed");
  }
  if (q.integer(4) != 0) {
    return fail(Errc::unavailable, "PostgreSQL: this server is a standby; name the primary");
  }
  if (q.text(5) != "UTF8") {
    return fail(Errc::unavailable,
                fmt::format("PostgreSQL: the database is encoded in {}; make it with ENCODING UTF8",
                            q.text(5)));
  }
  return {};
}

Result<> Session::settle_in() {
  if (pooled_) {
    if (begin() && commit()) return {};
    return fail(Errc::unavailable,
                "PostgreSQL: the pooler in between does not carry transactions; set its "
                "pool_mode = transaction, or session");
  }
  // A replica that hangs in the middle of a transaction must not keep its locks from the others,
  // and whoever waits for one should be told before this side gives the whole connection up.
  return script(
      fmt::format("SET idle_in_transaction_session_timeout = {}", options_.timeout.count()));
}

tl::unexpected<Error> Session::lose(std::string why) {
  lost_ = true;
  in_transaction_ = false;
  trouble_ = Trouble::lost;
  waiting_ = 0;
  if (!error_) error_ = Error(Errc::unavailable, "PostgreSQL: " + std::move(why));
  return fail(*error_);
}

Result<> Session::queued(int sent, int answers) {
  if (sent != 1) return lose(trimmed(PQerrorMessage(conn_)));
  waiting_ += answers;
  if (waiting_ < kMostWaiting) return {};
  return drain();
}

Result<> Session::command(const char* sql) {
  if (lost_) return lose("the connection is lost");
  return queued(PQsendQueryParams(conn_, sql, 0, nullptr, nullptr, nullptr, nullptr, kBinary), 1);
}

Result<> Session::queue(Prepared& s) {
  if (lost_) return lose("the connection is lost");
  int answers = 0;
  const int sent = s.send(conn_, answers);
  return queued(sent, answers);
}

Result<> Session::flush(const Deadline& deadline) {
  for (;;) {
    const int left = PQflush(conn_);
    if (left == 0) return {};
    if (left < 0) return lose(trimmed(PQerrorMessage(conn_)));
    pollfd fd{PQsocket(conn_), POLLIN | POLLOUT, 0};
    if (::poll(&fd, 1, deadline.left()) == 0) return lose("the server does not answer");
    if ((fd.revents & POLLIN) != 0 && PQconsumeInput(conn_) != 1) {
      return lose(trimmed(PQerrorMessage(conn_)));
    }
  }
}

/// The next result, null at the end of one statement's.
Result<ResultPtr> Session::next_result(const Deadline& deadline) {
  while (PQisBusy(conn_) == 1) {
    pollfd fd{PQsocket(conn_), POLLIN, 0};
    if (::poll(&fd, 1, deadline.left()) == 0) return lose("the server does not answer");
    if (PQconsumeInput(conn_) != 1) return lose(trimmed(PQerrorMessage(conn_)));
  }
  return ResultPtr(PQgetResult(conn_));
}

void Session::note(const pg_result* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "08006" : field;
  const Trouble t = trouble_of(state);
  // What comes after the first error says only that the transaction has failed.
  if (trouble_ == Trouble::none || t == Trouble::lost) trouble_ = t;
  if (t == Trouble::lost) lost_ = true;
  if (!error_) {
    error_ =
        Error(errc_of(state), fmt::format("PostgreSQL: {} (SQLSTATE {})", words_of(state), state));
  }
}

void Session::take(ResultPtr result) {
  switch (PQresultStatus(result.get())) {
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
      note(result.get());
      return;
    case PGRES_PIPELINE_ABORTED:
      return;  // behind an error that was noted
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_NONFATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
      last_ = std::move(result);
      return;
  }
}

Result<> Session::drain() {
  if (lost_) return lose("the connection is lost");
  const Trouble before = trouble_;
  if (waiting_ > 0) {
    last_.reset();
    if (PQpipelineSync(conn_) != 1) return lose(trimmed(PQerrorMessage(conn_)));
    const Deadline deadline(options_.timeout);
    OCTROI_CHECK(flush(deadline));
    for (int nulls = 0;;) {
      OCTROI_TRY(ResultPtr result, next_result(deadline));
      if (!result) {
        if (PQstatus(conn_) != CONNECTION_OK) return lose("the connection is lost");
        if (++nulls > waiting_ + 1) return lose("the server's answers do not fit the questions");
        continue;
      }
      if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
      take(std::move(result));
    }
    waiting_ = 0;
  }
  if (lost_) return lose("the connection is lost");
  if (trouble_ != Trouble::none) {
    // What was prepared behind the error was not prepared.
    if (before == Trouble::none) forget_statements();
    return fail(*error_);
  }
  return {};
}

std::int64_t Session::changes() {
  if (!drain() || !last_) return 0;
  const std::string_view text = PQcmdTuples(last_.get());
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

Result<> Session::script(const std::string& sql) {
  // Pipelines take one statement at a time. Our scripts have no semicolon inside a statement but
  // in comments, which end with their line.
  std::string statement;
  bool blank = true;
  bool comment = false;
  const auto send = [&]() -> Result<> {
    if (!std::exchange(blank, true)) {
      OCTROI_CHECK(command(statement.c_str()));
      OCTROI_CHECK(drain());
    }
    statement.clear();
    return {};
  };
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (!comment && sql.compare(i, 2, "--") == 0) comment = true;
    if (sql[i] == '\n') comment = false;
    if (!comment && sql[i] == ';') {
      OCTROI_CHECK(send());
      continue;
    }
    if (!comment && sql[i] != ' ' && sql[i] != '\n') blank = false;
    statement += sql[i];
  }
  return send();
}

bool Session::alive() {
  // The first read may bring the server's last words, the next one the end.
  for (int reads = 0; reads < 4 && !lost_; ++reads) {
    pollfd fd{PQsocket(conn_), POLLIN, 0};
    if (::poll(&fd, 1, 0) == 0) return true;
    if (PQconsumeInput(conn_) != 1 || PQstatus(conn_) != CONNECTION_OK) lost_ = true;
  }
  return !lost_;
}

std::vector<std::string> Session::notices() {
  std::vector<std::string> out;
  while (PGnotify* one = PQnotifies(conn_)) {
    out.emplace_back(one->extra);
    PQfreemem(one);
  }
  return out;
}

Result<> Session::wait(int wake, Millis limit) {
  std::array<pollfd, 2> fds{pollfd{PQsocket(conn_), POLLIN, 0}, pollfd{wake, POLLIN, 0}};
  ::poll(fds.data(), fds.size(), static_cast<int>(std::max<Millis::rep>(limit.count(), 0)));
  if (!alive()) return lose("the connection is lost");
  return {};
}

// --- transactions

void Session::start_reading() {
  manner_ = Manner::careful;
  trouble_ = Trouble::none;
  error_.reset();
  undo_wanted_ = false;
}

Result<> Session::begin() {
  note_transaction();
  trouble_ = Trouble::none;
  error_.reset();
  undo_wanted_ = false;
  OCTROI_CHECK(command("BEGIN ISOLATION LEVEL READ COMMITTED"));
  in_transaction_ = true;
  if (manner_ == Manner::eager) return {};
  return drain();
}

Result<> Session::commit() {
  OCTROI_CHECK(command("COMMIT"));
  OCTROI_CHECK(drain());
  in_transaction_ = false;
  // The server answers a COMMIT of a failed transaction with ROLLBACK.
  if (last_ && std::string_view(PQcmdStatus(last_.get())) == "COMMIT") return {};
  trouble_ = Trouble::statement;
  error_ = Error(Errc::unavailable, "PostgreSQL: the transaction was rolled back");
  return fail(*error_);
}

void Session::rollback() {
  const auto trouble = std::exchange(trouble_, Trouble::none);
  auto error = std::exchange(error_, std::nullopt);
  // Whether it worked is told by lost(): without a connection there is nothing to roll back.
  if (in_transaction_ && !lost_ && command("ROLLBACK")) static_cast<void>(drain());
  if (trouble != Trouble::none && !pooled_ && !lost_ && command("DEALLOCATE ALL")) {
    static_cast<void>(drain());
    forget_statements();
  }
  in_transaction_ = false;
  if (trouble_ != Trouble::lost) {
    trouble_ = trouble;
    error_ = std::move(error);
  }
}

Result<> Session::nest() {
  if (manner_ == Manner::eager) return {};
  OCTROI_CHECK(command("SAVEPOINT operation"));
  return drain();
}

Result<> Session::keep_nested() {
  if (manner_ == Manner::eager) return {};
  OCTROI_CHECK(command("RELEASE SAVEPOINT operation"));
  return drain();
}

void Session::undo_nested() {
  undo_wanted_ = true;
  // After an error the whole transaction goes: its one operation failed.
  if (manner_ == Manner::eager || trouble_ != Trouble::none) return;
  if (command("ROLLBACK TO SAVEPOINT operation") && command("RELEASE SAVEPOINT operation")) {
    static_cast<void>(drain());
  }
}

// --- the schema

Result<> Session::lock_schema() {
  // Any number that no other program takes: "octroi" in ASCII. Held until the transaction ends.
  return run("SELECT pg_advisory_xact_lock(?)", std::int64_t{0x6f6374726f69});
}

Result<bool> Session::has_table(std::string_view name) {
  OCTROI_TRY(sql::Query q, query("SELECT 1 FROM pg_catalog.pg_tables"
                                 " WHERE schemaname = current_schema() AND tablename = ?",
                                 name));
  return q.step();
}

Result<bool> Session::is_empty() {
  OCTROI_TRY(sql::Query q, query("SELECT count(*) FROM pg_catalog.pg_tables"
                                 " WHERE schemaname = current_schema()"));
  OCTROI_TRY([[maybe_unused]] const bool row, q.step());
  return q.integer(0) == 0;
}

}  // namespace octroi::postgres
