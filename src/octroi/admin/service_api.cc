#include "octroi/admin/service_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "octroi/admin/replies.h"
#include "octroi/base/log.h"
#include "octroi/http/headers.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::admin {

namespace {

constexpr std::size_t kMostBody = std::size_t{256} << 10;
constexpr const char* kNotACondition =
    "use the ETag of the version that was read, or * for whatever is there";

void write_entry(json::Writer& w, const ServiceEntry& s) {
  w.begin_object().field("name", s.name).field("source", s.from_file ? "file" : "store");
  w.field("state", s.state);
  if (!s.from_file) {
    w.field("enabled", s.enabled).field("auth_scheme", s.auth_scheme).field("version", s.version);
    w.field("created_at", to_rfc3339(s.created)).field("updated_at", to_rfc3339(s.updated));
  }
  if (!s.document.empty()) w.key("service").raw(s.document);
  w.end_object();
}

/// `"7"`, W/"7" and * of If-Match and If-None-Match.
tl::expected<ServiceCondition, std::string> condition_of(const http::RequestHead& request) {
  ServiceCondition out;
  if (const auto none = request.headers.get("If-None-Match")) {
    if (*none != "*") return tl::unexpected<std::string>("If-None-Match: use *");
    out.kind = ServiceCondition::Kind::absent;
  }
  const auto match = request.headers.get("If-Match");
  if (!match) return out;
  std::string_view tag = *match;
  if (tag == "*") {
    out.kind = ServiceCondition::Kind::present;
    return out;
  }
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() < 3 || tag.front() != '"' || tag.back() != '"') {
    return tl::unexpected<std::string>(std::string("If-Match: ") + kNotACondition);
  }
  tag = tag.substr(1, tag.size() - 2);
  const auto [end, ec] = std::from_chars(tag.data(), tag.data() + tag.size(), out.version);
  if (ec != std::errc{} || end != tag.data() + tag.size()) {
    return tl::unexpected<std::string>(std::string("If-Match: ") + kNotACondition);
  }
  out.kind = ServiceCondition::Kind::version;
  return out;
}

Task<void> send_refusal(http::Exchange& exchange, ServiceRefusal refusal) {
  json::Writer w;
  w.begin_object().field("type", "about:blank").field("title", http::reason_phrase(refusal.status));
  w.field("status", refusal.status).field("detail", refusal.detail);
  if (!refusal.errors.empty()) {
    w.key("errors").begin_array();
    for (const ServiceProblem& p : refusal.errors) {
      w.begin_object().field("field", p.field).field("message", p.message).field("fix", p.fix);
      w.end_object();
    }
    w.end_array();
  }
  w.end_object();
  co_await send(exchange, refusal.status, "application/problem+json", std::move(w).take());
}

Task<void> send_service(http::Exchange& exchange, int status, ServiceEntry service) {
  http::ResponseHead head;
  head.status = status;
  head.headers.set("Content-Type", "application/json");
  head.headers.set("Cache-Control", "no-store");
  head.headers.set("X-Content-Type-Options", "nosniff");
  if (!service.from_file) head.headers.set("ETag", fmt::format("\"{}\"", service.version));
  if (status == 201) {
    head.headers.set("Location", fmt::format("{}/{}", kServices, service.name));
  }
  auto sent = co_await exchange.respond(std::move(head), service_json(service));
  if (!sent) OCTROI_LOG(debug, "admin", "client left", {{"error", sent.error().message()}});
}

}  // namespace

std::string services_json(const std::vector<ServiceEntry>& services) {
  json::Writer w;
  w.begin_object().key("services").begin_array();
  for (const ServiceEntry& s : services) write_entry(w, s);
  w.end_array().end_object();
  return std::move(w).take();
}

std::string service_json(const ServiceEntry& service) {
  json::Writer w;
  write_entry(w, service);
  return std::move(w).take();
}

tl::expected<ServiceChange, std::string> read_service_body(std::string_view body) {
  // What GET shows beside the two; a body may be an answer that was edited.
  constexpr std::array<std::string_view, 7> kShown{
      "name", "source", "state", "auth_scheme", "version", "created_at", "updated_at"};
  const auto doc = json::parse(body, {64, kMostBody, false});
  if (!doc) return tl::unexpected<std::string>("the body: " + std::string(doc.error().message()));
  if (!doc->root().is_object()) return tl::unexpected<std::string>("the body is not an object");
  ServiceChange out;
  for (const auto& [key, value] : doc->root().members()) {
    if (key == "service") {
      if (!value.is_object()) return tl::unexpected<std::string>("service: is not an object");
      out.document = value.to_json();
    } else if (key == "enabled") {
      const auto enabled = value.as_bool();
      if (!enabled) return tl::unexpected<std::string>("enabled: use true or false");
      out.enabled = *enabled;
    } else if (std::find(kShown.begin(), kShown.end(), key) == kShown.end()) {
      return tl::unexpected<std::string>(
          std::string(key) +
          ": is not known here; the keys of a service stand in \"service\": {…}");
    }
  }
  if (out.document.empty()) {
    return tl::unexpected<std::string>("service: is missing; it holds the keys of the service");
  }
  return out;
}

Task<void> ServiceApi::route(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const std::string method = request.method;
  const bool reading = method == "GET" || method == "HEAD";
  if (!actions_.list) {
    co_await send_problem(exchange, 404, "this store keeps no services");
    co_return;
  }
  const std::string path(request.path());
  const std::string name = path.size() > kServices.size() ? path.substr(kServices.size() + 1) : "";
  if (name.find('/') != std::string::npos || (name.empty() && path != kServices)) {
    co_await send_problem(exchange, 404, "no such resource; see /api/v1/openapi.json");
  } else if (name.empty() && reading) {
    co_await list(exchange);
  } else if (reading) {
    co_await show(exchange, name);
  } else if (name.empty() ? method == "POST" : method == "PUT") {
    co_await put(exchange, name);
  } else if (!name.empty() && method == "DELETE") {
    co_await remove(exchange, name);
  } else {
    co_await send_problem(exchange, 405, "no such method here; see /api/v1/openapi.json");
  }
}

Task<void> ServiceApi::list(http::Exchange& exchange) {
  auto all = co_await actions_.list();
  if (!all) {
    co_await send_refusal(exchange, std::move(all).error());
  } else {
    co_await send_json(exchange, services_json(*all));
  }
}

Task<void> ServiceApi::show(http::Exchange& exchange, std::string name) {
  auto one = co_await actions_.show(std::move(name));
  if (!one) {
    co_await send_refusal(exchange, std::move(one).error());
  } else {
    co_await send_service(exchange, 200, *std::move(one));
  }
}

Task<void> ServiceApi::put(http::Exchange& exchange, std::string name) {
  auto condition = condition_of(exchange.request());
  if (!condition) {
    co_await send_problem(exchange, 400, condition.error());
    co_return;
  }
  if (name.empty()) {
    condition->kind = ServiceCondition::Kind::absent;
  } else if (condition->kind == ServiceCondition::Kind::none) {
    co_await send_problem(
        exchange, 428,
        std::string("If-Match: is missing, so that nobody else's change is lost: ") +
            kNotACondition);
    co_return;
  }
  auto body = co_await http::read_all(exchange.body(), kMostBody);
  if (!body) {
    co_await send_problem(exchange, 413, "the body: " + std::string(body.error().message()));
    co_return;
  }
  auto asked = read_service_body(*body);
  if (!asked) {
    co_await send_problem(exchange, 400, asked.error());
    co_return;
  }
  asked->name = std::move(name);
  asked->condition = *condition;
  co_await change(exchange, *std::move(asked));
}

Task<void> ServiceApi::remove(http::Exchange& exchange, std::string name) {
  const auto condition = condition_of(exchange.request());
  if (!condition || condition->kind == ServiceCondition::Kind::absent) {
    co_await send_problem(exchange, 400, std::string("If-Match: ") + kNotACondition);
    co_return;
  }
  ServiceChange asked;
  asked.name = std::move(name);
  asked.condition = *condition;
  co_await change(exchange, std::move(asked));
}

Task<void> ServiceApi::change(http::Exchange& exchange, ServiceChange change) {
  const bool creates = change.condition.kind == ServiceCondition::Kind::absent;
  auto done = co_await actions_.change(std::move(change));
  if (!done) {
    co_await send_refusal(exchange, std::move(done).error());
  } else {
    co_await send_service(exchange, creates ? 201 : 200, *std::move(done));
  }
}

}  // namespace octroi::admin
