#include "octroi/base/bytes.h"
#include "octroi/json/canonical.h"
#include "octroi/json/writer.h"
#include "octroi/policy/text.h"

namespace octroi::policy {
namespace {

void write_list(json::Writer& w, std::string_view key, const std::vector<std::string>& list) {
  if (list.empty()) return;
  w.key(key).begin_array();
  for (const std::string& text : list) w.string(text);
  w.end_array();
}

void write_endpoints(json::Writer& w, std::string_view key, const std::vector<Endpoint>& list) {
  if (list.empty()) return;
  w.key(key).begin_array();
  for (const Endpoint& endpoint : list) w.string(format(endpoint));
  w.end_array();
}

void write_dollars(json::Writer& w, std::string_view key, const std::optional<MicroUsd>& usd) {
  if (usd) w.field(key, octroi::format(*usd));
}

void write_cap(json::Writer& w, const Cap& cap) {
  w.begin_object().field("per", to_string(cap.period));
  if (cap.direction) w.field("direction", to_string(*cap.direction));
  if (cap.by != CountedBy::policy) w.field("by", to_string(cap.by));
  if (!cap.budget.empty()) w.field("budget", cap.budget);
  write_dollars(w, "usd", cap.usd);
  if (cap.calls) w.field("calls", *cap.calls);
  w.end_object();
}

void write_rule(json::Writer& w, const FieldRule& rule) {
  w.begin_object().field("field", rule.field);
  switch (rule.test) {
    case FieldTest::one_of:
    case FieldTest::none_of:
    case FieldTest::like:
      write_list(w, to_string(rule.test), rule.values);
      break;
    case FieldTest::at_most:
    case FieldTest::at_least:
      w.field(to_string(rule.test), rule.bound);
      break;
    case FieldTest::present:
    case FieldTest::absent:
      w.field(to_string(rule.test), true);
      break;
  }
  write_endpoints(w, "endpoints", rule.endpoints);
  w.end_object();
}

void write_brake(json::Writer& w, const Brake& brake) {
  w.key("velocity").begin_object().field("per", format_duration(brake.per));
  if (brake.calls) w.field("calls", *brake.calls);
  write_dollars(w, "usd", brake.usd);
  if (brake.then != BrakeAction::deny) w.field("then", to_string(brake.then));
  if (brake.by != CountedBy::key) w.field("by", to_string(brake.by));
  w.end_object();
}

void write_limits(json::Writer& w, const Policy& p) {
  write_dollars(w, "max_amount", p.max_amount);
  if (!p.max_amounts.empty()) {
    w.key("max_amounts").begin_object();
    for (const DirectionLimit& limit : p.max_amounts) {
      w.field(to_string(limit.direction), octroi::format(limit.usd));
    }
    w.end_object();
  }
  if (!p.caps.empty()) {
    w.key("caps").begin_array();
    for (const Cap& cap : p.caps) write_cap(w, cap);
    w.end_array();
  }
  if (p.velocity) write_brake(w, *p.velocity);
  write_dollars(w, "approve_over", p.approve_over);
  write_endpoints(w, "approve", p.approve);
  if (p.dedupe > Millis{}) w.field("dedupe", format_duration(p.dedupe));
}

}  // namespace

std::string to_text(const Policy& p) {
  json::Writer w;
  w.begin_object().field("vendor", p.vendor);
  if (p.mode != Mode::enforce) w.field("mode", to_string(p.mode));
  write_endpoints(w, "endpoints", p.endpoints);
  write_limits(w, p);
  if (p.time_zone->name() != "UTC") w.field("time_zone", p.time_zone->name());
  write_list(w, "customers", p.customers);
  write_list(w, "recipients", p.recipients);
  write_list(w, "countries", p.countries);
  write_list(w, "senders", p.senders);
  if (!p.fields.empty()) {
    w.key("fields").begin_array();
    for (const FieldRule& rule : p.fields) write_rule(w, rule);
    w.end_array();
  }
  if (p.unknown_amount != WhenUnknown::deny) w.field("unknown_amount", to_string(p.unknown_amount));
  if (p.unknown_customer != WhenUnknown::deny) {
    w.field("unknown_customer", to_string(p.unknown_customer));
  }
  if (p.expires) w.field("expires", to_rfc3339(*p.expires));
  w.end_object();
  const std::string text = std::move(w).take();
  return json::canonicalize(text).value_or(text);
}

std::string Policy::shown_version() const {
  return fmt::format("{} ({})", version, to_hex(hash).substr(0, 8));
}

namespace {

bool may_spend(const Endpoint& endpoint) {
  return !endpoint.is_path() || (endpoint.method != "GET" && endpoint.method != "HEAD");
}

bool has_dollar_cap(const Policy& p) {
  for (const Cap& cap : p.caps) {
    if (cap.usd && !cap.direction) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> advice(const Policy& p) {
  std::vector<std::string> out;
  if (p.endpoints.empty()) {
    out.emplace_back(
        "endpoints: none, so nothing is allowed: name operations, or \"*\" for all that the "
        "vendor's pack knows");
    return out;
  }
  bool spends = false;
  for (const Endpoint& endpoint : p.endpoints) spends = spends || may_spend(endpoint);
  if (spends && !has_dollar_cap(p)) {
    out.emplace_back("caps: no cap in usd over all directions, so nothing bounds what is spent");
  }
  if (spends && !p.max_amount) out.emplace_back("max_amount: none, so one call may use up a cap");
  if (p.mode == Mode::shadow) out.emplace_back("mode: shadow refuses nothing that it knows");
  if (!p.expires) out.emplace_back("expires: never");
  return out;
}

}  // namespace octroi::policy
