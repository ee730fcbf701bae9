// octroi/adapters/postgres/workers.h: what the lanes of a PostgreSQL store do.
//
// A batch is one transaction, its calls ordered by key (see adapters/sql/lane.h). When anything in
// it fails it is rolled back, and each call is done again in a transaction of its own, a bounded
// number of times as long as only its moment was unlucky.
//
// When the server cannot be reached the calls fail at once; the connection is made again with the
// next call, at most every so often (Backoff). When it is lost before COMMIT was sent nothing has
// happened, and the batch is tried once more on a new connection. When it is lost after, nobody
// knows: the callers are told so.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "octroi/adapters/postgres/session.h"
#include "octroi/adapters/sql/lane.h"

namespace octroi::postgres {

/// A session that is made when it is needed and made again when it was lost.
class Link {
 public:
  explicit Link(SessionOptions options, std::unique_ptr<Session> first = nullptr)
      : options_(std::move(options)), session_(std::move(first)) {}
  /// The session, connected as far as we know.
  [[nodiscard]] Result<Session*> get();
  /// Drops a session that was lost.
  void tidy();

 private:
  const SessionOptions options_;
  std::unique_ptr<Session> session_;
  std::chrono::steady_clock::time_point not_before_;
  Millis pause_{0};
  std::optional<Error> why_;
};

class Writer final : public sql::Worker {
 public:
  explicit Writer(Link link) : link_(std::move(link)) {}
  void run_batch(sql::Batch batch) override;

 private:
  enum class End : std::uint8_t {
    done,        // committed, or refused for good
    not_begun,   // lost before COMMIT was sent: nothing happened
    one_by_one,  // rolled back: something in it failed
  };
  [[nodiscard]] End try_together(Session& session, sql::Batch batch);
  [[nodiscard]] End try_alone(Session& session, sql::Call& call);
  void do_alone(sql::Call& call);

  Link link_;
};

class Reader final : public sql::Worker {
 public:
  explicit Reader(Link link) : link_(std::move(link)) {}
  void run_batch(sql::Batch batch) override;

 private:
  void run(sql::Call& call);
  Link link_;
};

}  // namespace octroi::postgres
