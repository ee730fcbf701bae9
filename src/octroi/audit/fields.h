// octroi/audit/fields.h: every member of a row, once: writing, reading, preparing and CSV walk over
// this list and so cannot disagree. In canonical order (RFC 8785): all names are ASCII, so that is
// the order of their bytes. Inside this module only.
#pragma once

#include <cstdint>
#include <string>

#include "octroi/audit/event.h"
#include "octroi/base/clock.h"

namespace octroi::audit {

/// What a row says beside its event.
struct RowHead {
  std::string writer;
  std::int64_t seq = 0;
  UnixMillis at;
};

/// Calls visit(name, member) for each; `head` and `event` may be const.
template <class Head, class E, class Visit>
void each_field(Head& head, E& event, Visit&& visit) {
  visit("agent", event.agent);
  visit("amount", event.amount);
  visit("at", head.at);
  visit("body_sha256", event.body_sha256);
  visit("cap_usage_after_micro_usd", event.cap_usage_after);
  visit("client", event.client);
  visit("currency", event.currency);
  visit("customer", event.customer);
  visit("details", event.details);
  visit("direction", event.direction);
  visit("id", event.id);
  visit("idempotency_key_sha256", event.idempotency_key_hash);
  visit("key_id", event.key_id);
  visit("key_name", event.key_name);
  visit("kind", event.kind);
  visit("latency_ms", event.latency_ms);
  visit("method", event.method);
  visit("mode", event.mode);
  visit("operation", event.operation);
  visit("path", event.path);
  visit("policy", event.policy);
  visit("policy_sha256", event.policy_hash);
  visit("policy_version", event.policy_version);
  visit("rate", event.rate);
  visit("reason", event.reason);
  visit("released_micro_usd", event.released);
  visit("reserved_micro_usd", event.reserved);
  visit("retry_of", event.retry_of);
  visit("run", event.run);
  visit("seq", head.seq);
  visit("server", event.server);
  visit("settled_micro_usd", event.settled);
  visit("upstream_status", event.upstream_status);
  visit("user_agent", event.user_agent);
  visit("vendor", event.vendor);
  visit("vendor_request_id", event.vendor_request_id);
  visit("verdict", event.verdict);
  visit("writer", head.writer);
}

}  // namespace octroi::audit
