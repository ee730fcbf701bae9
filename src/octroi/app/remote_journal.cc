#include "octroi/app/remote_journal.h"

#include <utility>

#include "octroi/admin/audit_api.h"
#include "octroi/admin/audit_json.h"
#include "octroi/base/bytes.h"
#include "octroi/json/value.h"

namespace octroi::app {

namespace {

constexpr json::ParseLimits kLimits{8, 128U << 20, false};
/// Verifying a large store takes its time.
constexpr Millis kTimeout{600'000};

tl::unexpected<Error> read_only() {
  return fail(audit::Errc::unavailable, "the audit of a server is written by the server alone");
}

template <class T, class Read>
Result<std::vector<T>> each_line(std::string_view body, Read read) {
  std::vector<T> out;
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    OCTROI_TRY(T value, read(body.substr(0, end)));
    out.push_back(std::move(value));
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return out;
}

Result<audit::Head> head_of(const json::Value& v) {
  audit::Head head;
  OCTROI_TRY(const auto writer, v.string("writer"));
  head.writer = writer;
  OCTROI_TRY(head.seq, v.int64("seq"));
  OCTROI_TRY(const auto hash, v.string("row_hash"));
  OCTROI_TRY(head.hash, from_hex_exact<32>(hash));
  OCTROI_TRY(head.at.value, v.int64("at_ms"));
  return head;
}

std::optional<audit::Fault> fault_of(std::string_view text) {
  using audit::Fault;
  for (const Fault f :
       {Fault::changed, Fault::removed, Fault::moved, Fault::repeated, Fault::foreign,
        Fault::cut_off, Fault::rewritten, Fault::forged, Fault::unproven}) {
    if (text == to_string(f)) return f;
  }
  return std::nullopt;
}

Result<audit::Report> report_of(const json::Value& v) {
  audit::Report r;
  OCTROI_TRY(r.rows, v.int64("rows"));
  OCTROI_TRY(r.writers, v.int64("writers"));
  OCTROI_TRY(r.checkpoints, v.int64("checkpoints"));
  OCTROI_TRY(r.late_checkpoints, v.int64("late_checkpoints"));
  OCTROI_TRY(r.unsigned_rows, v.int64("unsigned_rows"));
  OCTROI_TRY(r.trusted_key, v.boolean("trusted_key"));
  OCTROI_TRY(const bool valid, v.boolean("valid"));
  if (valid) return r;
  OCTROI_TRY(const json::Value bad, v.object("first_bad"));
  audit::Finding f;
  OCTROI_TRY(const auto writer, bad.string("writer"));
  OCTROI_TRY(f.row.seq, bad.int64("seq"));
  OCTROI_TRY(const auto fault, bad.string("fault"));
  OCTROI_TRY(f.line, bad.int64("line"));
  OCTROI_TRY(const auto message, bad.string("message"));
  f.row.writer = writer;
  f.fault = fault_of(fault).value_or(audit::Fault::changed);
  f.message = message;
  r.first_bad = std::move(f);
  return r;
}

}  // namespace

Task<Result<std::string>> RemoteJournal::ask(std::string target) {
  return ask_admin(&loop_, &config_, "GET", std::string(admin::kAudit) + target, kTimeout);
}

Task<Result<std::string>> RemoteJournal::connect() {
  OCTROI_CO_TRY(const std::string body, co_await ask("/writers"));
  OCTROI_CO_TRY(const auto doc, json::parse(body, kLimits));
  OCTROI_CO_TRY(const auto writer, doc.root().string("writer"));
  writer_ = writer;
  co_return std::string(doc.root().string("public_key").value_or(""));
}

Task<Result<audit::Report>> RemoteJournal::verify_there() {
  OCTROI_CO_TRY(const std::string body, co_await ask("/verify"));
  OCTROI_CO_TRY(const auto doc, json::parse(body, kLimits));
  co_return report_of(doc.root());
}

Task<Result<audit::RowId>> RemoteJournal::append(audit::Event /*event*/) { co_return read_only(); }

Task<Result<>> RemoteJournal::keep_checkpoint(audit::Checkpoint /*checkpoint*/) {
  co_return read_only();
}

Task<Result<audit::Page>> RemoteJournal::query(audit::Filter filter) {
  std::string target;
  for (const auto& [name, value] : admin::audit_parameters(filter)) {
    target += (target.empty() ? "?" : "&") + name + "=" + percent_encode(value);
  }
  OCTROI_CO_TRY(const std::string body, co_await ask(std::move(target)));
  OCTROI_CO_TRY(const auto doc, json::parse(body, kLimits));
  OCTROI_CO_TRY(const json::Value rows, doc.root().array("rows"));
  audit::Page page;
  for (const json::Value row : rows.elements()) {
    OCTROI_CO_TRY(const auto stored, audit::parse_line(row.to_json()));
    OCTROI_CO_TRY(auto read, audit::read_row(stored));
    page.rows.push_back(std::move(read));
  }
  page.next = doc.root().string("next").value_or("");
  co_return page;
}

Task<Result<std::vector<audit::StoredRow>>> RemoteJournal::rows(std::string writer,
                                                                std::int64_t from, int limit) {
  OCTROI_CO_TRY(const std::string body,
                co_await ask(fmt::format("/rows?writer={}&from={}&limit={}", writer,
                                         std::max<std::int64_t>(from, 1), limit)));
  co_return each_line<audit::StoredRow>(body, audit::parse_line);
}

Task<Result<std::vector<audit::Head>>> RemoteJournal::heads() {
  OCTROI_CO_TRY(const std::string body, co_await ask("/writers"));
  OCTROI_CO_TRY(const auto doc, json::parse(body, kLimits));
  OCTROI_CO_TRY(const json::Value writers, doc.root().array("writers"));
  std::vector<audit::Head> out;
  for (const json::Value v : writers.elements()) {
    OCTROI_CO_TRY(auto head, head_of(v));
    out.push_back(std::move(head));
  }
  co_return out;
}

Task<Result<std::vector<audit::Checkpoint>>> RemoteJournal::checkpoints(std::string writer,
                                                                        std::int64_t after,
                                                                        int limit) {
  std::string target = fmt::format("/checkpoints?writer={}&limit={}", writer, limit);
  if (after > 0) target += fmt::format("&after={}", after);
  OCTROI_CO_TRY(const std::string body, co_await ask(std::move(target)));
  co_return each_line<audit::Checkpoint>(body, audit::parse_checkpoint);
}

}  // namespace octroi::app
