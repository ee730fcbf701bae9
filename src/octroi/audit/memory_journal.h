// octroi/audit/memory_journal.h: a Journal that forgets when it is destroyed: for the tests of
// everything that writes an audit, and the model that the databases are compared with.
//
// Thread   any thread; one mutex. Answers without suspending.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "octroi/audit/journal.h"

namespace octroi::audit {

class MemoryJournal final : public Journal {
 public:
  /// `clock` must outlive it.
  explicit MemoryJournal(Clock& clock, std::string writer = "memory");

  /// While true every operation fails with Errc::unavailable and changes nothing: a full disk.
  void set_unavailable(bool yes);
  /// As if the process had ended and another one, of this name, had been started.
  void restart(std::string writer);

  [[nodiscard]] std::string writer() const override;
  Task<Result<RowId>> append(Event event) override;
  Task<Result<Page>> query(Filter filter) override;
  Task<Result<std::vector<StoredRow>>> rows(std::string writer, std::int64_t from,
                                            int limit) override;
  Task<Result<std::vector<Head>>> heads() override;
  Task<Result<>> keep_checkpoint(Checkpoint checkpoint) override;
  Task<Result<std::vector<Checkpoint>>> checkpoints(std::string writer, std::int64_t after,
                                                    int limit) override;

 private:
  struct Chain {
    std::vector<StoredRow> rows;
    std::map<std::int64_t, Checkpoint> checkpoints;
    UnixMillis last;
  };
  [[nodiscard]] Result<> ready() const;
  [[nodiscard]] std::optional<Head> newest() const;
  void add(Chain& chain, UnixMillis now, const Event& event);

  Clock& clock_;
  mutable std::mutex mutex_;
  bool unavailable_ = false;
  std::string writer_;
  std::vector<std::string> order_;
  std::map<std::string, Chain> chains_;
};

}  // namespace octroi::audit
