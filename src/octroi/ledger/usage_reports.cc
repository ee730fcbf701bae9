#include "octroi/ledger/usage_reports.h"

namespace octroi::ledger {

std::string_view to_string(ReportKind kind) {
  switch (kind) {
    case ReportKind::token:
      return "token";
    case ReportKind::session:
      return "session";
  }
  return "";
}

std::optional<ReportKind> report_kind_from_string(std::string_view text) {
  for (const ReportKind kind : {ReportKind::token, ReportKind::session}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

}  // namespace octroi::ledger
