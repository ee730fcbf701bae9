// What is told of a call to whoever traces it. No path: vendors' paths name customers, and some
// carry keys; the audit has it, under the call's id.
#include <utility>

#include "octroi/http/relay.h"
#include "octroi/vault/broker_visit.h"

namespace octroi::vault {

void Broker::Visit::begin_hop() {
  http::RequestHead& head = exchange.request();
  hop = trace->child(SpanKind::client, std::string(span_word(head.method)));
  hop->set_method(head.method);
  hop->set("server.address", vendor->settings.host);
  hop->set("server.port", static_cast<int>(vendor->origin.port));
  hop->set("octroi.vendor", vendor->settings.name);
  if (broker.shared_.propagate) put_trace(*hop, head.headers);
}

void Broker::Visit::end_hop(const http::RelayResult& result) {
  hop->set_status(result.status);
  if (result.state != http::RelayState::complete && !result.client_left && !result.client_fault)
    hop->set_error(result.error && result.error->is(http::Errc::timeout) ? "timeout" : "_OTHER");
  trace->finish(std::move(hop));
}

void Broker::Visit::end_trace() {
  Span& span = trace->server();
  const http::RequestHead& head = exchange.request();
  span.name = span_word(head.method);
  if (vendor != nullptr) span.name += " " + vendor->settings.name;
  if (!call.operation.empty()) span.name += " " + call.operation;
  span.set_method(head.method);
  span.set("url.scheme", head.scheme);
  span.set("octroi.door", "vault");
  if (vendor != nullptr) span.set("octroi.vendor", vendor->settings.name);
  span.set("octroi.operation", call.operation);
  span.set("octroi.verdict", verdict);
  span.set("octroi.reason", reason);
  span.set("octroi.run", call.run);
  span.set("octroi.call", id);
  span.set_status(answered != 0 ? answered : upstream_status);
  trace->end();
}

}  // namespace octroi::vault
