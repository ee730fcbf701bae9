// octroi/audit/csv.h: rows as CSV (RFC 4180), for spreadsheets.
//
// A text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line
// break, also after spaces) gets an apostrophe before it: agents and vendors choose many of these
// texts. CSV cannot be verified; JSON Lines can.
// Thread   pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/audit/row.h"

namespace octroi::audit {

/// The names of the columns, without a line break.
[[nodiscard]] std::string csv_header();
[[nodiscard]] std::string csv_line(const Row& row);
/// One text as a cell, in quotes.
[[nodiscard]] std::string csv_cell(std::string_view text);

}  // namespace octroi::audit
