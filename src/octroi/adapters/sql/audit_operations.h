// octroi/adapters/sql/audit_operations.h: the statements of audit::Journal. Each function is one
// operation, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/audit/journal.h"

namespace octroi::sql {

/// Where the chain of this process stands, as far as the transaction that looked last knows. For
/// the one thread that writes it.
struct ChainTip {
  std::string writer;
  std::int64_t seq = 0;
  audit::Digest hash{};
  const Connection* connection = nullptr;  // of which it was read
  std::uint64_t transaction = 0;           // in which it was read
};

/// What rows are searched by: views of an event, which must outlive it.
struct AuditColumns {
  std::string_view kind, call_id, run, agent, key_id, vendor, operation, policy, verdict;
};
[[nodiscard]] AuditColumns searched_by(const audit::Event& event);
/// Writes a row that was made, and nothing else.
[[nodiscard]] Result<> insert_audit_row(Connection& db, const audit::StoredRow& row, UnixMillis at,
                                        const AuditColumns& columns);
/// Where the chain stands in the tables; begins it when it is not there.
[[nodiscard]] Result<> find_tip(Connection& db, ChainTip& tip, UnixMillis now);

/// REQUIRES a prepared event.
[[nodiscard]] Result<audit::RowId> append_row(Connection& db, ChainTip& tip, UnixMillis now,
                                              const audit::Event& event);
[[nodiscard]] Result<audit::Page> query_rows(Connection& db, const audit::Filter& filter);
[[nodiscard]] Result<std::vector<audit::StoredRow>> audit_rows(Connection& db,
                                                               std::string_view writer,
                                                               std::int64_t from, int limit);
[[nodiscard]] Result<std::vector<audit::Head>> audit_heads(Connection& db);
[[nodiscard]] Result<> keep_checkpoint(Connection& db, const audit::Checkpoint& c);
[[nodiscard]] Result<std::vector<audit::Checkpoint>> audit_checkpoints(Connection& db,
                                                                       std::string_view writer,
                                                                       std::int64_t after,
                                                                       int limit);

}  // namespace octroi::sql
