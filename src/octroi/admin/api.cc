#include "octroi/admin/api.h"

#include <utility>

#include "octroi/admin/bundle_api.h"
#include "octroi/admin/page.h"
#include "octroi/admin/replies.h"
#include "octroi/admin/revenue_json.h"
#include "octroi/admin/service_api.h"
#include "octroi/admin/session_api.h"
#include "octroi/admin/vault_openapi.h"
#include "octroi/audit/journal.h"
#include "octroi/json/writer.h"

namespace octroi::admin {

namespace {

/// The filter of a transaction list, or which parameter is wrong.
tl::expected<ledger::TransactionFilter, std::string> filter_of(std::string_view query) {
  ledger::TransactionFilter filter;
  for (const auto& [key, value] : query_of(query)) {
    if (key == "service") {
      filter.service = value;
    } else if (key == "scheme") {
      if (value == "l402")
        filter.scheme = ledger::Scheme::l402;
      else if (value == "mpp_charge")
        filter.scheme = ledger::Scheme::mpp_charge;
      else if (value == "mpp_session")
        filter.scheme = ledger::Scheme::mpp_session;
      else
        return tl::unexpected<std::string>("scheme: use l402, mpp_charge or mpp_session");
    } else if (key == "state") {
      if (value == "pending")
        filter.state = ledger::TransactionState::pending;
      else if (value == "settled")
        filter.state = ledger::TransactionState::settled;
      else
        return tl::unexpected<std::string>("state: use pending or settled");
    } else if (key == "from" || key == "to") {
      auto when = from_rfc3339(value);
      if (!when) return tl::unexpected<std::string>(key + ": use an RFC 3339 date-time");
      (key == "from" ? filter.from : filter.to) = *when;
    } else if (key == "before" || key == "limit") {
      const auto n = number_of(key, value, key == "limit" ? 1000 : kAnyNumber);
      if (!n) return tl::unexpected<std::string>(n.error());
      if (key == "limit")
        filter.limit = static_cast<int>(*n);
      else
        filter.before_id = *n;
    } else {
      return tl::unexpected<std::string>("unknown parameter '" + key + "'");
    }
  }
  return filter;
}

void write_transaction(json::Writer& w, const ledger::Transaction& t) {
  w.begin_object();
  w.field("id", t.id);
  w.field("service", t.record.service);
  w.field("auth_type", std::string(ledger::to_string(t.record.scheme)));
  w.field("payment_hash", t.record.hash.hex());
  w.field("amount_msat", t.record.amount.count() /* raw: wire */);
  w.field("state", t.state == ledger::TransactionState::settled ? "settled" : "pending");
  w.key("token_id");
  if (t.record.token_id)
    w.string(t.record.token_id->hex());
  else
    w.null();
  if (!t.record.challenge_id.empty()) w.field("challenge_id", t.record.challenge_id);
  w.field("request_id", t.record.request_id);
  w.field("created_at", to_rfc3339(t.record.created));
  w.key("settled_at");
  if (t.settled)
    w.string(to_rfc3339(*t.settled));
  else
    w.null();
  w.end_object();
}

/// A path with what could be taken for a preimage cut short: the audit would not show it at all.
std::string shortened(std::string_view path) {
  constexpr std::size_t kLong = 32;
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view part = path.substr(0, end);
    out += part.size() > kLong ? std::string(part.substr(0, kLong / 2)) + "…" : std::string(part);
    path.remove_prefix(end);
  }
  return out;
}

constexpr std::string_view kOpenApi =
    R"({"openapi":"3.1.0","info":{"title":"octroi admin","version":"1"},
"components":{"securitySchemes":{"token":{"type":"http","scheme":"bearer"}}},"security":[{"token":[]}],
"paths":{
"/healthz":{"get":{"security":[],"responses":{"200":{"description":"the process answers"}}}},
"/readyz":{"get":{"security":[],"responses":{"200":{"description":"every part works"},"503":{"description":"names the parts that fail"}}}},
"/metrics":{"get":{"responses":{"200":{"description":"Prometheus text"},"401":{"description":"no or wrong token"}}}},
"/api/v1/info":{"get":{"responses":{"200":{"description":"version, realm and node"},"401":{"description":"no or wrong token"}}}},
"/api/v1/transactions":{"get":{"parameters":[
{"name":"service","in":"query","schema":{"type":"string"}},
{"name":"scheme","in":"query","schema":{"enum":["l402","mpp_charge","mpp_session"]}},
{"name":"state","in":"query","schema":{"enum":["pending","settled"]}},
{"name":"from","in":"query","schema":{"type":"string","format":"date-time"}},
{"name":"to","in":"query","schema":{"type":"string","format":"date-time"}},
{"name":"before","in":"query","schema":{"type":"integer","minimum":1}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"newest first"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/tokens":{"get":{"parameters":[
{"name":"service","in":"query","schema":{"type":"string"}},
{"name":"before","in":"query","description":"a token id: only those first shown before it","schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"counted L402 tokens, newest first, with what is left of them"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/tokens/totals":{"get":{"responses":{"200":{"description":"counted tokens by service and unit: how many, units, used, and for how much they were sold"},"401":{"description":"no or wrong token"}}}},
"/api/v1/tokens/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}}],
"responses":{"200":{"description":"the counted token"},"400":{"description":"not a token id"},"401":{"description":"no or wrong token"},"404":{"description":"no such counted token"}}}},
"/api/v1/tokens/revoked":{"get":{"responses":{"200":{"description":"revoked L402 token ids"},"401":{"description":"no or wrong token"}}}},
"/api/v1/tokens/{id}/revoke":{"post":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}}],
"responses":{"200":{"description":"every worker has acknowledged"},"400":{"description":"not a token id"},"401":{"description":"no or wrong token"}}}},
"/api/v1/sessions":{"get":{"parameters":[
{"name":"service","in":"query","schema":{"type":"string"}},
{"name":"state","in":"query","schema":{"enum":["open","closed"]}},
{"name":"refund","in":"query","schema":{"enum":["none","skipped","due","sending","succeeded","failed"]}},
{"name":"before","in":"query","description":"a session id: only those opened before it","schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"prepaid sessions, newest first"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/sessions/totals":{"get":{"responses":{"200":{"description":"sums over all sessions: deposits are spent, refunded, rounding, open balances and unpaid refunds"},"401":{"description":"no or wrong token"}}}},
"/api/v1/sessions/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}}],
"responses":{"200":{"description":"the session"},"400":{"description":"not a session id"},"401":{"description":"no or wrong token"},"404":{"description":"no such session"}}}},
"/api/v1/sessions/{id}/close":{"post":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}}],
"responses":{"200":{"description":"outcome: applied, or replayed when it had ended before; and the session with its refund"},"400":{"description":"not a session id"},"401":{"description":"no or wrong token"},"404":{"description":"no such session"}}}},
"/api/v1/sessions/{id}/retry-refund":{"post":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","pattern":"^[0-9a-f]{64}$"}}],
"responses":{"200":{"description":"sent again; the session with its refund"},"400":{"description":"not a session id"},"401":{"description":"no or wrong token"},"404":{"description":"no such session"},"409":{"description":"there is nothing to retry"}}}},
"/api/v1/revenue":{"get":{"parameters":[
{"name":"service","in":"query","schema":{"type":"string"}},
{"name":"from","in":"query","description":"the first day","schema":{"type":"string","format":"date"}},
{"name":"to","in":"query","description":"the day after the last","schema":{"type":"string","format":"date"}}],
"responses":{"200":{"description":"what was settled, by day, service and scheme, with its total; rows that retention removed are in it"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/audit":{"get":{"parameters":[
{"name":"run","in":"query","schema":{"type":"string"}},
{"name":"agent","in":"query","schema":{"type":"string"}},
{"name":"key","in":"query","description":"the id of a vault key","schema":{"type":"string"}},
{"name":"vendor","in":"query","schema":{"type":"string"}},
{"name":"operation","in":"query","schema":{"type":"string"}},
{"name":"policy","in":"query","schema":{"type":"string"}},
{"name":"kind","in":"query","schema":{"type":"string"}},
{"name":"call","in":"query","schema":{"type":"string"}},
{"name":"verdict","in":"query","schema":{"enum":["allowed","denied","failed","unknown","revoked_inflight"]}},
{"name":"from","in":"query","schema":{"type":"string","format":"date-time"}},
{"name":"to","in":"query","schema":{"type":"string","format":"date-time"}},
{"name":"cursor","in":"query","description":"next of the page before","schema":{"type":"string"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"rows, newest first, and the cursor of the rest"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/audit/writers":{"get":{"responses":{"200":{"description":"the chains, how far each has come, and the public key of the checkpoints"},"401":{"description":"no or wrong token"}}}},
"/api/v1/audit/rows":{"get":{"parameters":[
{"name":"writer","in":"query","required":true,"schema":{"type":"string"}},
{"name":"from","in":"query","schema":{"type":"integer","minimum":1}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"JSON Lines, as an export has them"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/audit/checkpoints":{"get":{"parameters":[
{"name":"writer","in":"query","required":true,"schema":{"type":"string"}},
{"name":"after","in":"query","schema":{"type":"integer","minimum":1}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000}}],
"responses":{"200":{"description":"JSON Lines, as an export has them"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
"/api/v1/audit/verify":{"get":{"responses":{"200":{"description":"rows, valid, and the first bad row"},"401":{"description":"no or wrong token"}}}},
"/api/v1/services":{"get":{"responses":{"200":{"description":"those of the file and those of the store, in the order of matching"},"401":{"description":"no or wrong token"}}},
"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["service"],"properties":{"enabled":{"type":"boolean","default":true},"service":{"type":"object","description":"the keys of paywall.services[] in the configuration"}}}}}},
"responses":{"201":{"description":"served by every worker; ETag is its version"},"400":{"description":"not such a body"},"401":{"description":"no or wrong token"},"409":{"description":"the name is taken"},"422":{"description":"errors: field, message and fix of each"}}}},
"/api/v1/services/{name}":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string","maxLength":64}}],
"get":{"responses":{"200":{"description":"the service; ETag is the version of a stored one"},"401":{"description":"no or wrong token"},"404":{"description":"no such service"}}},
"put":{"parameters":[{"name":"If-Match","in":"header","description":"the ETag that was read, or *","schema":{"type":"string"}},{"name":"If-None-Match","in":"header","description":"* creates","schema":{"enum":["*"]}}],
"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["service"]}}}},
"responses":{"200":{"description":"replaced; every worker serves by it"},"201":{"description":"created"},"401":{"description":"no or wrong token"},"404":{"description":"no such service"},"409":{"description":"the file has that name"},"412":{"description":"somebody else changed it"},"422":{"description":"errors: field, message and fix of each"},"428":{"description":"there is no If-Match"}}},
"delete":{"parameters":[{"name":"If-Match","in":"header","schema":{"type":"string"}}],
"responses":{"200":{"description":"what was removed; no worker serves it"},"401":{"description":"no or wrong token"},"404":{"description":"no such service"},"409":{"description":"it stands in the file"},"412":{"description":"somebody else changed it"}}}},
"/api/v1/reload":{"post":{"responses":{"200":{"description":"what changed"},"400":{"description":"the configuration has errors; nothing changed"},"401":{"description":"no or wrong token"}}}}
}})";

/// With the vault's paths before the last one.
std::string openapi() {
  std::string out(kOpenApi);
  out.insert(out.find("\"/api/v1/reload\""), kVaultPaths);
  return out;
}

}  // namespace

bool Api::authorized(const http::RequestHead& request) const {
  const auto value = request.headers.get("Authorization");
  if (!value || wiring_.token == nullptr || wiring_.token->empty()) return false;
  constexpr std::string_view kBearer = "Bearer ";
  if (value->size() <= kBearer.size() ||
      !http::equal_ignoring_case(value->substr(0, kBearer.size()), kBearer))
    return false;
  return wiring_.token->equals(value->substr(kBearer.size()));
}

Task<void> Api::handle(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const std::string_view path = request.path();
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (reading && path == "/healthz") {
    co_await send(exchange, 200, "text/plain", "ok\n");
  } else if (reading && path == "/readyz") {
    co_await ready(exchange);
  } else if (reading && path == "/metrics" && wiring_.metrics_on &&
             (wiring_.metrics_public || authorized(request))) {
    co_await send(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
                  wiring_.metrics.exposition());
  } else if (path == "/metrics" && !wiring_.metrics_on) {
    co_await send_problem(exchange, 404, "telemetry.metrics is off");
  } else if (const PageFile* const file = page_file(path); file != nullptr) {
    co_await send_page(exchange, file);
  } else if (!authorized(request)) {
    co_await send_problem(exchange, 401,
                          "send the admin token as a Bearer token, in the field Authorization");
  } else {
    co_await route(exchange);
  }
}

Task<void> Api::ready(http::Exchange& exchange) {
  std::string failing;
  for (const Check& check : wiring_.checks) {
    auto outcome = co_await check.run();
    if (outcome) continue;
    failing += fmt::format("{}: {}\n", check.name, outcome.error().message());
  }
  const bool ok = failing.empty();
  co_await send(exchange, ok ? 200 : 503, "text/plain; charset=utf-8", ok ? "ok\n" : failing);
}

Task<void> Api::route(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const std::string path(request.path());
  const bool reading = request.method == "GET" || request.method == "HEAD";
  const std::string below_tokens = std::string(kTokens) + "/";
  constexpr std::string_view kRevoke = "/revoke";
  if (!reading) {
    if (const auto noted = co_await audited(exchange); !noted) {
      co_await send_problem(exchange, 503, std::string(noted.error().message()));
      co_return;
    }
  }
  if (path == "/api/v1/info" && reading) {
    co_await send_json(exchange, co_await wiring_.info());
  } else if (path == "/api/v1/openapi.json" && reading) {
    co_await send_json(exchange, openapi());
  } else if (path == "/api/v1/transactions" && reading) {
    co_await transactions(exchange);
  } else if (path == "/api/v1/tokens/revoked" && reading) {
    co_await revoked(exchange);
  } else if (path.starts_with(below_tokens) && path.ends_with(kRevoke) &&
             path.size() > below_tokens.size() + kRevoke.size() && request.method == "POST") {
    co_await revoke(exchange, path.substr(below_tokens.size(),
                                          path.size() - below_tokens.size() - kRevoke.size()));
  } else if ((path == kTokens || path.starts_with(below_tokens)) && reading &&
             !path.ends_with(kRevoke)) {
    co_await BundleApi(wiring_.store.bundles()).route(exchange);
  } else if (path == kSessions || path.starts_with(std::string(kSessions) + "/")) {
    co_await SessionApi(wiring_.store.sessions(), wiring_.sessions).route(exchange);
  } else if (path == kServices || path.starts_with(std::string(kServices) + "/")) {
    co_await ServiceApi(wiring_.services).route(exchange);
  } else if ((path == kAudit || path.starts_with(std::string(kAudit) + "/")) && reading) {
    co_await AuditApi(wiring_.store.journal(), wiring_.audit).route(exchange);
  } else if (path == "/api/v1/revenue" && reading) {
    co_await revenue(exchange);
  } else if (GovernanceApi::takes(path)) {
    co_await GovernanceApi(wiring_.vault.governance).route(exchange);
  } else if (path.starts_with(std::string(kVault) + "/")) {
    co_await VaultApi(wiring_.vault).route(exchange);
  } else if (path == "/api/v1/reload" && request.method == "POST") {
    auto report = co_await wiring_.reload();
    if (report) {
      co_await send_json(exchange, std::move(*report));
    } else {
      co_await send_problem(exchange, 400, std::string(report.error().message()));
    }
  } else {
    co_await send_problem(exchange, 404, "no such resource; see /api/v1/openapi.json");
  }
}

Task<Result<>> Api::audited(http::Exchange& exchange) {
  audit::Journal* const journal = wiring_.store.journal();
  if (journal == nullptr) co_return Result<>{};
  const http::RequestHead& request = exchange.request();
  audit::Event event;
  event.kind = audit::kAdminChange;
  event.method = request.method;
  event.path = shortened(request.path());
  event.client = exchange.peer().address.str();
  event.user_agent = request.headers.get("User-Agent").value_or("");
  OCTROI_CO_CHECK(co_await journal->append(std::move(event)));
  co_return Result<>{};
}

Task<void> Api::transactions(http::Exchange& exchange) {
  auto filter = filter_of(exchange.request().query());
  if (!filter) {
    co_await send_problem(exchange, 400, filter.error());
    co_return;
  }
  auto rows = co_await wiring_.store.list_transactions(*filter);
  if (!rows) {
    co_await send_problem(exchange, 503, std::string(rows.error().message()));
    co_return;
  }
  json::Writer w;
  w.begin_object().key("transactions").begin_array();
  for (const auto& t : *rows) write_transaction(w, t);
  w.end_array();
  w.key("next_before");
  if (rows->size() == static_cast<std::size_t>(filter->limit))
    w.integer(rows->back().id);
  else
    w.null();
  w.end_object();
  co_await send_json(exchange, std::move(w).take());
}

Task<void> Api::revenue(http::Exchange& exchange) {
  auto filter = revenue_filter_of(query_of(exchange.request().query()));
  if (!filter) {
    co_await send_problem(exchange, 400, filter.error());
    co_return;
  }
  auto rows = co_await wiring_.store.revenue(*filter);
  if (!rows) {
    co_await send_problem(exchange, 503, std::string(rows.error().message()));
    co_return;
  }
  co_await send_json(exchange, revenue_json(*rows));
}

Task<void> Api::revoke(http::Exchange& exchange, std::string id) {
  auto token = TokenId::from_hex(id);
  if (!token) {
    co_await send_problem(exchange, 400, "a token id is 64 hexadecimal digits");
    co_return;
  }
  auto done = co_await wiring_.revoke(*token);
  if (!done) {
    co_await send_problem(exchange, 503, std::string(done.error().message()));
    co_return;
  }
  json::Writer w;
  w.begin_object()
      .field("id", token->hex())
      .field("revoked_at", to_rfc3339(wiring_.clock.now()))
      .end_object();
  co_await send_json(exchange, std::move(w).take());
}

Task<void> Api::revoked(http::Exchange& exchange) {
  auto ids = co_await wiring_.store.revoked_tokens();
  if (!ids) {
    co_await send_problem(exchange, 503, std::string(ids.error().message()));
    co_return;
  }
  json::Writer w;
  w.begin_object().key("tokens").begin_array();
  for (const auto& id : *ids) w.string(id.hex());
  w.end_array().end_object();
  co_await send_json(exchange, std::move(w).take());
}

}  // namespace octroi::admin
