// octroi/adapters/sql/call_frames.h: what changed in rows of calls, as bytes for a log, and back
// into their tables. For call_buffer.h.
//
// A frame is a sequence of records, each a letter and its fields; numbers are eight bytes, little
// endian, texts and blobs have their length before them. A record tells a row as it is after the
// change, so that a sequence of frames can be replayed from its beginning over tables that have
// none of them. Whether the bytes are those that were written is the log's to know.
//
//   s  a reservation, whole      w  the counts of a window      a  a row of the audit
//
// Errors   ledger::Errc::corrupt for bytes that no frame has.
// Thread   pure, but for replay(), which is its connection's.
#pragma once

#include <string>

#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/spend_rows.h"
#include "octroi/audit/row.h"

namespace octroi::sql {

void append_record(std::string& frame, const StoredSpend& spend);
void append_record(std::string& frame, const StoredWindow& window);
void append_record(std::string& frame, const audit::StoredRow& row);

/// Into the tables, within the caller's transaction.
[[nodiscard]] Result<> replay(Connection& db, ByteView frame);

}  // namespace octroi::sql
