#include "octroi/config/problem.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace octroi::config {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::invalid_config:
      return {"config.invalid", ErrorKind::invalid};
    case Errc::unreadable:
      return {"config.unreadable", ErrorKind::not_found};
    case Errc::bad_unit:
      return {"config.bad_unit", ErrorKind::invalid};
    case Errc::bad_url:
      return {"config.bad_url", ErrorKind::invalid};
  }
  return {"config.unknown", ErrorKind::internal};
}

std::string to_text(const Problem& p) {
  std::string out = p.file;
  if (p.line > 0) out += fmt::format(":{}:{}", p.line, p.column);
  out += p.severity == Severity::error ? ": error: " : ": warning: ";
  if (!p.path.empty()) out += p.path + ": ";
  out += p.message;
  if (!p.fix.empty()) out += "\n    fix: " + p.fix;
  return out;
}

std::string to_text(const Problems& problems) {
  std::string out;
  std::size_t errors = 0;
  for (const Problem& p : problems) {
    out += to_text(p) + "\n";
    if (p.severity == Severity::error) ++errors;
  }
  const std::size_t warnings = problems.size() - errors;
  if (!problems.empty()) {
    out += fmt::format("{} error{}, {} warning{}\n", errors, errors == 1 ? "" : "s", warnings,
                       warnings == 1 ? "" : "s");
  }
  return out;
}

void sort_by_place(Problems& problems) {
  // Insertion keeps the order of equals; a file has few problems.
  const auto before = [](const Problem& a, const Problem& b) {
    return std::tuple(a.line == 0, a.line, a.column) < std::tuple(b.line == 0, b.line, b.column);
  };
  for (auto it = problems.begin(); it != problems.end(); ++it) {
    std::rotate(std::upper_bound(problems.begin(), it, *it, before), it, it + 1);
  }
}

}  // namespace octroi::config
