// octroi/audit/journal.h: the port behind which the audit journal is kept: rows that can only be
// added, each bound to the one before it.
//
// Chain    each process that writes has a chain of its own (`writer`, new with every start), rows
//          numbered from 1 without a gap; see row.h for how they are bound.
// Durable  append() returns when the row is on the disk, in the same commit as whatever else the
//          store was asked at that time. No audit row, no call: whoever gets an error must not do
//          what the row announces. A full disk is such an error.
// Order    rows of one writer are in the order of their numbers. Two appends that are under way at
//          once may come in either order.
// Thread   callable from any loop's thread; resumes on the caller's loop.
// Errors   Errc::bad_event, Errc::bad_filter; Errc::unavailable (or the store's own) when nothing
//          could be written or read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octroi/audit/checkpoint.h"
#include "octroi/audit/event.h"
#include "octroi/audit/row.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/task/task.h"

namespace octroi::audit {

/// What rows to show; an empty field does not narrow.
struct Filter {
  std::string run;
  std::string agent;
  std::string key_id;
  std::string vendor;
  std::string operation;
  std::string policy;
  std::string kind;
  std::string id;  // of a call
  std::optional<Verdict> verdict;
  std::optional<UnixMillis> from, to;  // from this one, before that one
  std::string cursor;                  // Page::next of the page before
  int limit = 50;                      // 1…1000
};

/// Newest first.
struct Page {
  std::vector<Row> rows;
  std::string next;  // the cursor of the rest; empty: that was all
};

/// The last row of a writer.
struct Head {
  std::string writer;
  std::int64_t seq = 0;
  Digest hash{};
  UnixMillis at;
};

class Journal {
 public:
  virtual ~Journal() = default;

  /// The chain that this process writes.
  [[nodiscard]] virtual std::string writer() const = 0;
  virtual Task<Result<RowId>> append(Event event) = 0;

  virtual Task<Result<Page>> query(Filter filter) = 0;
  /// Rows of one writer as they are stored, from this number on, at most `limit` (1…1000); less
  /// than that: these are the last.
  virtual Task<Result<std::vector<StoredRow>>> rows(std::string writer, std::int64_t from,
                                                    int limit) = 0;
  /// Of every writer that ever wrote, in the order of their beginning.
  virtual Task<Result<std::vector<Head>>> heads() = 0;

  /// A signed checkpoint, kept beside the rows so that every export has it.
  virtual Task<Result<>> keep_checkpoint(Checkpoint checkpoint) = 0;
  /// Of one writer, in the order of their numbers, after this one, at most `limit` (1…1000).
  virtual Task<Result<std::vector<Checkpoint>>> checkpoints(std::string writer, std::int64_t after,
                                                            int limit) = 0;
};

}  // namespace octroi::audit
