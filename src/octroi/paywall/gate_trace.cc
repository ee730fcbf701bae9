// What is told of a request to whoever traces it: never a query, a field or a credential.
#include <utility>

#include "octroi/paywall/gate_visit.h"

namespace octroi::paywall {

namespace {

std::string_view version_of(http::Version version) {
  switch (version) {
    case http::Version::http10:
      return "1.0";
    case http::Version::http11:
      return "1.1";
    case http::Version::http2:
      return "2";
  }
  return "";
}

std::string_view why(const Error& error) {
  if (error.is(http::Errc::timeout)) return "timeout";
  if (error.is(http::Errc::tls_failed)) return "tls";
  if (error.is(http::Errc::connect_failed)) return "connect";
  if (error.is(http::Errc::closed)) return "closed";
  return "_OTHER";
}

}  // namespace

std::unique_ptr<Span> Gate::Visit::begin_hop() const {
  auto hop = trace->child(SpanKind::client, std::string(span_word(request().method)));
  hop->set_method(request().method);
  put_trace(*hop, request().headers);
  return hop;
}

void Gate::Visit::end_hop(std::unique_ptr<Span> hop, const http::RelayResult& result) {
  if (attempt && attempt->address() != nullptr) {
    const std::string_view name = attempt->address()->name();  // host:port, perhaps with a scheme
    const std::size_t at = name.find("://");
    hop->set("server.address", at == std::string_view::npos ? name : name.substr(at + 3));
  }
  hop->set_status(result.status);
  const bool whole = result.state == http::RelayState::complete;
  if (!whole && !result.client_left && !result.client_fault)
    hop->set_error(result.error ? why(*result.error) : std::string_view("_OTHER"));
  trace->finish(std::move(hop));
}

void Gate::Visit::end_trace() {
  Span& span = trace->server();
  const http::RequestHead& head = request();
  span.name = span_word(head.method);
  if (service != nullptr) span.name += " " + service->settings.name.str();
  span.set_method(head.method);
  span.set("url.path", path);
  span.set("url.scheme", client.proto.empty() ? std::string_view(head.scheme) : client.proto);
  span.set("network.protocol.version", version_of(head.version));
  span.set("octroi.door", "paywall");
  if (service != nullptr) span.set("octroi.service", service->settings.name.str());
  span.set("octroi.scheme", scheme);
  span.set("octroi.intent", intent);
  span.set("octroi.outcome", to_string(outcome));
  span.set("octroi.request_id", request_id);
  span.set_status(status);
  trace->end();
}

}  // namespace octroi::paywall
