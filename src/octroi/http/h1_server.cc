#include "octroi/http/h1_server.h"

#include "octroi/base/log.h"
#include "octroi/http/char_class.h"
#include "octroi/http/prefixed_stream.h"

namespace octroi::http::h1 {

namespace {

constexpr std::uint64_t kDrainBytes = 256 * 1024;  // of a body nobody read, to keep the connection
constexpr Millis kDrainTime{5'000};
constexpr std::uint64_t kLingerBytes = 512 * 1024;
constexpr Millis kLingerTime{2'000};
constexpr Millis kRateWindow{10'000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Limits head_limits(const ServerLimits& limits) {
  return {limits.max_head, limits.max_fields, limits.max_target, limits.tunnels};
}
Limits trailer_limits(const ServerLimits& limits) {
  return {std::min<std::size_t>(limits.max_head, kBlockSize), limits.max_fields, 0};
}

/// Text answers of the server's own.
std::string error_text(std::string_view why) { return std::string(why) + "\n"; }

bool has_no_body(int status) { return status == 204 || status == 304; }

}  // namespace

H1Connection::H1Connection(ServerContext& context, std::unique_ptr<net::Stream> stream)
    : context_(context),
      stream_(std::move(stream)),
      parser_(HeadParser::Kind::request, head_limits(context.limits)),
      body_(trailer_limits(context.limits)) {
  peer_ = {stream_->peer(), stream_->is_tls()};
  request_.scheme = peer_.tls ? "https" : "http";
  out_.attach(*stream_);
}

H1Connection::~H1Connection() {
  unwatch_client();
  out_.detach();
}

Task<void> H1Connection::run() {
  while (co_await read_head()) {
    co_await serve();
    if (!co_await finish_exchange()) break;
  }
  if (linger_ && !closed_) co_await linger();
}

void H1Connection::begin_drain() noexcept {
  if (idle_ && stream_) stream_->close();
}

// ---- reading
// ---------------------------------------------------------------------------------------

Task<bool> H1Connection::read_head() {
  parser_.reset();
  Millis deadline{0};  // for the whole head, from the first time it does not go on
  for (;;) {
    if (!in_.empty()) {
      const Step step = parser_.parse(in_.text());
      if (step == Step::done) break;
      if (step == Step::fault) {
        if (begins_h2()) co_return false;
        co_await refuse(status_of(parser_.fault()), describe(parser_.fault()));
        co_return false;
      }
    }
    const net::IoResult got = stream_->read_now(in_.room());
    if (got.status == net::IoStatus::ok) {
      in_.filled(got.size);
      continue;
    }
    if (got.status != net::IoStatus::would_block) co_return false;

    idle_ = in_.empty();
    Millis wait = served_ ? context_.limits.idle_timeout : context_.limits.head_timeout;
    if (idle_) {
      if (context_.draining) co_return false;
      in_.rest();
      out_.held().rest();
    } else {
      const Millis now = loop().now();
      if (deadline == Millis(0)) deadline = now + context_.limits.head_timeout;
      wait = std::max(deadline - now, Millis(1));
    }
    auto ready = co_await stream_->ready(net::Direction::read, wait);
    const bool was_idle = std::exchange(idle_, false);
    if (!ready) {
      if (!was_idle && ready.error().is(net::Errc::timeout)) {
        co_await refuse(408, "the request head did not arrive in time");
      }
      co_return false;
    }
  }
  accept_head();
  if (parser_.signals().expect_other) {
    co_await refuse(417, "the only expectation known here is 100-continue");
    co_return false;
  }
  co_return true;
}

/// RFC 9113 section 3.3: who knows that HTTP/2 is spoken here says so with the first line. Over TLS
/// that is said in the handshake.
bool H1Connection::begins_h2() noexcept {
  found_h2_ = !served_ && !peer_.tls && in_.text().starts_with("PRI * HTTP/2.0\r\n");
  return found_h2_;
}

std::unique_ptr<net::Stream> H1Connection::take_stream() noexcept {
  out_.detach();
  closed_ = true;
  return std::move(stream_);
}

Bytes H1Connection::take_unread() {
  const ByteView unread = in_.bytes();
  return {unread.begin(), unread.end()};
}

void H1Connection::accept_head() {
  request_.method.assign(parser_.method());
  const std::string_view target = parser_.target();
  request_.target.clear();
  if (target.empty() && request_.method == "OPTIONS") {
    request_.target = "*";  // RFC 9112 section 3.2.4: absolute-form without a path
  } else {
    const bool whole = target.starts_with('/') || target == "*" || request_.method == "CONNECT";
    if (!whole) request_.target = "/";
    request_.target.append(target);
  }
  request_.authority.assign(parser_.host());
  for (char& c : request_.authority) c = lower(c);
  request_.version = parser_.version();
  request_.absolute = parser_.absolute();
  // What a proxy is asked for need not be how it is asked.
  if (context_.limits.tunnels)
    request_.scheme = peer_.tls || parser_.absolute_https() ? "https" : "http";
  parser_.copy_fields(request_.headers);
  const Signals& said = parser_.signals();
  if (said.names_fields) drop_named_fields();

  keep_alive_ = !said.close && (request_.version == Version::http11 || said.keep_alive);
  body_.begin(parser_.request_framing());
  expects_continue_ = said.expect_continue && request_.version == Version::http11 && !body_.ended();
  in_.consume(parser_.size());
  started_ = finished_ = false;
  shape_ = Shape::nothing;
  withheld_ = false;
  announced_ = sent_ = 0;
  rate_since_ = Millis(0);
  rate_bytes_ = 0;
}

/// What Connection names ends here, before anybody adds fields that a client could have named.
void H1Connection::drop_named_fields() {
  std::vector<std::string> named;
  for (const std::string_view value : request_.headers.all("connection")) {
    for_each_member(value, [&](std::string_view option) {
      named.emplace_back(option);
      return true;
    });
  }
  const auto is_option = [](std::string_view name) {
    return equals_lower(name, "close") || equals_lower(name, "keep-alive") ||
           equals_lower(name, "upgrade") || equals_lower(name, "te");
  };
  std::string kept;
  for (const std::string& name : named) {
    if (is_option(name)) {
      kept += kept.empty() ? "" : ", ";
      kept += name;
    } else {
      request_.headers.remove(name);
    }
  }
  request_.headers.remove("connection");
  if (!kept.empty()) request_.headers.add("Connection", kept);
}

std::optional<Result<ByteView>> H1Connection::next_at_hand() {
  if (closed_) return fail(Errc::closed, "the connection is closed");
  const BodyReader::Pull pull = body_.pull(in_);
  switch (pull.what) {
    case BodyReader::Pull::What::data:
      return pull.data;
    case BodyReader::Pull::What::end:
      watch_client();
      return ByteView{};
    case BodyReader::Pull::What::fault:
      linger_ = true;
      return fail(body_.fault() == Fault::head_too_large || body_.fault() == Fault::too_many_fields
                      ? Errc::head_too_large
                      : Errc::bad_message,
                  std::string(describe(body_.fault())));
    case BodyReader::Pull::What::more:
      break;
  }
  return std::nullopt;
}

Task<Result<ByteView>> H1Connection::next() {
  if (auto piece = next_at_hand()) return Task<Result<ByteView>>::done(std::move(*piece));
  return next_read();
}

Task<Result<ByteView>> H1Connection::next_read() {
  for (;;) {
    if (expects_continue_ && !started_) {
      expects_continue_ = false;
      OCTROI_CO_CHECK(
          co_await out_.send(as_bytes(kContinue), {}, {}, context_.limits.body_timeout));
    }
    const net::IoResult got = stream_->read_now(in_.room());
    if (got.status == net::IoStatus::ok) {
      in_.filled(got.size);
      if (too_slow(got.size)) co_return fail(Errc::timeout, "the request body came too slowly");
    } else if (got.status != net::IoStatus::would_block) {
      closed_ = true;
      co_return fail(Errc::closed, "the client closed the connection within its request");
    } else if (auto ready =
                   co_await stream_->ready(net::Direction::read, context_.limits.body_timeout);
               !ready) {
      linger_ = true;
      co_return tl::unexpected<Error>(exchange_error(ready.error()));
    }
    if (auto piece = next_at_hand()) co_return std::move(*piece);
  }
}

std::optional<std::uint64_t> H1Connection::length() const {
  const Framing framing = body_.framing();
  if (framing.kind == BodyKind::chunked) return std::nullopt;
  return framing.length;
}

/// A body that trickles holds a connection and an upstream; it is measured over ten seconds at a
/// time.
bool H1Connection::too_slow(std::size_t bytes) {
  if (context_.limits.min_bytes_per_second == 0) return false;
  const Millis now = loop().now();
  if (rate_since_ == Millis(0)) rate_since_ = now;
  rate_bytes_ += bytes;
  const Millis passed = now - rate_since_;
  if (passed < kRateWindow) return false;
  const auto seconds = static_cast<std::size_t>(passed / Seconds(1));
  const bool slow = rate_bytes_ / seconds < context_.limits.min_bytes_per_second;
  rate_since_ = now;
  rate_bytes_ = 0;
  linger_ = linger_ || slow;
  return slow;
}

// ---- the handler
// -----------------------------------------------------------------------------------

Task<void> H1Connection::serve() {
  bool threw = false;
  try {
    co_await context_.handler(*this);
  } catch (...) {
    threw = true;
  }
  unwatch_client();
  gone_.call = nullptr;
  if (closed_ || finished_) co_return;
  if (started_) {
    abort();  // torn: it must not look whole
    co_return;
  }
  OCTROI_LOG(error, "http", threw ? "handler threw" : "handler did not answer",
             {{"method", request_.method}});
  ResponseHead head;
  head.status = 500;
  head.headers.add("Content-Type", "text/plain; charset=utf-8");
  std::ignore = co_await respond(std::move(head), error_text("internal error"));
}

/// Whether another request may follow.
Task<bool> H1Connection::finish_exchange() {
  served_ = true;
  if (closed_) return Task<bool>::done(false);
  if (!keep_alive_ || linger_) {
    linger_ = linger_ || !body_.ended() || !in_.empty();
    return Task<bool>::done(false);
  }
  body_.release(in_);
  if (body_.ended()) return Task<bool>::done(true);
  return finish_body();
}

Task<bool> H1Connection::finish_body() {
  if (co_await drain_body()) co_return true;
  linger_ = true;
  co_return false;
}

/// Reads what the handler left of a body, so that the next request can be found.
Task<bool> H1Connection::drain_body() {
  const Millis deadline = loop().now() + kDrainTime;
  std::uint64_t drained = 0;
  while (!closed_) {
    const BodyReader::Pull pull = body_.pull(in_);
    if (pull.what == BodyReader::Pull::What::end) co_return true;
    if (pull.what == BodyReader::Pull::What::fault) co_return false;
    drained += pull.data.size();
    if (drained > kDrainBytes || body_.left() > kDrainBytes) co_return false;
    if (pull.what == BodyReader::Pull::What::data) continue;
    const net::IoResult got = stream_->read_now(in_.room());
    if (got.status == net::IoStatus::ok) {
      in_.filled(got.size);
      continue;
    }
    const Millis left = deadline - loop().now();
    if (got.status != net::IoStatus::would_block || left <= Millis(0)) co_return false;
    if (!co_await stream_->ready(net::Direction::read, left)) co_return false;
  }
  co_return false;
}

/// An answer before any handler: short, and the connection's last.
Task<void> H1Connection::refuse(int status, std::string_view why) {
  keep_alive_ = false;
  linger_ = true;
  request_.method = "GET";  // whatever it was: the refusal has a body
  request_.version = Version::http11;
  started_ = finished_ = false;
  ResponseHead head;
  head.status = status;
  head.headers.add("Content-Type", "text/plain; charset=utf-8");
  std::ignore = co_await respond(std::move(head), error_text(why));
}

/// Closing while bytes of the peer are unread makes TCP reset the connection, and a reset can
/// overtake our answer: say that we are done, then read on for a moment.
Task<void> H1Connection::linger() {
  stream_->shutdown_write();
  const Millis deadline = loop().now() + kLingerTime;
  std::uint64_t discarded = 0;
  in_.consume(in_.size());
  while (discarded < kLingerBytes) {
    const net::IoResult got = stream_->read_now(in_.room());
    if (got.status == net::IoStatus::ok) {
      discarded += got.size;
      continue;
    }
    const Millis left = deadline - loop().now();
    if (got.status != net::IoStatus::would_block || left <= Millis(0)) co_return;
    if (!co_await stream_->ready(net::Direction::read, left)) co_return;
  }
}

// ---- answering
// -------------------------------------------------------------------------------------

bool H1Connection::must_close() const noexcept {
  // A client that was never told to go on may or may not send its body: nobody can tell where the
  // next request begins.
  const bool unknown_rest = expects_continue_ || body_.left() > kDrainBytes;
  return !keep_alive_ || context_.draining || linger_ || unknown_rest;
}

Result<> H1Connection::may_answer() const {
  if (closed_) return fail(Errc::closed, "the connection is closed");
  if (started_) return fail(Errc::bad_message, "the exchange has been answered already");
  return {};
}

/// Decides the framing and puts the head where the first bytes of the body will join it.
void H1Connection::begin_answer(const ResponseHead& head, std::optional<std::uint64_t> length) {
  started_ = true;
  const bool head_only = request_.method == "HEAD" || head.status == 304;
  withheld_ = head_only || head.status == 204;
  BodyPlan plan;
  if (withheld_) {
    shape_ = Shape::nothing;
    if (head_only) plan.length = length;
  } else if (length) {
    shape_ = Shape::counted;
    announced_ = *length;
    plan.length = length;
  } else if (request_.version == Version::http10) {
    shape_ = Shape::until_close;
    keep_alive_ = false;
  } else {
    shape_ = Shape::chunked;
    plan.chunked = true;
  }
  keep_alive_ = !must_close();
  ConnectionOption option = ConnectionOption::none;
  if (!keep_alive_) {
    option = ConnectionOption::close;
  } else if (request_.version == Version::http10) {
    option = ConnectionOption::keep_alive;
  }
  write_response_head(out_.held(), head, plan, option, context_.date.at(loop().now()));
}

Task<Result<>> H1Connection::interim(ResponseHead head) {
  OCTROI_CO_CHECK(may_answer());
  if (head.status < 100 || head.status > 199 || head.status == 101) {
    co_return fail(Errc::bad_message, "an interim answer has a status of 1xx but 101");
  }
  if (request_.version == Version::http10) co_return Result<>{};  // it knows no interim answers
  if (head.status == 100) expects_continue_ = false;
  write_response_head(out_.held(), head, {}, ConnectionOption::none, {});
  co_return co_await out_.send({}, {}, {}, context_.limits.body_timeout);
}

Result<> H1Connection::account(Result<> sent, std::size_t counted) {
  if (!sent) {
    closed_ = true;
    return tl::unexpected<Error>(exchange_error(sent.error()));
  }
  sent_ += counted;
  return {};
}

Task<Result<>> H1Connection::await_sent(Task<Result<>> sending, std::size_t counted) {
  co_return account(co_await std::move(sending), counted);
}

Task<Result<>> H1Connection::send_out(ByteView a, ByteView b, std::size_t counted) {
  auto sending = out_.send(a, b, {}, context_.limits.body_timeout);
  if (!sending.is_done()) return await_sent(std::move(sending), counted);
  return Task<Result<>>::done(account(std::move(sending).take(), counted));
}

Task<Result<>> H1Connection::respond(ResponseHead head, std::string body) {
  OCTROI_CO_CHECK(may_answer());
  const bool empty_by_status = has_no_body(head.status);
  begin_answer(head, empty_by_status ? std::nullopt : std::optional<std::uint64_t>(body.size()));
  finished_ = true;
  const ByteView bytes = withheld_ ? ByteView{} : as_bytes(body);
  co_return co_await send_out(bytes, {}, bytes.size());
}

Task<Result<>> H1Connection::start(ResponseHead head, std::optional<std::uint64_t> length) {
  auto may = may_answer();
  if (may) {
    begin_answer(head, length);
    out_.hold();
  }
  return Task<Result<>>::done(std::move(may));
}

Task<Result<>> H1Connection::write(ByteView chunk) {
  const auto refused = [](Errc why, const char* text) {
    return Task<Result<>>::done(fail(why, text));
  };
  if (closed_) return refused(Errc::closed, "the connection is closed");
  if (!started_ || finished_) {
    return refused(Errc::bad_message, "write() needs start() and no finish()");
  }
  if (chunk.empty() || withheld_) return Task<Result<>>::done(Result<>{});
  if (shape_ == Shape::counted && chunk.size() > announced_ - sent_) {
    abort();
    return refused(Errc::bad_message, "more body than was announced");
  }
  const bool chunked = shape_ == Shape::chunked;
  if (chunked) write_chunk_size(out_.held(), chunk.size());
  return send_out(chunk, chunked ? as_bytes("\r\n") : ByteView{}, chunk.size());
}

Task<Result<>> H1Connection::finish(const Headers& trailers) {
  const auto refused = [](Errc why, const char* text) {
    return Task<Result<>>::done(fail(why, text));
  };
  if (closed_) return refused(Errc::closed, "the connection is closed");
  if (!started_ || finished_) return refused(Errc::bad_message, "finish() needs start(), once");
  if (shape_ == Shape::counted && sent_ != announced_) {
    abort();
    return refused(Errc::bad_message, "less body than was announced");
  }
  finished_ = true;
  if (shape_ == Shape::chunked) write_last_chunk(out_.held(), trailers);
  if (out_.held().empty()) return Task<Result<>>::done(Result<>{});
  return send_out({}, {}, 0);
}

void H1Connection::abort() noexcept {
  closed_ = true;
  unwatch_client();
  out_.detach();
  if (stream_) stream_->close();
}

Task<Result<std::unique_ptr<net::Stream>>> H1Connection::upgrade(ResponseHead head) {
  OCTROI_CO_CHECK(may_answer());
  if (request_.version != Version::http11 || !body_.ended()) {
    co_return fail(Errc::bad_message, "only an HTTP/1.1 request without a body can be upgraded");
  }
  head.status = 101;
  co_return co_await hand_over(std::move(head), ConnectionOption::upgrade);
}

Task<Result<std::unique_ptr<net::Stream>>> H1Connection::tunnel(ResponseHead head) {
  OCTROI_CO_CHECK(may_answer());
  if (request_.method != "CONNECT")
    co_return fail(Errc::bad_message, "only CONNECT opens a tunnel");
  head.status = 200;
  co_return co_await hand_over(std::move(head), ConnectionOption::none);
}

/// Sends this head, and is no HTTP connection any more.
Task<Result<std::unique_ptr<net::Stream>>> H1Connection::hand_over(ResponseHead head,
                                                                   ConnectionOption option) {
  started_ = finished_ = true;
  write_response_head(out_.held(), head, {}, option, {});
  if (auto sent = co_await out_.send({}, {}, {}, context_.limits.body_timeout); !sent) {
    closed_ = true;
    co_return tl::unexpected<Error>(exchange_error(sent.error()));
  }
  closed_ = true;  // for this connection's own business
  unwatch_client();
  out_.detach();
  body_.release(in_);
  auto raw = with_prefix(std::move(stream_), in_.bytes());
  in_.consume(in_.size());
  in_.rest();
  co_return std::move(raw);
}

// ---- noticing that the client left
// -----------------------------------------------------------------

void H1Connection::on_gone(void (*call)(void*), void* context) {
  gone_.call = call;
  gone_.context = context;
  if (call == nullptr) {
    unwatch_client();
  } else {
    watch_client();
  }
}

/// Only once the request is complete: before that, reading its body finds out.
void H1Connection::watch_client() {
  if (gone_.call == nullptr || gone_.armed || closed_ || !body_.ended() || !in_.empty()) return;
  gone_.armed = true;
  stream_->arm(net::Direction::read, gone_, Millis(0));
}

void H1Connection::unwatch_client() noexcept {
  if (!gone_.armed) return;
  gone_.armed = false;
  if (gone_.queued()) {
    gone_.cancel();
  } else if (stream_) {
    stream_->disarm(net::Direction::read);
  }
}

void H1Connection::client_stirred() {
  // The next request of a client that does not wait also ends up here; then nothing more is
  // noticed.
  if (closed_ || gone_.call == nullptr || !stream_->peer_gone()) return;
  std::exchange(gone_.call, nullptr)(gone_.context);
}

}  // namespace octroi::http::h1
