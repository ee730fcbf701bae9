// octroi/audit/proof.h: the lines that an export is made of, and the proof that the rows of one run
// stand in the audit.
//
// A proof begins with a header, {"kind":"proof","run":…}, and the checkpoints that it needs. Then
// it has stretches of a chain: each from a row of the run to the next checkpoint, with the rows of
// others as links, {"kind":"link","seq":…,"text_sha256":…,"writer":…}: enough to follow the chain
// from the row to the signature, and nothing to read. It proves that these rows were written, when,
// and in which order; that there were no others of the run it does not.
//
// Errors   Errc::bad_row, Errc::bad_checkpoint.
// Thread   pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "octroi/audit/checkpoint.h"
#include "octroi/audit/row.h"
#include "octroi/base/result.h"

namespace octroi::audit {

struct Link {
  RowId id;
  Digest text_hash{};
};
struct ProofHeader {
  std::string run;
};
using ExportLine = std::variant<StoredRow, Checkpoint, Link, ProofHeader>;

[[nodiscard]] Result<ExportLine> parse_export_line(std::string_view line);
[[nodiscard]] std::string link_line(const StoredRow& hidden);
[[nodiscard]] std::string proof_header_line(std::string_view run);

}  // namespace octroi::audit
