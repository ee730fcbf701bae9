#include "octroi/http/h2_client.h"

#include <algorithm>

#include "octroi/http/h2_wait.h"

namespace octroi::http::h2 {

using net::Direction;
using net::IoResult;
using net::IoStatus;

namespace {

constexpr std::size_t kMaxFields = 200;
constexpr int kMaxInterim = 32;
constexpr int kReadsInARow = 8;              // then others of the loop have their turn
constexpr std::size_t kStreamsUnsaid = 100;  // before the peer's SETTINGS tell its limit

/// RFC 9110 section 5.5: blanks around a value are no part of it. gRPC servers send such messages.
std::string_view trimmed(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

std::string reset_text(std::uint32_t code) {
  return "the server reset the stream: " + std::string(error_name(code));
}

}  // namespace

// ---- one exchange
// ------------------------------------------------------------------------------------

class ClientStream final : public ClientExchange, public BodySource {
 public:
  ClientStream(ClientConnection& connection, ClientTimeouts timeouts, bool reused, Millis rested)
      : connection_(&connection),
        loop_(connection.loop()),
        timeouts_(timeouts),
        rested_(rested),
        reused_(reused) {}
  ~ClientStream() override;
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  Task<Result<>> send_head(const RequestHead& head, std::optional<std::uint64_t> length) override;
  Task<Result<>> write(ByteView chunk) override;
  Task<Result<>> finish(const Headers& trailers) override;
  Task<Result<ResponseHead>> head() override;
  [[nodiscard]] BodySource& body() override { return *this; }
  std::unique_ptr<net::Stream> upgraded() override { return nullptr; }
  [[nodiscard]] bool sent() const noexcept override {
    if (unprocessed_ || !submitted_) return false;
    return connection_ == nullptr ? was_sent_ : connection_->written_ > head_at_;
  }
  [[nodiscard]] bool reused() const noexcept override { return reused_ || unprocessed_; }
  [[nodiscard]] Millis rested() const noexcept override { return rested_; }
  [[nodiscard]] bool alive() noexcept override {
    return !error_ && connection_ != nullptr && !connection_->stream_->peer_gone();
  }
  [[nodiscard]] bool answered() const noexcept override { return answered_; }
  [[nodiscard]] std::optional<std::uint32_t> reset_code() const noexcept override {
    return peer_code_;
  }
  void abort() noexcept override {
    if (!stream_over_) give_up(Errc::closed, "the exchange was aborted", NGHTTP2_CANCEL);
    aborted_ = true;
  }

  Task<Result<ByteView>> next() override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }
  [[nodiscard]] const Headers& trailers() const override { return trailers_; }

  // what happens to it, told by the connection
  void began(std::uint64_t at) noexcept {
    head_at_ = at;
    submitted_ = true;
  }
  void refused_here() noexcept { unprocessed_ = true; }
  void header_block(FieldBlock& block, bool last);
  [[nodiscard]] FieldBlock::Section section() const noexcept {
    return final_ ? FieldBlock::Section::trailers : FieldBlock::Section::response;
  }
  void header_block_began() noexcept { answered_ = true; }
  void data(ByteView bytes) { in_.append(as_text(bytes)); }
  void data_came() noexcept { readable_.wake(); }
  void end_came() noexcept {
    ended_ = true;
    readable_.wake();
  }
  void reset_came(std::uint32_t code) noexcept {
    peer_code_ = code;
    if (code != NGHTTP2_REFUSED_STREAM) answered_ = true;
  }
  void invalid(std::string what) { invalid_ = std::move(what); }
  void closed(std::uint32_t code);
  void disconnected(const Error& why);

  // its body, asked for by the connection
  [[nodiscard]] bool has(std::size_t size) const noexcept { return pending_.size() >= size; }
  ssize_t offer(std::size_t room, std::uint32_t* flags);
  void take(std::size_t size, h1::OutBuffer& out);

  [[nodiscard]] std::int32_t id() const noexcept { return id_; }

 private:
  [[nodiscard]] tl::unexpected<Error> failure() const { return tl::unexpected<Error>(*error_); }
  void give_up(Errc why, std::string message, std::uint32_t code) noexcept;
  void end_request() {
    request_done_ = true;
    done_at_ = loop_.now();
    readable_.wake();  // from here on the first byte is due
  }
  void resume();
  [[nodiscard]] Millis first_byte_left(Millis since) const;

  ClientConnection* connection_;  // null once it is lost
  net::Loop& loop_;
  ClientTimeouts timeouts_;
  Millis rested_;
  std::int32_t id_ = 0;
  std::uint64_t head_at_ = 0;  // where in the connection's bytes the request begins
  std::optional<Error> error_;
  std::optional<std::uint32_t> peer_code_;
  std::string invalid_;  // what was wrong with the answer
  bool reused_;
  bool submitted_ = false;
  bool was_sent_ = false;
  bool unprocessed_ = false;  // the peer says so, or it never saw it
  bool stream_over_ = false;  // both ends, or reset
  bool aborted_ = false;
  bool head_only_ = false;

  /// What write() was given is its caller's: whoever is cancelled within takes it along.
  struct Loan {
    explicit Loan(ClientStream& s) noexcept : stream(s) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() {
      if (stream.pending_.empty()) return;
      stream.give_up(Errc::closed, "the request was given up within its body", NGHTTP2_CANCEL);
    }
    ClientStream& stream;
  };

  // the request
  ByteView pending_;
  Headers trailers_out_;
  std::uint64_t to_send_ = 0;
  bool counted_ = false;
  bool late_end_ = false;  // trailers may follow a counted body
  bool eof_ = false;       // nothing follows `pending_`
  bool request_done_ = false;
  Millis done_at_{0};
  Millis moved_{0};  // when a part of the body last went
  Wait writable_;

  // the answer
  std::vector<ResponseHead> heads_;  // the first is next
  std::string in_;                   // came and was not read
  std::string out_;                  // what the reader holds
  Headers trailers_;
  std::optional<std::uint64_t> length_;
  int interims_ = 0;
  bool answered_ = false;
  bool final_ = false;
  bool ended_ = false;
  Wait readable_;
};

ClientStream::~ClientStream() {
  if (connection_ == nullptr) return;
  if (id_ != 0 && !stream_over_) connection_->reset(id_, NGHTTP2_CANCEL);
  connection_->leave(*this);
}

void ClientStream::give_up(Errc why, std::string message, std::uint32_t code) noexcept {
  if (!error_) error_.emplace(why, std::move(message));
  if (connection_ != nullptr && id_ != 0 && !stream_over_) connection_->reset(id_, code);
  pending_ = {};
  readable_.wake();
  writable_.wake();
}

void ClientStream::disconnected(const Error& why) {
  was_sent_ = sent();
  connection_ = nullptr;
  stream_over_ = true;
  if (!error_ && !ended_) error_ = why;
  pending_ = {};
  readable_.wake();
  writable_.wake();
}

/// The session has done with the stream.
void ClientStream::closed(std::uint32_t code) {
  stream_over_ = true;
  if (code == NGHTTP2_REFUSED_STREAM && !answered_) unprocessed_ = true;
  if (!error_ && !ended_) {
    if (unprocessed_) {
      error_.emplace(Errc::closed, "the server did not take the request");
    } else if (!invalid_.empty()) {
      error_.emplace(Errc::upstream_invalid, "the server's answer: " + invalid_);
    } else if (peer_code_) {
      error_.emplace(Errc::closed, reset_text(*peer_code_));
    } else if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_CANCEL) {
      error_.emplace(Errc::upstream_invalid, "the server's answer breaks the rules of HTTP/2");
    } else {
      error_.emplace(Errc::closed, "the server ended the stream before its answer was complete");
    }
  }
  pending_ = {};
  readable_.wake();
  writable_.wake();
}

// ---- sending

Task<Result<>> ClientStream::send_head(const RequestHead& head,
                                       std::optional<std::uint64_t> length) {
  if (error_) co_return failure();
  // A request that must not be repeated deserves a look at a connection that has rested.
  if (rested_ > Millis(0) && !is_idempotent(head.method) && connection_->stream_->peer_gone()) {
    give_up(Errc::closed, "the server closed the pooled connection", NGHTTP2_CANCEL);
    co_return failure();
  }
  head_only_ = head.method == "HEAD";
  counted_ = length.has_value();
  to_send_ = length.value_or(0);
  late_end_ = head.headers.has("trailer");
  const bool bodiless = counted_ && to_send_ == 0;

  const ClientSettings& settings = connection_->settings_;
  FieldList& fields = connection_->fields_;
  const bool wants_length =
      to_send_ > 0 || head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  fields.clear();
  fields.add(":method", head.method);
  fields.add(":scheme", settings.scheme);
  fields.add(":authority", head.authority.empty() ? settings.authority : head.authority);
  fields.add(":path", head.target);
  for (const Field f : head.headers) {
    if (is_connection_field(f.name)) continue;
    if (equal_ignoring_case(f.name, "te") && !equal_ignoring_case(f.value, "trailers")) continue;
    fields.add(f.name, f.value);
  }
  if (length && wants_length) fields.add_length(*length);

  nghttp2_data_provider body{};
  body.read_callback = [](nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t room,
                          std::uint32_t* flags, nghttp2_data_source*, void* self) -> ssize_t {
    ClientStream* stream = static_cast<ClientConnection*>(self)->find(id);
    return stream == nullptr ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : stream->offer(room, flags);
  };
  const std::int32_t id =
      nghttp2_submit_request(connection_->session(), nullptr, fields.data(), fields.size(),
                             bodiless ? nullptr : &body, nullptr);
  if (id < 0) {
    unprocessed_ = true;
    give_up(id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? Errc::closed : Errc::bad_message,
            "the request cannot be sent: " + std::string(nghttp2_strerror(id)), NGHTTP2_CANCEL);
    co_return failure();
  }
  id_ = id;
  connection_->entered(id, *this);
  if (bodiless) {
    eof_ = true;
    end_request();
  }
  connection_->submit_later();
  co_return Result<>{};
}

void ClientStream::resume() {
  if (connection_ == nullptr || stream_over_) return;
  nghttp2_session_resume_data(connection_->session(), id_);
  connection_->submit();
}

Task<Result<>> ClientStream::write(ByteView chunk) {
  if (error_) co_return failure();
  if (chunk.empty()) co_return Result<>{};
  if (stream_over_ || eof_) co_return fail(Errc::closed, "the server has ended the exchange");
  if (counted_) {
    if (chunk.size() > to_send_) {
      give_up(Errc::bad_message, "more body than was announced", NGHTTP2_INTERNAL_ERROR);
      co_return failure();
    }
    to_send_ -= chunk.size();
    if (to_send_ == 0 && !late_end_) eof_ = true;
  }
  const Loan loan(*this);
  pending_ = chunk;
  resume();
  while (!pending_.empty()) {
    const std::size_t left = pending_.size();
    if (!co_await writable_.until(loop_, timeouts_.idle) && pending_.size() == left) {
      give_up(Errc::timeout, "the server does not read", NGHTTP2_CANCEL);
      if (connection_ != nullptr) connection_->suspect();
    }
  }
  if (error_) co_return failure();
  if (stream_over_ && !eof_) co_return fail(Errc::closed, "the server has ended the exchange");
  if (eof_) end_request();
  co_return Result<>{};
}

Task<Result<>> ClientStream::finish(const Headers& trailers) {
  if (counted_ && to_send_ > 0) {
    give_up(Errc::bad_message, "less body than was announced", NGHTTP2_INTERNAL_ERROR);
    co_return failure();
  }
  if (error_) co_return failure();
  if (eof_) co_return Result<>{};
  if (stream_over_) co_return fail(Errc::closed, "the server has ended the exchange");
  eof_ = true;
  trailers_out_ = trailers;
  end_request();
  resume();
  co_return Result<>{};
}

/// How much of the body can go into the next frame, and whether it is the last.
ssize_t ClientStream::offer(std::size_t room, std::uint32_t* flags) {
  const std::size_t size = std::min(room, pending_.size());
  const bool last = eof_ && size == pending_.size();
  if (size == 0 && !last) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!last) return static_cast<ssize_t>(size);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  FieldList& fields = connection_->fields_;
  list_trailers(fields, trailers_out_);
  if (fields.size() > 0 &&
      nghttp2_submit_trailer(connection_->session(), id_, fields.data(), fields.size()) == 0) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return static_cast<ssize_t>(size);
}

void ClientStream::take(std::size_t size, h1::OutBuffer& out) {
  moved_ = loop_.now();
  if (size == 0) return;  // the end alone
  out.append(as_text(pending_.first(size)));
  pending_ = pending_.subspan(size);
  if (pending_.empty()) writable_.wake();
}

// ---- receiving

void ClientStream::header_block(FieldBlock& block, bool last) {
  h1::Fault fault = h1::Fault::none;
  if (final_) {
    fault = block.take_trailers(trailers_);
  } else {
    ResponseHead head;
    fault = block.take_response(head);
    const bool interim = head.status < 200;
    if (fault == h1::Fault::none && interim && (last || head.status == 101)) {
      fault = h1::Fault::bad_status_line;
    }
    if (fault == h1::Fault::none && interim && ++interims_ > kMaxInterim) {
      invalid("interim answers without end");
    }
    if (fault == h1::Fault::none && !interim) {
      final_ = true;
      const bool bodiless = last || head_only_ || head.status == 204 || head.status == 304;
      length_ = bodiless ? 0 : block.content_length();
    }
    if (fault == h1::Fault::none) heads_.push_back(std::move(head));
  }
  if (fault != h1::Fault::none) invalid(std::string(describe(fault)));
  if (!invalid_.empty()) {
    give_up(Errc::upstream_invalid, "the server's answer: " + invalid_, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  readable_.wake();
}

/// Until the first byte is due; zero: it is not yet. A request under way is its sender's affair.
Millis ClientStream::first_byte_left(Millis since) const {
  if (!request_done_ || timeouts_.first_byte <= Millis(0)) return Millis(0);
  return std::max(std::max(since, done_at_) + timeouts_.first_byte - loop_.now(), Millis(1));
}

Task<Result<ResponseHead>> ClientStream::head() {
  const Millis since = loop_.now();
  while (heads_.empty()) {
    if (error_) co_return failure();
    if (co_await readable_.until(loop_, first_byte_left(since)) || !heads_.empty()) continue;
    give_up(Errc::timeout, "the server did not answer in time", NGHTTP2_CANCEL);
    if (connection_ != nullptr) connection_->suspect();
  }
  ResponseHead head = std::move(heads_.front());
  heads_.erase(heads_.begin());
  co_return std::move(head);
}

Task<Result<ByteView>> ClientStream::next() {
  for (;;) {
    if (aborted_) co_return fail(Errc::closed, "the exchange was aborted");
    if (!in_.empty()) {
      out_.clear();
      out_.swap(in_);
      if (connection_ != nullptr && !stream_over_) connection_->consumed(id_, out_.size());
      co_return as_bytes(out_);
    }
    if (ended_) co_return ByteView{};
    if (error_) co_return failure();
    if (co_await readable_.until(loop_, timeouts_.idle) || !in_.empty() || ended_) continue;
    if (!request_done_ && loop_.now() - moved_ < timeouts_.idle) continue;  // it is listening
    give_up(Errc::timeout, "the server's body stopped", NGHTTP2_CANCEL);
    if (connection_ != nullptr) connection_->suspect();
  }
}

// ---- the session's callbacks
// -------------------------------------------------------------------------

struct ClientConnection::Events {
  static ClientConnection& of(void* self) { return *static_cast<ClientConnection*>(self); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    ClientConnection& c = of(self);
    ClientStream* stream = c.find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->header_block_began();
    c.block_.begin(stream->section(), {c.settings_.max_head, kMaxFields, 0});
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                    nghttp2_rcbuf* value, std::uint8_t, void* self) {
    ClientConnection& c = of(self);
    ClientStream* stream = c.find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    c.block_.add(view_of(name), trimmed(view_of(value)));
    if (!c.block_.bomb()) return 0;
    stream->invalid(std::string(describe(c.block_.fault())));
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int invalid_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf*,
                            nghttp2_rcbuf*, std::uint8_t, void* self) {
    // Left out silently otherwise: what HTTP/1.1 refuses is refused here.
    if (ClientStream* stream = of(self).find(frame->hd.stream_id)) {
      stream->invalid("a field that is not allowed");
    }
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    ClientConnection& c = of(self);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA: {
        ClientStream* stream = c.find(frame->hd.stream_id);
        if (stream == nullptr) return 0;
        const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->hd.type == NGHTTP2_HEADERS) stream->header_block(c.block_, last);
        if (last) stream->end_came();
        return 0;
      }
      case NGHTTP2_RST_STREAM:
        if (ClientStream* stream = c.find(frame->hd.stream_id)) {
          stream->reset_came(frame->rst_stream.error_code);
        }
        return 0;
      case NGHTTP2_GOAWAY:
        c.draining_ = true;
        return 0;
      default:
        return 0;
    }
  }
  static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id,
                        const std::uint8_t* data, std::size_t size, void* self) {
    nghttp2_session_consume_connection(session, size);
    if (ClientStream* stream = of(self).find(id)) {
      stream->data({data, size});
      stream->data_came();
    }
    return 0;
  }
  static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int code, void* self) {
    if (ClientStream* stream = of(self).find(frame->hd.stream_id)) {
      stream->invalid(nghttp2_strerror(code));
    }
    return 0;
  }
  static int stream_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* self) {
    ClientConnection& c = of(self);
    const auto at =
        std::ranges::lower_bound(c.sessions_, id, {}, [](const auto& s) { return s.first; });
    if (at == c.sessions_.end() || at->first != id) return 0;
    ClientStream* stream = at->second;
    c.sessions_.erase(at);
    stream->closed(code);
    return 0;
  }
  static int before_send(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    ClientConnection& c = of(self);
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      if (ClientStream* stream = c.find(frame->hd.stream_id)) stream->began(c.made_);
    }
    return 0;
  }
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    ClientConnection& c = of(self);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      c.violated_ = true;
    }
    return 0;
  }
  /// A request that the session may not send after all, because of GOAWAY or its own limits.
  static int not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* self) {
    ClientConnection& c = of(self);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    ClientStream* stream = c.find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->refused_here();
    return stream_close(nullptr, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM, self);
  }
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                       std::size_t size, nghttp2_data_source*, void* self) {
    ClientConnection& c = of(self);
    ClientStream* stream = c.find(frame->hd.stream_id);
    if (stream == nullptr || !stream->has(size)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (c.out_.bytes().size() >= kOutputLimit) return NGHTTP2_ERR_WOULDBLOCK;
    constexpr std::size_t kFrameHead = 9;
    c.out_.append(as_text(ByteView(head, kFrameHead)));
    stream->take(size, c.out_);
    c.made_ += kFrameHead + size;
    return 0;
  }

  static Callbacks make() {
    Callbacks callbacks = make_callbacks();
    nghttp2_session_callbacks* raw = callbacks.get();
    nghttp2_session_callbacks_set_on_begin_headers_callback(raw, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(raw, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(raw, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(raw, frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, data_chunk);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(raw, invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(raw, stream_close);
    nghttp2_session_callbacks_set_before_frame_send_callback(raw, before_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(raw, frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(raw, not_sent);
    nghttp2_session_callbacks_set_send_data_callback(raw, send_data);
    return callbacks;
  }
};

// ---- the connection
// ----------------------------------------------------------------------------------

ClientConnection::Socket::Socket(ClientConnection& c, Direction d) noexcept
    : Waiter([](Waiter& w) {
        auto& self = static_cast<Socket&>(w);
        self.armed = false;
        if (self.connection.over_) return;
        if (self.direction == Direction::read) {
          self.connection.receive();
        } else {
          self.connection.flush();
        }
      }),
      connection(c),
      direction(d) {}

ClientConnection::ClientConnection(std::unique_ptr<net::Stream> stream, ClientSettings settings,
                                   ClientOwner& owner)
    : settings_(std::move(settings)),
      owner_(owner),
      stream_(std::move(stream)),
      later_(*this, [](net::Deferred& d) { static_cast<Later&>(d).connection.flush(); }),
      more_(*this, [](net::Deferred& d) { static_cast<Later&>(d).connection.receive(); }),
      end_(*this,
           [](net::Deferred& d) {
             ClientConnection& c = static_cast<Later&>(d).connection;
             c.owner_.ended(c);
           }),
      watch_(*this, [](net::Timer& t) { static_cast<Clock&>(t).connection.watch(); }),
      idle_(*this, [](net::Timer& t) { static_cast<Clock&>(t).connection.rest(); }) {
  static const Callbacks callbacks = Events::make();
  Options options = make_options();
  nghttp2_option_set_peer_max_concurrent_streams(options.get(), kStreamsUnsaid);
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(options.get(), 1);
  nghttp2_session* raw = nullptr;
  if (nghttp2_session_client_new2(&raw, callbacks.get(), this, options.get()) != 0) {
    throw std::bad_alloc();
  }
  session_.reset(raw);
  const std::array<nghttp2_settings_entry, 3> said = {{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(settings_.max_head)},
  }};
  nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, said.data(), said.size());
  nghttp2_session_set_local_window_size(raw, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  heard_ = idle_since_ = loop().now();
  pinged_ = heard_ - settings_.ping_interval;
  loop().timers().start(idle_, std::max(settings_.keep_alive, Millis(1)));
  loop().defer(more_);
  submit_later();
}

ClientConnection::~ClientConnection() { lost(Errc::closed, "the connection was closed"); }

void ClientConnection::end_wait(Socket& socket) noexcept {
  if (!socket.armed) return;
  socket.armed = false;
  if (socket.queued()) {
    socket.cancel();
  } else {
    stream_->disarm(socket.direction);
  }
}

std::size_t ClientConnection::limit() const noexcept {
  const std::uint32_t theirs =
      nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return std::min<std::size_t>(settings_.max_streams, theirs);
}

bool ClientConnection::usable() const noexcept {
  return !over_ && !draining_ && !suspect_ && !deaf_ && members_.size() < limit() &&
         nghttp2_session_check_request_allowed(session_.get()) != 0;
}

std::unique_ptr<ClientExchange> ClientConnection::open(ClientTimeouts timeouts) {
  const Millis now = loop().now();
  const bool idle = members_.empty() && opened_ > 0;
  const Millis rested = idle ? std::max(now - idle_since_, Millis(1)) : Millis(0);
  auto stream = std::make_unique<ClientStream>(*this, timeouts, opened_ > 0, rested);
  idle_.stop();
  ++opened_;
  members_.push_back(stream.get());
  // Nothing was heard for a while: this exchange shall not have to find out by itself.
  if (now - heard_ >= settings_.ping_patience && now - pinged_ >= settings_.ping_interval) ping();
  if (!watch_.running()) loop().timers().start(watch_, settings_.ping_interval);
  return stream;
}

void ClientConnection::entered(std::int32_t id, ClientStream& member) {
  sessions_.emplace_back(id, &member);
}

ClientStream* ClientConnection::find(std::int32_t id) const noexcept {
  const auto at =
      std::ranges::lower_bound(sessions_, id, {}, [](const auto& s) { return s.first; });
  return at == sessions_.end() || at->first != id ? nullptr : at->second;
}

void ClientConnection::leave(ClientStream& member) {
  std::erase(members_, &member);
  std::erase_if(sessions_, [&](const auto& s) { return s.second == &member; });
  if (over_) return;
  if (members_.empty()) {
    watch_.stop();
    idle_since_ = loop().now();
    if (awaiting_pong_) loop().timers().start(watch_, settings_.ping_patience);
    if (draining_) {
      loop().timers().start(idle_, Millis(1));
    } else {
      loop().timers().start(idle_, std::max(settings_.keep_alive, Millis(1)));
    }
  }
  if (usable()) owner_.has_room(*this);
}

void ClientConnection::retire() {
  draining_ = true;
  if (members_.empty()) loop().timers().start(idle_, Millis(1));
}

/// Unused for long enough: says goodbye.
void ClientConnection::rest() {
  if (over_ || !members_.empty()) return;
  nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
  flush();
  if (!over_) lost(Errc::closed, "the connection was idle");
}

void ClientConnection::reset(std::int32_t id, std::uint32_t code) {
  if (over_) return;
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, code);
  submit_later();
}

void ClientConnection::consumed(std::int32_t id, std::size_t size) {
  nghttp2_session_consume_stream(session_.get(), id, size);
  if (nghttp2_session_want_write(session_.get()) != 0) submit_later();
}

// ---- silence

void ClientConnection::ping() {
  if (over_ || awaiting_pong_) return;
  awaiting_pong_ = true;
  pinged_ = loop().now();
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
  loop().timers().start(watch_, settings_.ping_patience);
  submit_later();
}

void ClientConnection::suspect() {
  if (over_) return;
  suspect_ = true;
  ping();
}

void ClientConnection::watch() {
  if (over_) return;
  if (awaiting_pong_) {
    end_wait(readable_);
    receive();  // it may have come while this thread was busy
    if (!over_ && awaiting_pong_) lost(Errc::closed, "the server no longer answers");
    return;
  }
  if (members_.empty()) return;
  const Millis silent = loop().now() - heard_;
  if (silent >= settings_.ping_interval) {
    ping();
  } else {
    loop().timers().start(watch_, settings_.ping_interval - silent);
  }
}

// ---- bytes

void ClientConnection::arm(Socket& socket) {
  if (socket.armed || over_) return;
  socket.armed = true;
  stream_->arm(socket.direction, socket, Millis(0));
}

void ClientConnection::receive() {
  if (over_ || readable_.armed) return;
  h1::Block block = h1::take_block();
  bool more = true;
  for (int i = 0; i < kReadsInARow && more && !over_; ++i) {
    const IoResult got = stream_->read_now({block.get(), h1::kBlockSize});
    more = got.status == IoStatus::ok;
    if (more) {
      take({block.get(), got.size});
    } else if (got.status == IoStatus::would_block) {
      if (deaf_) {
        lost(Errc::closed, "the server closed the connection");
      } else {
        arm(readable_);
      }
    } else {
      lost(Errc::closed, "the server closed the connection");
    }
  }
  h1::give_block(std::move(block));
  if (over_) return;
  if (more) loop().defer(more_);
  if (deaf_) {
    check_end();
  } else {
    flush();
  }
}

void ClientConnection::take(ByteView bytes) {
  heard_ = loop().now();
  if (std::exchange(first_bytes_, false) && as_text(bytes).starts_with("HTTP/1")) {
    lost(Errc::upstream_invalid, "the server speaks HTTP/1.1, not HTTP/2");
    return;
  }
  const bool was_full = !usable();
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  if (taken < 0) {
    lost(Errc::upstream_invalid, "the server breaks the rules of HTTP/2: " +
                                     std::string(nghttp2_strerror(static_cast<int>(taken))));
    return;
  }
  if (awaiting_pong_) {
    awaiting_pong_ = false;
    suspect_ = false;
    watch_.stop();
    if (!members_.empty()) loop().timers().start(watch_, settings_.ping_interval);
  }
  if (draining_ && members_.empty()) loop().timers().start(idle_, Millis(1));
  if (was_full && usable()) owner_.has_room(*this);
}

void ClientConnection::make_frames() {
  while (out_.bytes().size() < kOutputLimit) {
    const std::uint8_t* frame = nullptr;
    const std::size_t before = out_.bytes().size();
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &frame);
    if (size < 0) {
      lost(Errc::closed, "HTTP/2: " + std::string(nghttp2_strerror(static_cast<int>(size))));
      return;
    }
    if (size > 0) {
      out_.append(as_text(ByteView(frame, static_cast<std::size_t>(size))));
      made_ += static_cast<std::uint64_t>(size);
    } else if (out_.bytes().size() == before) {
      return;
    }
  }
}

void ClientConnection::submit() {
  if (over_ || deaf_) return;
  make_frames();
  if (!over_) submit_later();
}

void ClientConnection::flush() {
  while (!over_ && !deaf_ && !writable_.armed) {
    make_frames();
    if (over_ || out_.empty()) break;
    const ByteView part = out_.bytes();
    const IoResult sent = stream_->write_now({&part, 1});
    if (sent.status == IoStatus::ok) {
      out_.consume(sent.size);
      written_ += sent.size;
    } else if (sent.status == IoStatus::would_block) {
      arm(writable_);
    } else {
      // What the server said before it left is still to be read.
      deaf_ = true;
      end_wait(readable_);
      end_wait(writable_);
      loop().defer(more_);
      return;
    }
  }
  if (out_.empty()) out_.rest();
  check_end();
}

void ClientConnection::check_end() {
  if (over_ || nghttp2_session_want_read(session_.get()) != 0) return;
  if (nghttp2_session_want_write(session_.get()) != 0 || (!out_.empty() && !deaf_)) return;
  if (violated_) {
    lost(Errc::upstream_invalid, "the server breaks the rules of HTTP/2");
  } else {
    lost(Errc::closed, "the server ended the connection");
  }
}

void ClientConnection::lost(Errc why, std::string message) {
  if (over_) return;
  const Error error(why, std::move(message));
  for (ClientStream* member : members_) member->disconnected(error);
  over_ = true;
  members_.clear();
  sessions_.clear();
  watch_.stop();
  idle_.stop();
  later_.cancel();
  more_.cancel();
  end_wait(readable_);
  end_wait(writable_);
  stream_->close();
  loop().defer(end_);
}

}  // namespace octroi::http::h2
