// octroi/audit/row.h: how a row is written, and how it is bound to the row before it.
//
//   text      the event, its writer, number and time as canonical JSON (RFC 8785)
//   row_hash  SHA-256("octroi.audit.row.v1" 00 ‖ hash of the row before ‖ SHA-256(text))
//   row 1     has SHA-256("octroi.audit.writer.v1" 00 ‖ writer) before it
//
// The text goes in as its hash, so that a proof can show how rows follow each other without showing
// rows that are nobody's business (proof.h).
//
// A line of an export is the same object with two more members, `prev_hash` and `row_hash`, so that
// a line alone can be checked against its own hash, and a file against its order.
//
// Errors   Errc::bad_event for what cannot be written, Errc::bad_row for what no row looks like.
// Thread   pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "octroi/audit/event.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"

namespace octroi::audit {

struct RowId {
  std::string writer;
  std::int64_t seq = 0;  // from 1
  auto operator<=>(const RowId&) const = default;
};

/// A row as it is kept: the text is what counts.
struct StoredRow {
  RowId id;
  std::string text;
  Digest prev_hash{};
  Digest row_hash{};
  /// False: what the store searches by is not what the text says.
  bool searchable = true;
};

/// A row that was read.
struct Row {
  RowId id;
  UnixMillis at;
  Event event;
  std::string text;
  Digest prev_hash{};
  Digest row_hash{};
};

inline constexpr std::size_t kLongestRow = 64U << 10;

/// Whether this can be the name of a writer: 1 to 64 of a-z, 0-9 and "-".
[[nodiscard]] bool is_writer(std::string_view text);

/// Makes an event fit for writing: texts redacted, cut and made UTF-8. Do it once, before
/// row_text().
[[nodiscard]] Result<> prepare(Event& event);
[[nodiscard]] Result<Event> prepared(Event event);
/// The canonical text. REQUIRES a prepared event.
[[nodiscard]] std::string row_text(const RowId& id, UnixMillis at, const Event& event);

/// What stands before row 1.
[[nodiscard]] Digest origin_of(std::string_view writer);
[[nodiscard]] Digest hash_of_text(std::string_view text);
[[nodiscard]] Digest hash_of_row(const Digest& prev, const Digest& text_hash);
/// The row that comes after `prev`. REQUIRES a prepared event.
[[nodiscard]] StoredRow make_row(RowId id, UnixMillis at, const Event& event, const Digest& prev);

/// Reads a stored row. Refuses a text that is not canonical, or that tells another id.
[[nodiscard]] Result<Row> read_row(const StoredRow& stored);

/// The line of an export, without a line break.
[[nodiscard]] std::string export_line(const StoredRow& row);
/// Reads it back. `text` is what remains without the two hashes; hashes are not checked here.
[[nodiscard]] Result<StoredRow> parse_line(std::string_view line);

}  // namespace octroi::audit
