// The messages as protocol buffers. The one file that sees libprotobuf.
#include <prices.pb.h>

#include "octroi/adapters/pricer/wire.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

namespace {

using pricing::Errc;

std::int32_t status_of(const Ask& ask) { return static_cast<std::int32_t>(ask.http_status); }

template <class M>
std::string bytes_of(const M& message) {
  return message.SerializeAsString();
}

template <class M>
Result<M> parsed(std::string_view text) {
  M message;
  if (!message.ParseFromArray(text.data(), static_cast<int>(text.size())))
    return fail(Errc::unavailable, "price source: no message of this call");
  return message;
}

std::string write_ask(Call call, const Ask& a) {
  switch (call) {
    case Call::price: {
      pricesrpc::GetPriceRequest m;
      m.set_path(a.path);
      m.set_http_request_text(a.http_request_text);
      return bytes_of(m);
    }
    case Call::minted: {
      pricesrpc::ChallengeMintedRequest m;
      m.set_path(a.path);
      m.set_http_request_text(a.http_request_text);
      m.set_token_id(a.token_id);
      m.set_price_sats(a.price_sats);
      m.set_service_name(a.service_name);
      return bytes_of(m);
    }
    case Call::authorize: {
      pricesrpc::AuthorizeRequestRequest m;
      m.set_path(a.path);
      m.set_http_request_text(a.http_request_text);
      m.set_token_id(a.token_id);
      m.set_service_name(a.service_name);
      return bytes_of(m);
    }
    case Call::usage: {
      pricesrpc::ReportUsageRequest m;
      m.set_token_id(a.token_id);
      m.set_path(a.path);
      m.set_service_name(a.service_name);
      m.set_http_status(status_of(a));
      m.set_content_type(a.content_type);
      m.set_complete(a.complete);
      m.set_response_tail(a.response_tail);
      m.set_content_encoding(a.content_encoding);
      m.set_reserved_estimate(a.reserved_estimate);
      return bytes_of(m);
    }
    case Call::session_quote: {
      pricesrpc::QuoteSessionRequest m;
      m.set_path(a.path);
      m.set_http_request_text(a.http_request_text);
      m.set_service_name(a.service_name);
      m.set_session_id(a.session_id);
      return bytes_of(m);
    }
    case Call::session_settle: {
      pricesrpc::SettleSessionRequest m;
      m.set_session_id(a.session_id);
      m.set_path(a.path);
      m.set_service_name(a.service_name);
      m.set_http_status(status_of(a));
      m.set_content_type(a.content_type);
      m.set_content_encoding(a.content_encoding);
      m.set_complete(a.complete);
      m.set_response_tail(a.response_tail);
      m.set_estimate_sats(a.estimate_sats);
      m.set_http_request_text(a.http_request_text);
      return bytes_of(m);
    }
  }
  return {};
}

Result<Ask> read_ask_of(Call call, std::string_view text) {
  Ask a;
  switch (call) {
    case Call::price: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::GetPriceRequest>(text));
      a.path = m.path();
      a.http_request_text = m.http_request_text();
      return a;
    }
    case Call::minted: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::ChallengeMintedRequest>(text));
      a.path = m.path();
      a.http_request_text = m.http_request_text();
      a.token_id = m.token_id();
      a.price_sats = m.price_sats();
      a.service_name = m.service_name();
      return a;
    }
    case Call::authorize: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::AuthorizeRequestRequest>(text));
      a.path = m.path();
      a.http_request_text = m.http_request_text();
      a.token_id = m.token_id();
      a.service_name = m.service_name();
      return a;
    }
    case Call::usage: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::ReportUsageRequest>(text));
      a.token_id = m.token_id();
      a.path = m.path();
      a.service_name = m.service_name();
      a.http_status = m.http_status();
      a.content_type = m.content_type();
      a.complete = m.complete();
      a.response_tail = m.response_tail();
      a.content_encoding = m.content_encoding();
      a.reserved_estimate = m.reserved_estimate();
      return a;
    }
    case Call::session_quote: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::QuoteSessionRequest>(text));
      a.path = m.path();
      a.http_request_text = m.http_request_text();
      a.service_name = m.service_name();
      a.session_id = m.session_id();
      return a;
    }
    case Call::session_settle: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::SettleSessionRequest>(text));
      a.session_id = m.session_id();
      a.path = m.path();
      a.service_name = m.service_name();
      a.http_status = m.http_status();
      a.content_type = m.content_type();
      a.content_encoding = m.content_encoding();
      a.complete = m.complete();
      a.response_tail = m.response_tail();
      a.estimate_sats = m.estimate_sats();
      a.http_request_text = m.http_request_text();
      return a;
    }
  }
  return a;
}

std::string write_reply(Call call, const Reply& r) {
  switch (call) {
    case Call::price: {
      pricesrpc::GetPriceResponse m;
      m.set_price_sats(r.price_sats);
      return bytes_of(m);
    }
    case Call::minted:
      return {};
    case Call::authorize: {
      pricesrpc::AuthorizeRequestResponse m;
      m.set_allowed(r.allowed);
      m.set_price_sats(r.price_sats);
      m.set_reason(r.reason);
      m.set_reserved_estimate(r.reserved_estimate);
      return bytes_of(m);
    }
    case Call::usage: {
      pricesrpc::ReportUsageResponse m;
      m.set_debited_sats(r.debited_sats);
      m.set_remaining_sats(r.remaining_sats);
      return bytes_of(m);
    }
    case Call::session_quote: {
      pricesrpc::QuoteSessionResponse m;
      m.set_unit_price_sats(r.unit_price_sats);
      m.set_deposit_sats(r.deposit_sats);
      return bytes_of(m);
    }
    case Call::session_settle: {
      pricesrpc::SettleSessionResponse m;
      m.set_cost_sats(r.cost_sats);
      return bytes_of(m);
    }
  }
  return {};
}

Result<Reply> read_reply_of(Call call, std::string_view text) {
  Reply r;
  switch (call) {
    case Call::price: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::GetPriceResponse>(text));
      r.price_sats = m.price_sats();
      return r;
    }
    case Call::minted: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::ChallengeMintedResponse>(text));
      std::ignore = m;
      return r;
    }
    case Call::authorize: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::AuthorizeRequestResponse>(text));
      r.allowed = m.allowed();
      r.price_sats = m.price_sats();
      r.reason = m.reason();
      r.reserved_estimate = m.reserved_estimate();
      return r;
    }
    case Call::usage: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::ReportUsageResponse>(text));
      r.debited_sats = m.debited_sats();
      r.remaining_sats = m.remaining_sats();
      return r;
    }
    case Call::session_quote: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::QuoteSessionResponse>(text));
      r.unit_price_sats = m.unit_price_sats();
      r.deposit_sats = m.deposit_sats();
      return r;
    }
    case Call::session_settle: {
      OCTROI_TRY(const auto m, parsed<pricesrpc::SettleSessionResponse>(text));
      r.cost_sats = m.cost_sats();
      return r;
    }
  }
  return r;
}

class ProtoCodec final : public Codec {
 public:
  [[nodiscard]] std::string write(Call call, const Ask& ask) const override {
    return write_ask(call, ask);
  }
  [[nodiscard]] std::string write(Call call, const Reply& reply) const override {
    return write_reply(call, reply);
  }
  [[nodiscard]] Result<Ask> read_ask(Call call, std::string_view text) const override {
    return read_ask_of(call, text);
  }
  [[nodiscard]] Result<Reply> read_reply(Call call, std::string_view text) const override {
    return read_reply_of(call, text);
  }
};

}  // namespace

const Codec& proto_codec() {
  static const ProtoCodec codec;
  return codec;
}

}  // namespace octroi::pricer
