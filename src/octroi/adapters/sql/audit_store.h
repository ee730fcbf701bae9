// octroi/adapters/sql/audit_store.h: audit::Journal over the lanes of a SqlStore. The chain of this
// process is written by one lane, in the commits of whatever else that lane was asked.
//
// Thread   as SqlStore.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/adapters/sql/lane.h"
#include "octroi/audit/journal.h"
#include "octroi/base/clock.h"

namespace octroi::sql {

class Lanes;

class SqlJournal final : public audit::Journal {
 public:
  /// `lanes` and `clock` must outlive it; `writer` is used by nobody else, ever.
  SqlJournal(Lanes& lanes, Clock& clock, std::string writer);

  [[nodiscard]] std::string writer() const override { return writer_; }
  Task<Result<audit::RowId>> append(audit::Event event) override;
  Task<Result<audit::Page>> query(audit::Filter filter) override;
  Task<Result<std::vector<audit::StoredRow>>> rows(std::string writer, std::int64_t from,
                                                   int limit) override;
  Task<Result<std::vector<audit::Head>>> heads() override;
  Task<Result<>> keep_checkpoint(audit::Checkpoint checkpoint) override;
  Task<Result<std::vector<audit::Checkpoint>>> checkpoints(std::string writer, std::int64_t after,
                                                           int limit) override;

  /// For operations that write a row beside something else (call_store.h): on the lane of kKey, as
  /// the last step before they are kept.
  static constexpr std::uint64_t kKey = 0xa0d17;
  [[nodiscard]] const std::shared_ptr<ChainTip>& tip() const { return tip_; }
  [[nodiscard]] UnixMillis now() const { return clock_.now(); }

 private:
  Lanes& lanes_;
  Clock& clock_;
  const std::string writer_;
  std::shared_ptr<ChainTip> tip_;  // of the lane's thread
};

}  // namespace octroi::sql
