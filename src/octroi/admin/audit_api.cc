#include "octroi/admin/audit_api.h"

#include <utility>

#include "octroi/admin/audit_json.h"
#include "octroi/admin/replies.h"
#include "octroi/base/bytes.h"
#include "octroi/json/writer.h"

namespace octroi::admin {

namespace {

constexpr const char* kJsonLines = "application/jsonl";

int status_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::refused:
    case ErrorKind::conflict:
    case ErrorKind::limit:
    case ErrorKind::internal:
      return 500;
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      return 503;
  }
  return 500;
}

Task<void> send_error(http::Exchange& exchange, Error error) {
  co_await send_problem(exchange, status_of(error), std::string(error.message()));
}

/// A place in a chain: which, from where, how many.
struct Stretch {
  std::string writer;
  std::int64_t at = 0;
  int limit = 1000;
};
tl::expected<Stretch, std::string> stretch_of(std::string_view query, std::string_view at) {
  Stretch out;
  for (const auto& [key, value] : query_of(query)) {
    if (key == "writer") {
      if (!audit::is_writer(value)) return tl::unexpected<std::string>("writer: not one");
      out.writer = value;
      continue;
    }
    if (key != at && key != "limit") {
      return tl::unexpected<std::string>("unknown parameter '" + key + "'");
    }
    const auto n = number_of(key, value, key == "limit" ? 1000 : kAnyNumber);
    if (!n) return tl::unexpected<std::string>(n.error());
    if (key == "limit") {
      out.limit = static_cast<int>(*n);
    } else {
      out.at = *n;
    }
  }
  if (out.writer.empty()) return tl::unexpected<std::string>("writer: say which chain");
  return out;
}

}  // namespace

Task<void> AuditApi::route(http::Exchange& exchange) {
  const std::string path(exchange.request().path().substr(kAudit.size()));
  if (journal_ == nullptr) {
    co_await send_problem(exchange, 404, "this store keeps no audit");
  } else if (path.empty()) {
    co_await query(exchange);
  } else if (path == "/writers") {
    co_await writers(exchange);
  } else if (path == "/rows") {
    co_await rows(exchange);
  } else if (path == "/checkpoints") {
    co_await checkpoints(exchange);
  } else if (path == "/verify") {
    co_await verify(exchange);
  } else {
    co_await send_problem(exchange, 404, "no such resource; see /api/v1/openapi.json");
  }
}

Task<void> AuditApi::query(http::Exchange& exchange) {
  audit::Filter filter;
  std::string wrong;
  for (const auto& [key, value] : query_of(exchange.request().query())) {
    const auto known = set_audit_filter(filter, key, value);
    if (!known) {
      wrong = known.error().message();
    } else if (!*known) {
      wrong = "unknown parameter '" + key + "'";
    }
  }
  if (!wrong.empty()) {
    co_await send_problem(exchange, 400, wrong);
    co_return;
  }
  const auto page = co_await journal_->query(std::move(filter));
  if (!page) {
    co_await send_error(exchange, page.error());
    co_return;
  }
  co_await send_json(exchange, audit_page_json(*page));
}

Task<void> AuditApi::writers(http::Exchange& exchange) {
  std::string key;
  if (actions_.checkpoint) {
    auto made = co_await actions_.checkpoint();
    if (!made) {
      co_await send_error(exchange, made.error());
      co_return;
    }
    key = *std::move(made);
  }
  const auto heads = co_await journal_->heads();
  if (!heads) {
    co_await send_error(exchange, heads.error());
    co_return;
  }
  json::Writer w;
  w.begin_object();
  if (!key.empty()) w.field("public_key", key);
  w.field("writer", journal_->writer()).key("writers").begin_array();
  for (const audit::Head& head : *heads) {
    w.begin_object()
        .field("writer", head.writer)
        .field("seq", head.seq)
        .field("row_hash", to_hex(head.hash))
        .field("at_ms", head.at.value)
        .end_object();
  }
  w.end_array().end_object();
  co_await send_json(exchange, std::move(w).take());
}

Task<void> AuditApi::rows(http::Exchange& exchange) {
  const auto stretch = stretch_of(exchange.request().query(), "from");
  if (!stretch) {
    co_await send_problem(exchange, 400, stretch.error());
    co_return;
  }
  const auto rows = co_await journal_->rows(stretch->writer, stretch->at, stretch->limit);
  if (!rows) {
    co_await send_error(exchange, rows.error());
    co_return;
  }
  std::string body;
  for (const audit::StoredRow& row : *rows) body += audit::export_line(row) + "\n";
  co_await send(exchange, 200, kJsonLines, std::move(body));
}

Task<void> AuditApi::checkpoints(http::Exchange& exchange) {
  const auto stretch = stretch_of(exchange.request().query(), "after");
  if (!stretch) {
    co_await send_problem(exchange, 400, stretch.error());
    co_return;
  }
  const auto kept = co_await journal_->checkpoints(stretch->writer, stretch->at, stretch->limit);
  if (!kept) {
    co_await send_error(exchange, kept.error());
    co_return;
  }
  std::string body;
  for (const audit::Checkpoint& c : *kept) body += audit::checkpoint_line(c) + "\n";
  co_await send(exchange, 200, kJsonLines, std::move(body));
}

Task<void> AuditApi::verify(http::Exchange& exchange) {
  if (!actions_.verify) {
    co_await send_problem(exchange, 404, "this process signs no checkpoints");
    co_return;
  }
  const auto report = co_await actions_.verify();
  if (!report) {
    co_await send_error(exchange, report.error());
    co_return;
  }
  co_await send_json(exchange, audit_report_json(*report));
}

}  // namespace octroi::admin
