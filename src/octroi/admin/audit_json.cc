#include "octroi/admin/audit_json.h"

#include <charconv>

#include "octroi/json/writer.h"

namespace octroi::admin {
namespace {

constexpr std::pair<std::string_view, std::string audit::Filter::*> kTexts[] = {
    {"agent", &audit::Filter::agent},   {"call", &audit::Filter::id},
    {"cursor", &audit::Filter::cursor}, {"key", &audit::Filter::key_id},
    {"kind", &audit::Filter::kind},     {"operation", &audit::Filter::operation},
    {"policy", &audit::Filter::policy}, {"run", &audit::Filter::run},
    {"vendor", &audit::Filter::vendor},
};

tl::unexpected<Error> bad(std::string_view name, std::string_view why) {
  return fail(audit::Errc::bad_filter, fmt::format("{}: {}", name, why));
}

Result<UnixMillis> moment(std::string_view name, const std::string& value) {
  const auto t = from_rfc3339(value);
  if (!t) return bad(name, t.error().message());
  return *t;
}

}  // namespace

std::string audit_page_json(const audit::Page& page) {
  json::Writer w;
  w.begin_object().key("rows").begin_array();
  for (const audit::Row& row : page.rows) {
    w.raw(audit::export_line({row.id, row.text, row.prev_hash, row.row_hash, true}));
  }
  w.end_array().key("next");
  if (page.next.empty()) {
    w.null();
  } else {
    w.string(page.next);
  }
  w.end_object();
  return std::move(w).take();
}

std::string audit_report_json(const audit::Report& r) {
  json::Writer w;
  w.begin_object().field("rows", r.rows).field("valid", r.valid()).key("first_bad");
  if (r.first_bad) {
    w.begin_object()
        .field("writer", r.first_bad->row.writer)
        .field("seq", r.first_bad->row.seq)
        .field("fault", std::string(to_string(r.first_bad->fault)))
        .field("line", r.first_bad->line)
        .field("message", r.first_bad->message)
        .end_object();
  } else {
    w.null();
  }
  w.field("writers", r.writers)
      .field("checkpoints", r.checkpoints)
      .field("late_checkpoints", r.late_checkpoints)
      .field("unsigned_rows", r.unsigned_rows)
      .field("trusted_key", r.trusted_key);
  if (!r.run.empty()) w.field("run", r.run);
  w.end_object();
  return std::move(w).take();
}

Result<bool> set_audit_filter(audit::Filter& filter, std::string_view name,
                              const std::string& value) {
  for (const auto& [known, member] : kTexts) {
    if (name != known) continue;
    filter.*member = value;
    return true;
  }
  if (name == "verdict") {
    filter.verdict = audit::verdict_from_string(value);
    if (!filter.verdict) {
      return bad(name, "one of allowed, denied, failed, unknown, revoked_inflight");
    }
  } else if (name == "from") {
    OCTROI_TRY(filter.from, moment(name, value));
  } else if (name == "to") {
    OCTROI_TRY(filter.to, moment(name, value));
  } else if (name == "limit") {
    const auto [end, wrong] =
        std::from_chars(value.data(), value.data() + value.size(), filter.limit);
    if (wrong != std::errc{} || end != value.data() + value.size() || filter.limit < 1 ||
        filter.limit > 1000) {
      return bad(name, "from 1 to 1000");
    }
  } else {
    return false;
  }
  return true;
}

std::map<std::string, std::string> audit_parameters(const audit::Filter& filter) {
  std::map<std::string, std::string> out;
  for (const auto& [name, member] : kTexts) {
    if (!(filter.*member).empty()) out[std::string(name)] = filter.*member;
  }
  if (filter.verdict) out["verdict"] = to_string(*filter.verdict);
  const auto moment_text = [](UnixMillis t) {
    const auto seconds = t.seconds();
    std::string text = to_rfc3339(t);
    text.insert(text.size() - 1, fmt::format(".{:03}", t.value - seconds * 1000));
    return text;
  };
  if (filter.from) out["from"] = moment_text(*filter.from);
  if (filter.to) out["to"] = moment_text(*filter.to);
  out["limit"] = std::to_string(filter.limit);
  return out;
}

}  // namespace octroi::admin
