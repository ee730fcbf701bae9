// The messages as JSON objects. Numbers are read as numbers or as strings of digits, because JSON
// of protocol buffers writes 64-bit integers as strings; bytes are base64.
#include <span>
#include <variant>

#include "octroi/adapters/pricer/wire.h"
#include "octroi/base/bytes.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

namespace {

template <class M>
struct Field {
  std::string_view name;
  std::variant<std::string M::*, std::int64_t M::*, bool M::*> member;
  bool bytes = false;
  bool required = false;  // its absence is no zero
};

constexpr Field<Ask> kPath{"path", &Ask::path};
constexpr Field<Ask> kText{"http_request_text", &Ask::http_request_text};
constexpr Field<Ask> kService{"service_name", &Ask::service_name};
constexpr Field<Ask> kToken{"token_id", &Ask::token_id};
constexpr Field<Ask> kSession{"session_id", &Ask::session_id};
constexpr Field<Ask> kStatus{"http_status", &Ask::http_status};
constexpr Field<Ask> kType{"content_type", &Ask::content_type};
constexpr Field<Ask> kCoding{"content_encoding", &Ask::content_encoding};
constexpr Field<Ask> kComplete{"complete", &Ask::complete};
constexpr Field<Ask> kTail{"response_tail", &Ask::response_tail, /*bytes=*/true};

constexpr std::array kAskPrice = {kPath, kText, kService};
constexpr std::array kAskMinted = {kPath, kText, kToken, Field<Ask>{"price_sats", &Ask::price_sats},
                                   kService};
constexpr std::array kAskAuthorize = {kPath, kText, kToken, kService};
constexpr std::array kAskUsage = {
    kToken,  kPath,   kService,
    kStatus, kType,   kComplete,
    kTail,   kCoding, Field<Ask>{"reserved_estimate", &Ask::reserved_estimate}};
constexpr std::array kAskQuote = {kPath, kText, kService, kSession};
constexpr std::array kAskSettle = {
    kSession,  kPath, kService,
    kStatus,   kType, kCoding,
    kComplete, kTail, Field<Ask>{"estimate_sats", &Ask::estimate_sats},
    kText};

template <class M>
constexpr Field<M> needed(std::string_view name, std::int64_t M::* member) {
  return {name, member, false, true};
}
constexpr std::array kReplyPrice = {needed<Reply>("price_sats", &Reply::price_sats)};
constexpr std::array kReplyAuthorize = {
    Field<Reply>{"allowed", &Reply::allowed, false, true},
    Field<Reply>{"price_sats", &Reply::price_sats}, Field<Reply>{"reason", &Reply::reason},
    Field<Reply>{"reserved_estimate", &Reply::reserved_estimate}};
constexpr std::array kReplyUsage = {Field<Reply>{"debited_sats", &Reply::debited_sats},
                                    Field<Reply>{"remaining_sats", &Reply::remaining_sats}};
constexpr std::array kReplyQuote = {needed<Reply>("unit_price_sats", &Reply::unit_price_sats),
                                    Field<Reply>{"deposit_sats", &Reply::deposit_sats}};
constexpr std::array kReplySettle = {needed<Reply>("cost_sats", &Reply::cost_sats)};

std::span<const Field<Ask>> asked(Call call) {
  switch (call) {
    case Call::price:
      return kAskPrice;
    case Call::minted:
      return kAskMinted;
    case Call::authorize:
      return kAskAuthorize;
    case Call::usage:
      return kAskUsage;
    case Call::session_quote:
      return kAskQuote;
    case Call::session_settle:
      return kAskSettle;
  }
  return {};
}

std::span<const Field<Reply>> replied(Call call) {
  switch (call) {
    case Call::price:
      return kReplyPrice;
    case Call::minted:
      return {};
    case Call::authorize:
      return kReplyAuthorize;
    case Call::usage:
      return kReplyUsage;
    case Call::session_quote:
      return kReplyQuote;
    case Call::session_settle:
      return kReplySettle;
  }
  return {};
}

template <class M>
std::string write_fields(std::span<const Field<M>> fields, const M& message) {
  json::Writer w;
  w.begin_object();
  for (const Field<M>& f : fields) {
    w.key(f.name);
    if (const auto* text = std::get_if<std::string M::*>(&f.member)) {
      f.bytes ? w.string(to_base64(as_bytes(message.**text))) : w.string(message.**text);
    } else if (const auto* number = std::get_if<std::int64_t M::*>(&f.member)) {
      w.integer(message.**number);
    } else {
      w.boolean(message.*std::get<bool M::*>(f.member));
    }
  }
  w.end_object();
  return std::move(w).take();
}

Result<std::int64_t> read_number(const json::Value& value) {
  if (!value.is_string()) return value.as_int64();
  OCTROI_TRY(std::string_view digits, value.as_string());
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  std::int64_t n = 0;
  if (digits.empty() || digits.size() > 18) return fail(pricing::Errc::unavailable, "no number");
  for (const char c : digits) {
    if (c < '0' || c > '9') return fail(pricing::Errc::unavailable, "no number");
    n = n * 10 + (c - '0');
  }
  return negative ? -n : n;
}

template <class M>
Result<> read_field(const Field<M>& f, const json::Value& value, M& out) {
  if (const auto* text = std::get_if<std::string M::*>(&f.member)) {
    OCTROI_TRY(const std::string_view s, value.as_string());
    if (!f.bytes) {
      out.** text = s;
      return {};
    }
    OCTROI_TRY(const auto raw, from_base64(s));
    out.** text = as_text(raw);
  } else if (const auto* number = std::get_if<std::int64_t M::*>(&f.member)) {
    OCTROI_TRY(out.**number, read_number(value));
  } else {
    OCTROI_TRY(out.*std::get<bool M::*>(f.member), value.as_bool());
  }
  return {};
}

/// "http_request_text" as JSON of protocol buffers spells it: "httpRequestText".
std::string camel(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i + 1 < name.size()) {
      out.push_back(static_cast<char>(name[++i] - 'a' + 'A'));
    } else {
      out.push_back(name[i]);
    }
  }
  return out;
}

template <class M>
Result<M> read_fields(std::span<const Field<M>> fields, std::string_view text) {
  const auto no_message = [](const Error& e) {
    return fail(pricing::Errc::unavailable, "price source: " + std::string(e.message()));
  };
  auto document = json::parse(text, {.max_bytes = kMaxMessage});
  if (!document) return no_message(document.error());
  if (!document->root().is_object())
    return fail(pricing::Errc::unavailable, "price source: its answer is no JSON object");
  M out;
  for (const Field<M>& f : fields) {
    auto value = document->root().find(f.name);
    if (!value) value = document->root().find(camel(f.name));
    if (!value) {
      if (!f.required) continue;
      return fail(pricing::Errc::unavailable,
                  fmt::format("price source: its answer has no {}", f.name));
    }
    if (auto read = read_field(f, *value, out); !read) return no_message(read.error());
  }
  return out;
}

class JsonCodec final : public Codec {
 public:
  [[nodiscard]] std::string write(Call call, const Ask& ask) const override {
    return write_fields(asked(call), ask);
  }
  [[nodiscard]] std::string write(Call call, const Reply& reply) const override {
    return write_fields(replied(call), reply);
  }
  [[nodiscard]] Result<Ask> read_ask(Call call, std::string_view text) const override {
    return read_fields(asked(call), text);
  }
  [[nodiscard]] Result<Reply> read_reply(Call call, std::string_view text) const override {
    return read_fields(replied(call), text);
  }
};

}  // namespace

const Codec& json_codec() {
  static const JsonCodec codec;
  return codec;
}

}  // namespace octroi::pricer
