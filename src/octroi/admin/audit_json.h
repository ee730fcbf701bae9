// octroi/admin/audit_json.h: the audit as JSON, and filters as query parameters. Shared with the
// command line, which also asks a store itself.
//
// Thread  pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "octroi/audit/journal.h"
#include "octroi/audit/verify.h"

namespace octroi::admin {

/// {"rows":[…],"next":…}: each row as a line of an export.
[[nodiscard]] std::string audit_page_json(const audit::Page& page);
/// {"rows","valid","first_bad":{"writer","seq","fault","line","message"}|null,…}
[[nodiscard]] std::string audit_report_json(const audit::Report& report);

/// A parameter of a filter; false: none of that name. Errors name the parameter.
[[nodiscard]] Result<bool> set_audit_filter(audit::Filter& filter, std::string_view name,
                                            const std::string& value);
/// The same, as "run=…&limit=…".
[[nodiscard]] std::map<std::string, std::string> audit_parameters(const audit::Filter& filter);

}  // namespace octroi::admin
