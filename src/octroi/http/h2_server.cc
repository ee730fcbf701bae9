#include "octroi/http/h2_server.h"

#include <algorithm>

#include "octroi/base/log.h"
#include "octroi/http/h1_buffer.h"

namespace octroi::http::h2 {

namespace {

constexpr Millis kDrainPatience{1'000};  // for the peer to have seen the first GOAWAY
constexpr Millis kLingerTime{2'000};
constexpr std::uint64_t kLingerBytes = 512 * 1024;
constexpr std::size_t kSpareExchanges = 4;  // an idle connection keeps no more
constexpr std::array<std::uint8_t, 8> kDrainPing = {'s', 'e', 'e', 'n', ' ', 'i', 't', '?'};

h1::Limits head_limits(const ServerLimits& limits) {
  return {limits.max_head, limits.max_fields, limits.max_target};
}
h1::Limits trailer_limits(const ServerLimits& limits) {
  return {std::min<std::size_t>(limits.max_head, h1::kBlockSize), limits.max_fields, 0};
}

}  // namespace

/// What the session calls back, as calls of the connection.
struct SessionEvents {
  static H2Connection& of(void* user) noexcept { return *static_cast<H2Connection*>(user); }
  static H2Exchange* exchange(nghttp2_session* session, std::int32_t stream) noexcept {
    return static_cast<H2Exchange*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static int begin_headers(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    of(user).block_begins(frame->headers.cat == NGHTTP2_HCAT_REQUEST
                              ? FieldBlock::Section::request
                              : FieldBlock::Section::trailers);
    return 0;
  }
  static int header(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                    nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t /*flags*/, void* user) {
    of(user).block_.add(view_of(name), view_of(value));
    return 0;
  }
  static int invalid_header(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                            nghttp2_rcbuf* /*name*/, nghttp2_rcbuf* /*value*/,
                            std::uint8_t /*flags*/, void* user) {
    of(user).block_.refuse(h1::Fault::bad_field_value);
    return 0;
  }
  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    of(user).frame_received(*frame, exchange(session, frame->hd.stream_id));
    return 0;
  }
  static int data(nghttp2_session* session, std::uint8_t /*flags*/, std::int32_t stream,
                  const std::uint8_t* bytes, std::size_t size, void* /*user*/) {
    if (H2Exchange* e = exchange(session, stream)) {
      e->body_came({bytes, size});
    } else {
      nghttp2_session_consume(session, stream, size);
    }
    return 0;
  }
  static int stream_closed(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
                           void* user) {
    if (H2Exchange* e = exchange(session, stream)) of(user).stream_closed(*e, error);
    return 0;
  }
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    of(user).frame_sent(*frame, exchange(session, frame->hd.stream_id));
    return 0;
  }
  static int frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int /*why*/,
                            void* /*user*/) {
    H2Exchange* e = exchange(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && e != nullptr) e->abort();  // e.g. a head too large
    return 0;
  }
  static int send_data(nghttp2_session* /*session*/, nghttp2_frame* /*frame*/,
                       const std::uint8_t* head, std::size_t size, nghttp2_data_source* source,
                       void* /*user*/) {
    static_cast<H2Exchange*>(source->ptr)->take_for_frame({head, 9}, size);
    return 0;
  }

  static Callbacks make() {
    Callbacks callbacks = make_callbacks();
    nghttp2_session_callbacks* c = callbacks.get();
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, stream_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, frame_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    return callbacks;
  }
};

H2Connection::H2Connection(ServerContext& context, std::unique_ptr<net::Stream> stream)
    : context_(context),
      stream_(std::move(stream)),
      peer_{stream_->peer(), stream_->is_tls()},
      output_(*this, *stream_, context.limits.body_timeout) {}

H2Connection::~H2Connection() {
  tasks_.cancel();
  stop_reading();
  output_.stop();
}

// ---- life
// ------------------------------------------------------------------------------------------

void H2Connection::open_session() {
  static const Callbacks callbacks = SessionEvents::make();
  static const Options options = make_options();
  nghttp2_session* raw = nullptr;
  if (nghttp2_session_server_new2(&raw, callbacks.get(), this, options.get()) != 0) {
    throw std::bad_alloc();
  }
  session_.reset(raw);
  const ServerLimits& limits = context_.limits;
  const std::array<nghttp2_settings_entry, 4> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.max_head)},
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, kHeaderTable},
  }};
  nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(raw, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  output_.attach(*raw);
  output_.schedule();
}

Task<void> H2Connection::run(Bytes first) {
  open_session();
  set_timers();
  if (context_.draining) begin_drain();
  if (!first.empty()) take_bytes(first);
  first = {};
  read_on();
  co_await over_.wait();
  co_await tasks_.join();
  if (gentle_) co_await linger();
}

void H2Connection::begin_drain() noexcept {
  if (ended_ || draining_ || !session_) return;
  draining_ = true;
  // RFC 9113 section 6.8: a first GOAWAY that gives nothing up, and the real one when the peer must
  // have seen it, so that no request is lost on the way.
  nghttp2_submit_shutdown_notice(session_.get());
  context_.loop.timers().start(drain_clock_, kDrainPatience);
  output_.schedule();
}

void H2Connection::last_goaway() noexcept {
  if (ended_ || last_goaway_sent_) return;
  last_goaway_sent_ = true;
  drain_clock_.stop();
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  output_.schedule();
}

/// Says why and closes; the exchanges under way end with it.
void H2Connection::send_away(std::uint32_t error, std::string_view why) noexcept {
  if (ended_ || reading_off_) return;
  reading_off_ = true;
  if (error != NGHTTP2_NO_ERROR) {
    OCTROI_LOG(debug, "http", "connection given up",
               {{"peer", peer_.address.address.str()}, {"error", error_name(error)}, {"why", why}});
  }
  nghttp2_session_terminate_session(session_.get(), error);
  output_.schedule();
}

void H2Connection::end() noexcept {
  if (std::exchange(ended_, true)) return;
  const RunScope scope;
  head_clock_.stop();
  idle_clock_.stop();
  drain_clock_.stop();
  stop_reading();
  output_.stop();
  for (std::size_t i = in_use_; i-- > 0;) stream_closed(*exchanges_[i], NGHTTP2_CANCEL);
  if (!gentle_) stream_->close();
  over_.set();
}

void H2Connection::end_if_done() noexcept {
  if (ended_ || output_.size() > 0) return;
  if (nghttp2_session_want_read(session_.get()) != 0) return;
  if (nghttp2_session_want_write(session_.get()) != 0) return;
  gentle_ = true;
  end();
}

/// As for HTTP/1.1: closing while bytes of the peer are unread could take our last words with it.
Task<void> H2Connection::linger() {
  stream_->shutdown_write();
  const Millis deadline = context_.loop.now() + kLingerTime;
  std::uint64_t discarded = 0;
  std::array<std::uint8_t, 1024> scratch;
  while (discarded < kLingerBytes) {
    const net::IoResult got = stream_->read_now(scratch);
    if (got.status == net::IoStatus::ok) {
      discarded += got.size;
      continue;
    }
    const Millis left = deadline - context_.loop.now();
    if (got.status != net::IoStatus::would_block || left <= Millis(0)) co_return;
    if (!co_await stream_->ready(net::Direction::read, left)) co_return;
  }
}

// ---- reading
// ---------------------------------------------------------------------------------------

void H2Connection::stop_reading() noexcept {
  again_.cancel();
  if (readable_.armed && !readable_.queued()) stream_->disarm(net::Direction::read);
  readable_.cancel();
  readable_.armed = false;
}

void H2Connection::read_on() {
  const RunScope scope;
  for (std::size_t i = 0; i < kReadsATurn; ++i) {
    if (ended_ || reading_off_) return;
    if (nghttp2_session_get_outbound_queue_size(session_.get()) > kQueuedFrames) {
      paused_ = true;  // until a flush has made room
      return;
    }
    h1::Block block = h1::take_block();
    const net::IoResult got = stream_->read_now({block.get(), h1::kBlockSize});
    if (got.status == net::IoStatus::ok) take_bytes({block.get(), got.size});
    h1::give_block(std::move(block));
    if (got.status == net::IoStatus::ok) continue;
    if (got.status == net::IoStatus::would_block) {
      readable_.armed = true;
      stream_->arm(net::Direction::read, readable_, Millis(0));
    } else {
      end();
    }
    return;
  }
  context_.loop.defer(again_);  // others have their turn
}

void H2Connection::take_bytes(ByteView bytes) {
  switch (watch_.see(bytes, context_.loop.now())) {
    case FrameWatch::Verdict::fine:
      break;
    case FrameWatch::Verdict::flood:
      send_away(NGHTTP2_ENHANCE_YOUR_CALM, "frames that move nothing");
      return;
    case FrameWatch::Verdict::misplaced:
      send_away(NGHTTP2_PROTOCOL_ERROR, "a request on a stream that was passed over");
      return;
  }
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  if (taken < 0) {
    const bool flood = taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
    send_away(flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR,
              nghttp2_strerror(static_cast<int>(taken)));
    return;
  }
  if (block_.bomb() || too_many_resets_) {
    send_away(NGHTTP2_ENHANCE_YOUR_CALM, block_.bomb() ? "a head that explodes" : "resets");
    return;
  }
  start_handlers();
  if (ended_) return;
  set_timers();
  if (nghttp2_session_want_write(session_.get()) != 0) output_.schedule();
  end_if_done();
}

/// The time for a head runs from its first byte; the time of idleness from the last exchange.
void H2Connection::set_timers() noexcept {
  net::TimerWheel& timers = context_.loop.timers();
  if (!watch_.in_head()) {
    head_clock_.stop();
  } else if (!head_clock_.running() || timed_head_ != watch_.head()) {
    timed_head_ = watch_.head();
    timers.start(head_clock_, context_.limits.head_timeout);
  }
  if (in_use_ > 0 || watch_.in_head()) {
    idle_clock_.stop();
  } else if (!idle_clock_.running()) {
    timers.start(idle_clock_,
                 served_ ? context_.limits.idle_timeout : context_.limits.head_timeout);
  }
}

void H2Connection::block_begins(FieldBlock::Section section) {
  block_.begin(section, section == FieldBlock::Section::request ? head_limits(context_.limits)
                                                                : trailer_limits(context_.limits));
}

void H2Connection::frame_received(const nghttp2_frame& frame, H2Exchange* exchange) {
  const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
        request_came(frame.hd.stream_id, ends);
      } else if (exchange != nullptr) {
        exchange->trailers_came(block_);
        if (ends) exchange->body_ended();
      }
      break;
    case NGHTTP2_DATA:
      if (ends && exchange != nullptr) exchange->body_ended();
      break;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && draining_ &&
          std::ranges::equal(frame.ping.opaque_data, kDrainPing)) {
        last_goaway();
      }
      break;
    default:
      break;
  }
}

void H2Connection::request_came(std::int32_t stream, bool ended) {
  // Streams that were reset do not count for the library; their handlers do for us.
  if (in_use_ >= context_.limits.max_streams) {
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
    return;
  }
  served_ = true;
  idle_clock_.stop();
  H2Exchange& exchange = new_exchange();
  nghttp2_session_set_stream_user_data(session_.get(), stream, &exchange);
  const h1::Fault fault = block_.take_request(exchange.request());
  exchange.begin(stream, ended ? std::optional<std::uint64_t>(0) : block_.content_length(),
                 block_.expect_continue() && !ended);
  if (ended) exchange.body_ended();
  if (fault != h1::Fault::none) {
    exchange.request().method = block_.method();
    exchange.refuse(h1::status_of(fault), h1::describe(fault));
    return;
  }
  if (block_.expect_other()) {
    exchange.refuse(417, "the only expectation known here is 100-continue");
    return;
  }
  exchange.request().scheme = peer_.tls ? "https" : "http";
  fresh_.push_back(&exchange);
}

void H2Connection::frame_sent(const nghttp2_frame& frame, H2Exchange* exchange) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      watch_.answered();
      if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && exchange != nullptr) {
        exchange->answer_sent();
      }
      break;
    case NGHTTP2_RST_STREAM:
      if (exchange != nullptr && exchange->reset_asked()) break;
      too_many_resets_ = too_many_resets_ || !watch_.reset_here(context_.loop.now());
      break;
    case NGHTTP2_GOAWAY:
      // Not before: a PING would overtake it.
      if (draining_ && !last_goaway_sent_)
        nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, kDrainPing.data());
      break;
    default:
      break;
  }
}

// ---- the exchanges
// ---------------------------------------------------------------------------------

H2Exchange& H2Connection::new_exchange() {
  if (in_use_ == exchanges_.size()) exchanges_.push_back(std::make_unique<H2Exchange>(*this));
  H2Exchange& exchange = *exchanges_[in_use_];
  exchange.slot = in_use_++;
  exchange.serving = false;
  return exchange;
}

void H2Connection::start_handlers() {
  if (fresh_.empty()) return;
  const RunScope scope;
  for (std::size_t i = 0; i < fresh_.size(); ++i) {
    if (fresh_[i] == nullptr) continue;
    fresh_[i]->serving = true;
    tasks_.start(serve(this, fresh_[i]));
  }
  fresh_.clear();
}

Task<void> H2Connection::serve(H2Connection* self, H2Exchange* exchange) {
  bool threw = false;
  try {
    co_await self->context_.handler(*exchange);
  } catch (...) {
    threw = true;
  }
  co_await exchange->complete(threw);
  exchange->handler_ended();
  self->retire(*exchange);
}

void H2Connection::stream_closed(H2Exchange& exchange, std::uint32_t error) noexcept {
  exchange.closed(error);
  if (!exchange.serving) {
    std::ranges::replace(fresh_, &exchange, static_cast<H2Exchange*>(nullptr));
    exchange.handler_ended();
  }
  retire(exchange);
}

/// Makes the exchange free for another request once neither stream nor handler uses it.
void H2Connection::retire(H2Exchange& exchange) noexcept {
  if (!exchange.done()) return;
  const std::size_t last = --in_use_;
  std::swap(exchanges_[exchange.slot], exchanges_[last]);
  exchanges_[exchange.slot]->slot = exchange.slot;
  exchange.slot = last;
  if (in_use_ == 0 && !ended_) set_timers();
}

// ---- the output's reports
// --------------------------------------------------------------------------

void H2Connection::output_failed() noexcept { end(); }

void H2Connection::output_flushed() noexcept {
  if (too_many_resets_) send_away(NGHTTP2_ENHANCE_YOUR_CALM, "resets");
  if (paused_ && nghttp2_session_get_outbound_queue_size(session_.get()) <= kQueuedFrames) {
    paused_ = false;
    context_.loop.defer(again_);
  }
  if (in_use_ == 0) {
    output_.rest();
    if (exchanges_.size() > kSpareExchanges) exchanges_.resize(kSpareExchanges);
  }
  end_if_done();
}

}  // namespace octroi::http::h2
