// octroi/audit/export.h: the whole audit, or what a filter leaves of it, line by line, from a
// Journal.
//
// Whole    JSON Lines: first every checkpoint, then chain after chain, each from row 1. It can be
//          verified offline (verify.h).
// Narrowed only rows that match, as JSON Lines or CSV; each row can be checked by itself, not that
//          all are there.
// Proof    of a run (proof.h).
//
// Rows that are written meanwhile are not in it: an export ends at the heads of its beginning.
// Errors   those of the Journal and of the sink; Errc::bad_row when a stored row cannot be read as
//          CSV; Errc::no_such_run.
// Thread   as Journal.
#pragma once

#include <string>
#include <string_view>

#include "octroi/audit/journal.h"
#include "octroi/base/function.h"
#include "octroi/task/task.h"

namespace octroi::audit {

/// Takes a line without its line break. An error ends the export with it.
using LineSink = UniqueFunction<Result<>(std::string_view line)>;

enum class Form : std::uint8_t { json_lines, csv };

/// `filter.cursor` and `filter.limit` are not looked at. Both are kept until the task has ended.
Task<Result<>> export_audit(Journal& journal, Filter filter, Form form, LineSink& sink);
Task<Result<>> export_proof(Journal& journal, std::string run, LineSink& sink);

/// Feeds all of a store to a verifier: checkpoints, then rows.
class Verifier;
Task<Result<>> verify_store(Journal& journal, Verifier& verifier);

}  // namespace octroi::audit
