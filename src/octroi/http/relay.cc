#include "octroi/http/relay.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "octroi/http/char_class.h"
#include "octroi/http/grpc_messages.h"
#include "octroi/http/tunnel.h"
#include "octroi/net/timer.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::http {

namespace {

// RFC 9110 section 7.6.1; TE is put back where it asks for trailers.
constexpr std::array<std::string_view, 8> kEndHere = {"te",
                                                      "upgrade",
                                                      "connection",
                                                      "keep-alive",
                                                      "proxy-connection",
                                                      "transfer-encoding",
                                                      "proxy-authenticate",
                                                      "proxy-authorization"};
constexpr Headers::NameSet kMayEndHere(kEndHere);

bool ends_at_this_hop(std::string_view name) {
  return kMayEndHere.may_contain(name) && std::ranges::any_of(kEndHere, [name](std::string_view f) {
           return equals_lower(name, f);
         });
}

std::optional<std::uint64_t> announced_length(const Headers& headers) {
  const auto text = headers.get("content-length");
  if (!text) return std::nullopt;
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return n;
}

/// How long an upstream may take to say 100 before the body is sent anyway (RFC 9110
/// section 10.1.1).
constexpr Millis kContinuePatience{1'000};

/// Of the reasons for which an upstream gives up an answer under way (RFC 9113 section 7), those
/// that its client should hear. The others speak of the connection, which is ours; and after an
/// answer began, "refused" and "ask in HTTP/1.1" would invite to repeat what was acted upon.
constexpr bool concerns_client(std::uint32_t code) {
  constexpr std::uint32_t kInternalError = 0x2;
  constexpr std::uint32_t kCancel = 0x8;
  constexpr std::uint32_t kEnhanceYourCalm = 0xb;
  constexpr std::uint32_t kInadequateSecurity = 0xc;
  return code == kInternalError || code == kCancel || code == kEnhanceYourCalm ||
         code == kInadequateSecurity;
}

/// One relayed exchange: what its two directions share.
class Relay {
 public:
  Relay(Exchange& exchange, Client& client, RelayOptions& options)
      : exchange_(exchange), client_(client), options_(options) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() { exchange_.on_gone(nullptr, nullptr); }

 private:
  friend Task<RelayResult> http::relay(Exchange& exchange, Client& client, RelayOptions options);
  void prepare_head();
  void add_forwarded();
  // What mostly need not wait is no coroutine; its second half is, for when it must.
  using Opening = Task<Result<std::unique_ptr<ClientExchange>>>;
  using Over = std::optional<RelayResult>;  // set: the exchange ends so
  [[nodiscard]] bool has_too_long_a_body() const;
  void begin();
  Opening open(bool fresh);
  Task<Result<>> send_request(bool fresh);
  Task<Result<>> send_when_open(Opening opening);
  Task<Result<>> send_on(bool opened_before);
  Task<Result<>> send_rest(Task<Result<>> sending);
  Task<Result<>> send_buffered();
  static Task<void> pump_request(Relay* self);
  Task<bool> pump_piece();
  Task<Result<>> pass_interim(ResponseHead head);
  Task<Over> pass_head(ResponseHead head);
  Task<Over> pass_filtered(ResponseHead head, std::optional<std::uint64_t> length);
  Task<Over> start(ResponseHead head, std::optional<std::uint64_t> length);
  Task<Over> await_start(Task<Result<>> starting);
  Task<Over> switching(ResponseHead head);
  Task<RelayResult> pass_body();
  Task<RelayResult> passed_last(Passing how);
  Task<RelayResult> switch_protocols(ResponseHead head);
  [[nodiscard]] bool may_repeat(const Error& error) const;
  [[nodiscard]] RelayResult unanswered(Error error) const;
  [[nodiscard]] RelayResult ended(RelayState state, std::optional<Error> error = {}) const;
  void deadline_passed() noexcept {
    late_ = true;
    if (upstream_) upstream_->abort();
  }
  Task<RelayResult> torn(Error why);
  [[nodiscard]] std::optional<std::uint32_t> reset_code() const {
    return upstream_ != nullptr ? upstream_->reset_code() : std::nullopt;
  }
  [[nodiscard]] bool client_went() const {
    return gone_ || (refused_ && refused_->is(Errc::closed));
  }
  [[nodiscard]] bool too_much(ByteView piece);
  [[nodiscard]] bool waits_its_turn(const Error& error, Millis since) const;
  void client_left() noexcept {
    gone_ = true;
    if (upstream_) upstream_->abort();
    if (options_.filter != nullptr) options_.filter->abandon();
  }

  /// Opens when the request's body may be sent: 100 came, or patience ended.
  struct GoAhead : net::Timer {
    GoAhead() : Timer([](Timer& t) { static_cast<GoAhead&>(t).event.set(); }) {}
    Event event;
  };

  struct Late : net::Timer {
    explicit Late(Relay& r)
        : Timer([](Timer& t) { static_cast<Late&>(t).relay.deadline_passed(); }), relay(r) {}
    Relay& relay;
  };

  Exchange& exchange_;
  Client& client_;
  RelayOptions& options_;
  std::unique_ptr<ClientExchange> upstream_;
  std::string own_authority_;     // what the request said, while the upstream's stands in its place
  std::optional<Error> refused_;  // a fault of the client's side
  bool filtered_ = false;
  bool streams_body_ = false;
  bool body_touched_ = false;
  bool upgrade_ = false;
  bool expects_ = false;
  bool gone_ = false;
  bool late_ = false;
  bool reached_ = false;  // by an attempt before this one
  int status_ = 0;
  std::uint64_t request_bytes_ = 0;
  std::uint64_t response_bytes_ = 0;
  Millis moved_{0};  // when a piece of the answer last passed
  GrpcMessages messages_;
  GoAhead go_ahead_;
  Late deadline_{*this};
  TaskGroup pump_;  // destroyed first: it uses all of the above
};

// ---- the request
// -----------------------------------------------------------------------------------

void Relay::add_forwarded() {
  Headers& headers = exchange_.request().headers;
  if (!options_.forwarded_for.empty() && !headers.has("X-Forwarded-For")) {
    headers.add("X-Forwarded-For", options_.forwarded_for);
  } else if (!options_.forwarded_for.empty()) {
    std::string chain;
    for (const Field f : headers) {
      if (!equals_lower(f.name, "x-forwarded-for") || f.value.empty()) continue;
      chain += f.value;
      chain += ", ";
    }
    chain += options_.forwarded_for;
    headers.set("X-Forwarded-For", chain);
  }
  if (!options_.forwarded_proto.empty()) headers.set("X-Forwarded-Proto", options_.forwarded_proto);
  if (!options_.forwarded_host.empty()) headers.set("X-Forwarded-Host", options_.forwarded_host);
}

void Relay::prepare_head() {
  RequestHead& head = exchange_.request();
  const bool has_body =
      options_.buffered_body ? !options_.buffered_body->empty() : exchange_.body().length() != 0;
  streams_body_ = has_body && !options_.buffered_body;
  std::string protocol;
  if (head.version == Version::http11 && !has_body &&
      head.headers.has_token("connection", "upgrade")) {
    protocol = head.headers.get("upgrade").value_or("");
  }
  upgrade_ = !protocol.empty();
  expects_ = streams_body_ && head.headers.has("expect");
  const bool wants_trailers = head.headers.has_token("te", "trailers");
  strip_hop_by_hop(head.headers);
  if (!expects_) head.headers.remove("expect");
  if (wants_trailers) head.headers.add("TE", "trailers");
  if (upgrade_) {
    head.headers.add("Connection", "upgrade");
    head.headers.add("Upgrade", protocol);
  }
  add_forwarded();
}

Relay::Opening Relay::open(bool fresh) {
  if (options_.connector == nullptr) {
    return client_.open_with(options_.upstream, options_.timeouts, fresh);
  }
  if (!fresh) return options_.connector->connect();
  const bool reused = upstream_ != nullptr && upstream_->reused();
  upstream_.reset();
  return options_.connector->reconnect(reused);
}

/// Opens a connection and sends the head, and what of the body is at hand.
Task<Result<>> Relay::send_request(bool fresh) {
  if (options_.connection != nullptr && !fresh) {
    upstream_ = std::move(options_.connection);
    return send_on(/*opened_before=*/true);
  }
  Opening opening = open(fresh);
  if (!opening.is_done()) return send_when_open(std::move(opening));
  auto opened = std::move(opening).take();
  if (!opened) return Task<Result<>>::done(tl::unexpected<Error>(std::move(opened).error()));
  upstream_ = std::move(*opened);
  return send_on(/*opened_before=*/false);
}

Task<Result<>> Relay::send_when_open(Opening opening) {
  OCTROI_CO_TRY(upstream_, co_await std::move(opening));
  co_return co_await send_on(/*opened_before=*/false);
}

Task<Result<>> Relay::send_on(bool opened_before) {
  const auto refuse = [](Errc why, const char* text) {
    return Task<Result<>>::done(fail(why, text));
  };
  if (gone_) return refuse(Errc::closed, "the client left");
  if (late_) return refuse(Errc::timeout, "the deadline of the call passed");
  // What cannot be repeated deserves a look at the connection before the first byte is spent on it.
  if (!options_.repeat_idempotent && (opened_before || upstream_->reused()) &&
      !upstream_->alive()) {
    return refuse(Errc::closed, "the server closed the connection before the request");
  }
  if (options_.may_send) {
    if (auto may = options_.may_send(); !may) return Task<Result<>>::done(std::move(may));
  }
  RequestHead& head = exchange_.request();
  std::optional<std::uint64_t> length = 0;
  if (options_.buffered_body) {
    length = options_.buffered_body->size();
  } else if (streams_body_) {
    length = exchange_.body().length();
  }
  head.authority.swap(own_authority_);
  auto sending = upstream_->send_head(head, length);
  if (!sending.is_done() || options_.buffered_body || streams_body_) {
    return send_rest(std::move(sending));
  }
  head.authority.swap(own_authority_);
  return sending;
}

Task<Result<>> Relay::send_rest(Task<Result<>> sending) {
  auto sent = co_await std::move(sending);
  exchange_.request().authority.swap(own_authority_);
  if (sent && options_.buffered_body) sent = co_await send_buffered();
  if (sent && streams_body_) pump_.start(pump_request(this));
  co_return sent;
}

Task<Result<>> Relay::send_buffered() {
  request_bytes_ = options_.buffered_body->size();
  if (request_bytes_ == 0) co_return Result<>{};
  OCTROI_CO_CHECK(co_await upstream_->write(as_bytes(*options_.buffered_body)));
  co_return co_await upstream_->finish({});
}

/// The client's body to the upstream, beside the answer.
Task<void> Relay::pump_request(Relay* self) {
  if (self->expects_) {
    self->client_.loop().timers().start(self->go_ahead_, kContinuePatience);
    co_await self->go_ahead_.event.wait();
  }
  while (co_await self->pump_piece()) {
  }
}

/// A client that talks over a stream may listen for long: it is not slow while its answer moves, or
/// for as long as the answer may be silent.
bool Relay::waits_its_turn(const Error& error, Millis since) const {
  const bool both_ways = exchange_.request().version == Version::http2;
  if (!both_ways || !error.is(Errc::timeout)) return false;
  const Millis silent = client_.loop().now() - std::max(since, moved_);
  return options_.timeouts.idle <= Millis(0) || silent < options_.timeouts.idle;
}

/// More than one piece may hold: of the whole body, or of a message of a gRPC stream.
bool Relay::too_much(ByteView piece) {
  if (options_.grpc) return messages_.next(piece) > options_.max_body;
  return piece.size() > options_.max_body - request_bytes_;
}

/// False at the end, or when the body cannot go on.
Task<bool> Relay::pump_piece() {
  body_touched_ = true;
  const Millis since = client_.loop().now();
  auto piece = co_await exchange_.body().next();
  while (!piece && waits_its_turn(piece.error(), since)) piece = co_await exchange_.body().next();
  if (!piece) {
    refused_ = std::move(piece).error();
    upstream_->abort();
    co_return false;
  }
  if (piece->empty()) {
    std::ignore = co_await upstream_->finish(exchange_.body().trailers());
    co_return false;
  }
  if (too_much(*piece)) {
    refused_ = Error(Errc::body_too_large, "the request body is larger than this service accepts");
    upstream_->abort();
    co_return false;
  }
  request_bytes_ += piece->size();
  // An upstream that stopped reading may have answered before that: its answer decides.
  co_return (co_await upstream_->write(*piece)).has_value();
}

// ---- the answer
// ------------------------------------------------------------------------------------

bool is_interim(const Result<ResponseHead>& head) {
  return head && head->status < 200 && head->status != 101;
}

Task<Result<>> Relay::pass_interim(ResponseHead head) {
  if (head.status == 100) {
    go_ahead_.event.set();  // reading the body tells the client
    return Task<Result<>>::done(Result<>{});
  }
  strip_hop_by_hop(head.headers);
  return exchange_.interim(std::move(head));
}

RelayResult Relay::ended(RelayState state, std::optional<Error> error) const {
  const bool fault = error && !gone_ && !refused_ && !late_ &&
                     (state == RelayState::failed || state == RelayState::torn);
  const bool client_fault = error && refused_ && !gone_ && !late_ && !refused_->is(Errc::closed);
  RelayResult result{state, status_, std::move(error), request_bytes_, response_bytes_};
  result.upstream_fault = fault;
  result.client_left = gone_;
  result.client_fault = client_fault;
  result.reset_code = reset_code();
  return result;
}

RelayResult Relay::unanswered(Error error) const {
  const bool reached = reached_ || (upstream_ != nullptr && upstream_->sent());
  return ended(reached ? RelayState::failed : RelayState::refused, std::move(error));
}

bool Relay::may_repeat(const Error& error) const {
  if (gone_ || late_ || refused_ || body_touched_ || upstream_ == nullptr) return false;
  if (upstream_->answered() || !error.is(Errc::closed)) return false;
  // Not one byte went out: as good as never opened.
  if (!upstream_->sent()) return true;
  if (!options_.repeat_idempotent || !is_idempotent(exchange_.request().method)) return false;
  return upstream_->reused() ||
         (options_.connector != nullptr && options_.connector->has_another());
}

bool Relay::has_too_long_a_body() const {
  return !options_.grpc && !options_.buffered_body &&
         options_.max_body < exchange_.body().length().value_or(0);
}

void Relay::begin() {
  prepare_head();
  own_authority_ = options_.host.value_or("");
  if (options_.deadline > Millis(0)) {
    client_.loop().timers().start(deadline_, options_.deadline);
  }
  exchange_.on_gone([](void* self) { static_cast<Relay*>(self)->client_left(); }, this);
}

/// The head of the answer to the client, with the first bytes of the body or before them.
Task<Relay::Over> Relay::pass_head(ResponseHead head) {
  status_ = head.status;
  if (head.status == 101) return switching(std::move(head));
  const bool bodiless = exchange_.request().method == "HEAD" || head.status == 304;
  const std::optional<std::uint64_t> length =
      bodiless ? announced_length(head.headers) : upstream_->body().length();
  strip_hop_by_hop(head.headers);
  if (options_.filter != nullptr && !bodiless) return pass_filtered(std::move(head), length);
  return start(std::move(head), length);
}

Task<Relay::Over> Relay::pass_filtered(ResponseHead head, std::optional<std::uint64_t> length) {
  auto filtering = co_await options_.filter->begin(head, length);
  if (!filtering) {
    refused_ = std::move(filtering).error();
    co_return ended(RelayState::failed, *refused_);
  }
  filtered_ = *filtering != Filtering::off;
  if (*filtering == Filtering::changed) length.reset();
  co_return co_await start(std::move(head), length);
}

Task<Relay::Over> Relay::start(ResponseHead head, std::optional<std::uint64_t> length) {
  if (options_.on_head) options_.on_head(head);
  auto starting = exchange_.start(std::move(head), length);
  if (!starting.is_done()) return await_start(std::move(starting));
  auto started = std::move(starting).take();
  if (started) return Task<Over>::done(Over{});
  return Task<Over>::done(Over(ended(RelayState::client_gone, std::move(started).error())));
}

Task<Relay::Over> Relay::await_start(Task<Result<>> starting) {
  auto started = co_await std::move(starting);
  if (started) co_return Over{};
  co_return ended(RelayState::client_gone, std::move(started).error());
}

Task<Relay::Over> Relay::switching(ResponseHead head) {
  co_return co_await switch_protocols(std::move(head));
}

Task<RelayResult> Relay::pass_body() {
  BodySource& body = upstream_->body();
  for (;;) {
    auto piece = co_await body.next();
    if (!piece) co_return co_await torn(std::move(piece).error());
    if (piece->empty()) break;
    moved_ = client_.loop().now();
    if (options_.on_body) options_.on_body(*piece);
    const std::size_t size = piece->size();
    if (filtered_) {
      const Passing how = co_await options_.filter->pass(*piece, exchange_);
      if (how != Passing::on) co_return co_await passed_last(how);
    } else if (auto written = co_await exchange_.write(*piece); !written) {
      co_return ended(RelayState::client_gone, std::move(written).error());
    }
    response_bytes_ += size;
  }
  if (filtered_) {
    const Passing how = co_await options_.filter->end(exchange_);
    if (how != Passing::on) co_return co_await passed_last(how);
  }
  if (options_.on_end) options_.on_end(body.trailers());
  if (auto done = co_await exchange_.finish(body.trailers()); !done) {
    co_return ended(RelayState::client_gone, std::move(done).error());
  }
  co_return ended(RelayState::complete);
}

/// The answer ends before the upstream's does.
Task<RelayResult> Relay::passed_last(Passing how) {
  if (how == Passing::stop && (co_await exchange_.finish({}))) {
    co_return ended(RelayState::complete);
  }
  if (how == Passing::cut) {
    exchange_.abort();
    refused_ = Error(Errc::cancelled, "the answer was not let pass to its end");
    co_return ended(RelayState::torn, *refused_);
  }
  co_return ended(RelayState::client_gone, Error(Errc::closed, "the client left"));
}

/// The answer cannot be completed.
Task<RelayResult> Relay::torn(Error why) {
  if (late_ && options_.grpc) {
    Headers trailers;
    trailers.add("grpc-status", "4");
    trailers.add("grpc-message", "the deadline of the call passed");
    auto told = co_await exchange_.finish(trailers);
    co_return ended(told ? RelayState::torn : RelayState::client_gone,
                    Error(Errc::timeout, "the deadline of the call passed"));
  }
  if (const auto code = reset_code(); code && concerns_client(*code)) {
    exchange_.abort_as(*code);
  } else {
    exchange_.abort();
  }
  co_return ended(client_went() ? RelayState::client_gone : RelayState::torn, std::move(why));
}

Task<RelayResult> Relay::switch_protocols(ResponseHead head) {
  const std::string protocol(head.headers.get("upgrade").value_or(""));
  if (!upgrade_ || protocol.empty()) {
    co_return ended(RelayState::failed,
                    Error(Errc::upstream_invalid, "the upstream switched protocols unasked"));
  }
  strip_hop_by_hop(head.headers);
  head.headers.add("Upgrade", protocol);
  if (options_.on_head) options_.on_head(head);
  exchange_.on_gone(nullptr, nullptr);
  auto client = co_await exchange_.upgrade(std::move(head));
  if (!client) co_return ended(RelayState::client_gone, std::move(client).error());
  const TunnelResult moved =
      co_await tunnel(std::move(*client), upstream_->upgraded(), options_.timeouts.idle);
  request_bytes_ = moved.up;
  response_bytes_ = moved.down;
  co_return ended(RelayState::complete);
}

}  // namespace

Task<RelayResult> relay(Exchange& exchange, Client& client, RelayOptions options) {
  Relay relay(exchange, client, options);
  if (relay.has_too_long_a_body()) {
    co_return relay.ended(
        RelayState::refused,
        Error(Errc::body_too_large, "the request body is larger than this service accepts"));
  }
  relay.begin();
  for (bool fresh = false;; fresh = true) {
    Result<> sent = co_await relay.send_request(fresh);
    Result<ResponseHead> head = sent ? co_await relay.upstream_->head()
                                     : Result<ResponseHead>(tl::unexpect, std::move(sent).error());
    while (is_interim(head)) {
      sent = co_await relay.pass_interim(std::move(*head));
      head = sent ? co_await relay.upstream_->head()
                  : Result<ResponseHead>(tl::unexpect, std::move(sent).error());
    }
    if (head) {
      if (auto over = co_await relay.pass_head(std::move(*head))) co_return std::move(*over);
      co_return co_await relay.pass_body();
    }
    Error error = std::move(head).error();
    if (!fresh && relay.may_repeat(error)) {
      relay.reached_ = relay.upstream_->sent();
      relay.pump_.cancel();
      continue;
    }
    if (relay.gone_) {
      error = Error(Errc::closed, "the client left before the answer");
    } else if (relay.late_) {
      error = Error(Errc::timeout, "the deadline of the call passed");
    } else if (relay.refused_) {
      error = *relay.refused_;
    }
    co_return relay.unanswered(std::move(error));
  }
}

// RFC 9110 section 7.6.1.
void strip_hop_by_hop(Headers& headers) {
  if (!headers.may_have_any(kMayEndHere)) return;
  std::vector<std::string_view> named;  // views stay valid: filter() moves entries, not bytes
  headers.visit(kMayEndHere, [&named](Field f, bool special) {
    if (!special || !equals_lower(f.name, "connection")) return;
    for_each_member(f.value, [&named](std::string_view option) {
      if (!equals_lower(option, "close") && !equals_lower(option, "keep-alive"))
        named.push_back(option);
      return true;
    });
  });
  if (named.empty()) {
    headers.filter(kMayEndHere,
                   [](std::string_view name, std::string_view) { return !ends_at_this_hop(name); });
    return;
  }
  headers.filter([&named](std::string_view name, std::string_view) {
    if (ends_at_this_hop(name)) return false;
    return std::ranges::none_of(
        named, [name](std::string_view n) { return equal_ignoring_case(n, name); });
  });
}

}  // namespace octroi::http
