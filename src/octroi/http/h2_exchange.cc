#include "octroi/http/h2_exchange.h"

#include "octroi/base/log.h"
#include "octroi/http/char_class.h"
#include "octroi/http/h2_server.h"

namespace octroi::http::h2 {

namespace {

/// Whether fields may follow a body of known length: then the last DATA frame is not the end.
bool announces_trailers(const Headers& headers) {
  if (headers.has("trailer")) return true;
  const auto type = headers.get("content-type");
  constexpr std::string_view kGrpc = "application/grpc";
  return type && equal_ignoring_case(type->substr(0, kGrpc.size()), kGrpc);
}

ssize_t read_body(nghttp2_session* /*session*/, std::int32_t /*stream*/, std::uint8_t* /*into*/,
                  std::size_t room, std::uint32_t* flags, nghttp2_data_source* source,
                  void* /*connection*/) {
  return static_cast<H2Exchange*>(source->ptr)->read_for_frame(room, *flags);
}

Error stream_closed_error() { return Error(Errc::closed, "the stream is closed"); }

}  // namespace

const Peer& H2Exchange::peer() const { return connection_.peer(); }
net::Loop& H2Exchange::loop() { return connection_.context().loop; }

// ---- life
// ------------------------------------------------------------------------------------------

void H2Exchange::begin(std::int32_t stream, std::optional<std::uint64_t> length,
                       bool expects_continue) {
  stream_ = stream;
  length_ = length;
  expects_continue_ = expects_continue;
  trailers_.clear();
  body_fault_.reset();
  body_ended_ = false;
  waited_ = Millis(0);
  arrived_ = 0;
  received_ = 0;
  lent_ = {};
  answer_trailers_.clear();
  announced_.reset();
  sent_ = 0;
  started_ = finished_ = withheld_ = ends_by_count_ = deferred_ = false;
  answer_sent_ = broken_ = reset_asked_ = false;
  closed_ = handler_done_ = false;
}

Task<void> H2Exchange::complete(bool threw) {
  if (closed_ || broken_ || finished_) co_return;
  if (started_) {
    abort();  // torn: it must not look whole
    co_return;
  }
  OCTROI_LOG(error, "http", threw ? "handler threw" : "handler did not answer",
             {{"method", request_.method}});
  ResponseHead head;
  head.status = 500;
  head.headers.add("Content-Type", "text/plain; charset=utf-8");
  std::ignore = co_await respond(std::move(head), "internal error\n");
}

void H2Exchange::handler_ended() noexcept {
  handler_done_ = true;
  gone_.cancel();
  gone_.call = nullptr;
  give_window_back(body_.clear());
  await_leftover();
}

/// RFC 9113 section 8.1: the answer is whole, so the rest of the request is of no use, and a reset
/// without error says so. But clients there are (curl 7.88) that forget the answer when the reset
/// comes while they send: what fits into the window that they have may come first.
void H2Exchange::await_leftover() noexcept {
  if (closed_ || body_ended_ || !answer_sent_ || !handler_done_) return;
  if (leftover_fits()) {
    loop().timers().start(leftover_, kLeftoverTime);
  } else {
    drop_leftover();
  }
}

bool H2Exchange::leftover_fits() const noexcept {
  const std::int32_t window =
      nghttp2_session_get_stream_local_window_size(connection_.session(), stream_);
  if (window <= 0) return false;
  return !length_ || *length_ - std::min(*length_, received_) <= static_cast<std::uint64_t>(window);
}

void H2Exchange::drop_leftover() noexcept {
  leftover_.stop();
  if (!closed_) reset(answer_sent_ ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

void H2Exchange::refuse(int status, std::string_view why) {
  handler_done_ = true;
  own_body_.assign(why).append("\n");
  ResponseHead head;
  head.status = status;
  head.headers.add("Content-Type", "text/plain; charset=utf-8");
  if (!begin_answer(head, own_body_.size())) {
    reset(NGHTTP2_INTERNAL_ERROR);
    return;
  }
  finished_ = true;
  if (!withheld_) lent_ = as_bytes(own_body_);
  // No coroutine waits for the peer to take it.
  loop().timers().start(leftover_, connection_.context().limits.body_timeout);
}

void H2Exchange::closed(std::uint32_t /*error*/) noexcept {
  if (closed_) return;
  closed_ = true;
  broken_ = !answer_sent_;
  lent_ = {};
  leftover_.stop();
  body_gate_.open();
  answer_gate_.open();
  if (broken_ && gone_.call != nullptr) loop().defer(gone_);
  if (handler_done_) give_window_back(body_.clear());
}

void H2Exchange::answer_sent() noexcept {
  answer_sent_ = true;
  await_leftover();
}

void H2Exchange::reset(std::uint32_t error) noexcept {
  reset_asked_ = true;
  if (error != NGHTTP2_NO_ERROR) {
    broken_ = true;
    lent_ = {};
    answer_gate_.open();
  }
  nghttp2_submit_rst_stream(connection_.session(), NGHTTP2_FLAG_NONE, stream_, error);
  connection_.output().schedule();
}

void H2Exchange::abort() noexcept { abort_as(NGHTTP2_INTERNAL_ERROR); }

void H2Exchange::abort_as(std::uint32_t code) noexcept {
  if (closed_ || broken_) return;
  reset(code == NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : code);
}

void H2Exchange::on_gone(void (*call)(void*), void* context) {
  gone_.call = call;
  gone_.context = context;
  if (call == nullptr) {
    gone_.cancel();
  } else if (closed_ && broken_) {
    loop().defer(gone_);
  }
}

// ---- the request's body
// ----------------------------------------------------------------------------

void H2Exchange::body_came(ByteView bytes) {
  received_ += bytes.size();
  if (handler_done_) {
    give_window_back(bytes.size());
    if (leftover_.running() && answer_sent_ && !leftover_fits()) drop_leftover();
    return;
  }
  arrived_ += bytes.size();
  body_.append(bytes);
  body_gate_.open();
}

void H2Exchange::body_ended() noexcept {
  body_ended_ = true;
  body_gate_.open();
}

void H2Exchange::trailers_came(FieldBlock& block) {
  const h1::Fault fault = block.take_trailers(trailers_);
  if (fault == h1::Fault::none) return;
  trailers_.clear();
  body_fault_ = h1::status_of(fault) == 431 ? Errc::head_too_large : Errc::bad_message;
  body_gate_.open();
}

/// The peer may send as many bytes more, on the stream and on the connection.
void H2Exchange::give_window_back(std::size_t bytes) noexcept {
  if (bytes == 0) return;
  // Of a body that nobody reads no more than the window may come.
  if (closed_ || handler_done_) {
    nghttp2_session_consume_connection(connection_.session(), bytes);
  } else {
    nghttp2_session_consume(connection_.session(), stream_, bytes);
  }
  connection_.output().schedule();
}

/// A body that trickles holds a stream and an upstream; it is measured over ten seconds of waiting
/// for it.
bool H2Exchange::too_slow(Millis waited) {
  const std::size_t least = connection_.context().limits.min_bytes_per_second;
  if (least == 0) return false;
  waited_ += waited;
  if (waited_ < kRateWindow) return false;
  const auto seconds = static_cast<std::size_t>(waited_ / Seconds(1));
  const bool slow = arrived_ / seconds < least;
  waited_ = Millis(0);
  arrived_ = 0;
  return slow;
}

Task<Result<ByteView>> H2Exchange::next() {
  for (;;) {
    give_window_back(body_.release());
    if ((closed_ || broken_) && !body_ended_) {
      give_window_back(body_.clear());
      co_return fail(Errc::closed, "the client gave up its request before its end");
    }
    if (const ByteView piece = body_.front(); !piece.empty()) co_return piece;
    if (body_fault_) co_return fail(*body_fault_, "the trailer section is malformed or too large");
    if (body_ended_) co_return ByteView{};
    if (expects_continue_ && !started_) {
      expects_continue_ = false;
      ResponseHead head;
      head.status = 100;
      OCTROI_CO_CHECK(send_interim(head));
    }
    const Millis before = loop().now();
    if (!co_await body_gate_.pass(loop(), connection_.context().limits.body_timeout)) {
      co_return fail(Errc::timeout, "the peer did not go on in time");
    }
    if (too_slow(loop().now() - before)) {
      co_return fail(Errc::timeout, "the request body came too slowly");
    }
  }
}

// ---- answering
// -------------------------------------------------------------------------------------

Result<> H2Exchange::may_answer() const {
  if (closed_ || broken_) return tl::unexpected<Error>(stream_closed_error());
  if (started_) return fail(Errc::bad_message, "the exchange has been answered already");
  return {};
}

Result<> H2Exchange::submit_head(const ResponseHead& head, std::optional<std::uint64_t> length,
                                 bool body) {
  FieldList& fields = connection_.fields();
  list_response(fields, head, length, connection_.date());
  nghttp2_data_provider provider;
  provider.source.ptr = this;
  provider.read_callback = read_body;
  const int failed = nghttp2_submit_response(connection_.session(), stream_, fields.data(),
                                             fields.size(), body ? &provider : nullptr);
  if (failed != 0) {
    broken_ = true;
    return tl::unexpected<Error>(stream_closed_error());
  }
  connection_.output().schedule();
  return {};
}

/// Decides how the end of the answer is told and hands the head to the session.
Result<> H2Exchange::begin_answer(const ResponseHead& head, std::optional<std::uint64_t> length) {
  started_ = true;
  const bool head_only = request_.method == "HEAD" || head.status == 304;
  withheld_ = head_only || head.status == 204;
  if (withheld_) {
    if (!head_only) length.reset();
    return submit_head(head, length, false);
  }
  announced_ = length;
  // Nothing announced is nothing to wait for: a head that ends its stream, as gRPC clients need it.
  ends_by_count_ = length && (*length == 0 || !announces_trailers(head.headers));
  return submit_head(head, length, !(ends_by_count_ && *length == 0));
}

Result<> H2Exchange::send_interim(const ResponseHead& head) {
  FieldList& fields = connection_.fields();
  list_response(fields, head, {}, {});
  if (nghttp2_submit_headers(connection_.session(), NGHTTP2_FLAG_NONE, stream_, nullptr,
                             fields.data(), fields.size(), nullptr) < 0) {
    return tl::unexpected<Error>(stream_closed_error());
  }
  connection_.output().schedule();
  return {};
}

Task<Result<>> H2Exchange::interim(ResponseHead head) {
  OCTROI_CO_CHECK(may_answer());
  if (head.status < 100 || head.status > 199 || head.status == 101) {
    co_return fail(Errc::bad_message, "an interim answer has a status of 1xx but 101");
  }
  if (head.status == 100) expects_continue_ = false;
  co_return send_interim(head);
}

Task<Result<>> H2Exchange::respond(ResponseHead head, std::string body) {
  OCTROI_CO_CHECK(may_answer());
  const bool bodiless = head.status == 204 || head.status == 304;
  OCTROI_CO_CHECK(
      begin_answer(head, bodiless ? std::nullopt : std::optional<std::uint64_t>(body.size())));
  finished_ = true;
  if (withheld_) body.clear();
  co_return co_await send(as_bytes(body));
}

Task<Result<>> H2Exchange::start(ResponseHead head, std::optional<std::uint64_t> length) {
  OCTROI_CO_CHECK(may_answer());
  co_return begin_answer(head, length);
}

Task<Result<>> H2Exchange::write(ByteView chunk) {
  if (broken_) co_return tl::unexpected<Error>(stream_closed_error());
  if (!started_ || finished_)
    co_return fail(Errc::bad_message, "write() needs start() and no finish()");
  if (chunk.empty() || withheld_) co_return Result<>{};
  if (announced_ && chunk.size() > *announced_ - sent_) {
    abort();
    co_return fail(Errc::bad_message, "more body than was announced");
  }
  co_return co_await send(chunk);
}

/// Puts the bytes into frames, waiting for windows and for room.
Task<Result<>> H2Exchange::send(ByteView bytes) {
  const Loan loan(*this);
  lent_ = bytes;
  resume();
  connection_.output().pump();
  const Millis patience = connection_.context().limits.body_timeout;
  while (!lent_.empty()) {
    const std::uint64_t moved = connection_.output().moved();
    const std::uint64_t sent = sent_;
    if (!co_await answer_gate_.pass(loop(), patience) && sent_ == sent && stalled(moved)) {
      reset(NGHTTP2_CANCEL);
      co_return fail(Errc::timeout, "the peer did not go on in time");
    }
  }
  if (broken_) co_return tl::unexpected<Error>(stream_closed_error());
  co_return Result<>{};
}

/// The session asks for the body again.
void H2Exchange::resume() noexcept {
  if (!std::exchange(deferred_, false) || closed_) return;
  nghttp2_session_resume_data(connection_.session(), stream_);
  connection_.output().schedule();
}

/// Nothing of this stream moved: whose fault is it? Others on the connection may have gone first.
bool H2Exchange::stalled(std::uint64_t moved_before) const noexcept {
  return nghttp2_session_get_stream_remote_window_size(connection_.session(), stream_) <= 0 ||
         connection_.output().moved() == moved_before;
}

Task<Result<>> H2Exchange::finish(const Headers& trailers) {
  if (broken_) co_return tl::unexpected<Error>(stream_closed_error());
  if (!started_ || finished_) co_return fail(Errc::bad_message, "finish() needs start(), once");
  if (!withheld_ && announced_ && sent_ != *announced_) {
    abort();
    co_return fail(Errc::bad_message, "less body than was announced");
  }
  finished_ = true;
  if (withheld_ || ends_by_count_) co_return Result<>{};
  answer_trailers_ = trailers;
  resume();
  co_return Result<>{};
}

Task<Result<std::unique_ptr<net::Stream>>> H2Exchange::upgrade(ResponseHead /*head*/) {
  co_return fail(Errc::bad_message, "an HTTP/2 connection cannot be handed over");
}

// ---- inside the session
// ----------------------------------------------------------------------------

ssize_t H2Exchange::read_for_frame(std::size_t room, std::uint32_t& flags) {
  if (connection_.output().full()) return NGHTTP2_ERR_PAUSE;
  const std::size_t n = std::min(room, lent_.size());
  if (n == 0 && !finished_) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (n == lent_.size() && (finished_ || (ends_by_count_ && sent_ + n == *announced_))) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    FieldList& fields = connection_.fields();
    list_trailers(fields, answer_trailers_);
    if (fields.size() > 0 &&
        nghttp2_submit_trailer(connection_.session(), stream_, fields.data(), fields.size()) == 0) {
      flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
  }
  return static_cast<ssize_t>(n);
}

void H2Exchange::take_for_frame(ByteView frame_head, std::size_t size) {
  Output& output = connection_.output();
  output.append(frame_head);
  output.append(lent_.first(size));
  lent_ = lent_.subspan(size);
  sent_ += size;
  if (lent_.empty()) answer_gate_.open();
}

}  // namespace octroi::http::h2
