// octroi/http/h2_peer_test.h: an HTTP/2 server for tests of the client: nghttp2's own server
// session over a real socket, answering as the test says. Tests only.
#pragma once

#include <map>
#include <string>

#include "octroi/http/client.h"
#include "octroi/http/h2_common.h"
#include "octroi/http/wire_test.h"
#include "octroi/net/tls.h"

namespace octroi::http::h2 {

using FieldPairs = std::vector<std::pair<std::string, std::string>>;

/// One connection as the server sees it.
class Peer {
 public:
  struct Request {
    std::int32_t id = 0;
    FieldPairs fields;  // as they came, pseudo fields among them
    FieldPairs trailers;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> reset;
    // the answer's body
    std::string out;
    bool out_ended = false;
    FieldPairs out_trailers;

    [[nodiscard]] std::string field(std::string_view name) const {
      for (const auto& [n, v] : fields) {
        if (n == name) return v;
      }
      return "";
    }
    [[nodiscard]] std::string all() const {
      std::string text;
      for (const auto& [n, v] : fields) text += n + "=" + v + "\n";
      return text;
    }
  };
  using Script = std::function<void(Peer&, Request&)>;
  struct Plan {
    Script on_head{};  // a request's head came
    Script on_end{};   // a request is complete
    std::vector<nghttp2_settings_entry> settings{};
    bool reads_windows = true;  // gives the client's windows back
    bool answers_pings = true;
  };

  Peer(std::unique_ptr<net::Stream> stream, const Plan& plan)
      : stream_(std::move(stream)), plan_(plan) {
    Callbacks callbacks = make_callbacks();
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks.get(), [](nghttp2_session*, const nghttp2_frame* f, void* self) {
          auto& peer = *static_cast<Peer*>(self);
          peer.requests[f->hd.stream_id].id = f->hd.stream_id;
          return 0;
        });
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks.get(),
        [](nghttp2_session*, const nghttp2_frame* f, const std::uint8_t* n, std::size_t nn,
           const std::uint8_t* v, std::size_t vn, std::uint8_t, void* self) {
          Request& r = static_cast<Peer*>(self)->requests[f->hd.stream_id];
          (f->headers.cat == NGHTTP2_HCAT_REQUEST ? r.fields : r.trailers)
              .emplace_back(as_text(ByteView(n, nn)), as_text(ByteView(v, vn)));
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks.get(), [](nghttp2_session* s, std::uint8_t, std::int32_t id,
                            const std::uint8_t* d, std::size_t n, void* self) {
          auto& peer = *static_cast<Peer*>(self);
          peer.requests[id].body.append(as_text(ByteView(d, n)));
          if (peer.plan_.reads_windows) nghttp2_session_consume(s, id, n);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks.get(), [](nghttp2_session*, const nghttp2_frame* f, void* self) {
          auto& peer = *static_cast<Peer*>(self);
          if (f->hd.type == NGHTTP2_PING && (f->hd.flags & NGHTTP2_FLAG_ACK) == 0) ++peer.pings;
          if (f->hd.type == NGHTTP2_GOAWAY) peer.goaway = f->goaway.error_code;
          if (f->hd.type == NGHTTP2_RST_STREAM) {
            peer.requests[f->hd.stream_id].reset = f->rst_stream.error_code;
          }
          if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
          Request& r = peer.requests[f->hd.stream_id];
          if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST &&
              peer.plan_.on_head) {
            peer.plan_.on_head(peer, r);
          }
          if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            r.ended = true;
            if (peer.plan_.on_end) peer.plan_.on_end(peer, r);
          }
          return 0;
        });
    Options options = make_options();
    nghttp2_option_set_no_auto_ping_ack(options.get(), plan.answers_pings ? 0 : 1);
    // The test may break the rules on purpose.
    nghttp2_option_set_no_http_messaging(options.get(), 1);
    nghttp2_session* raw = nullptr;
    nghttp2_session_server_new2(&raw, callbacks.get(), this, options.get());
    session.reset(raw);
    nghttp2_submit_settings(raw, 0, plan.settings.data(), plan.settings.size());
  }

  static Task<void> run(Peer* self) {
    std::vector<std::uint8_t> buffer(64 * 1024);
    for (;;) {
      self->flush();
      auto got = co_await net::read_some(*self->stream_, buffer, Millis(10));
      if (!got && got.error().is(net::Errc::timeout)) continue;
      if (!got || *got == 0 || self->closed) break;
      if (nghttp2_session_mem_recv(self->session.get(), buffer.data(), *got) < 0) break;
    }
    self->closed = true;
    self->stream_->close();
  }

  // ---- what a script may do

  static std::vector<nghttp2_nv> list(const FieldPairs& fields) {
    std::vector<nghttp2_nv> out;
    for (const auto& [n, v] : fields) {
      out.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(n.data())),
                     reinterpret_cast<std::uint8_t*>(const_cast<char*>(v.data())), n.size(),
                     v.size(), NGHTTP2_NV_FLAG_NONE});
    }
    return out;
  }
  void answer(Request& r, const std::string& status, FieldPairs fields, const std::string& body,
              FieldPairs trailers = {}) {
    begin(r, status, std::move(fields));
    more(r, body);
    end(r, std::move(trailers));
  }
  /// Head and end in one frame.
  void answer_head_only(Request& r, const std::string& status, FieldPairs fields = {}) {
    fields.insert(fields.begin(), {":status", status});
    const auto nva = list(fields);
    nghttp2_submit_response(session.get(), r.id, nva.data(), nva.size(), nullptr);
  }
  void interim(Request& r, const std::string& status, FieldPairs fields) {
    fields.insert(fields.begin(), {":status", status});
    const auto nva = list(fields);
    nghttp2_submit_headers(session.get(), 0, r.id, nullptr, nva.data(), nva.size(), nullptr);
  }
  void begin(Request& r, const std::string& status, FieldPairs fields = {}) {
    if (!status.empty()) fields.insert(fields.begin(), {":status", status});
    const auto nva = list(fields);
    nghttp2_data_provider body{};
    body.source.ptr = &r;
    body.read_callback = [](nghttp2_session* s, std::int32_t id, std::uint8_t* into,
                            std::size_t room, std::uint32_t* flags, nghttp2_data_source* source,
                            void*) -> ssize_t {
      auto& request = *static_cast<Request*>(source->ptr);
      const std::size_t n = std::min(room, request.out.size());
      if (n == 0 && !request.out_ended) return NGHTTP2_ERR_DEFERRED;
      std::copy_n(request.out.begin(), n, into);
      request.out.erase(0, n);
      if (request.out.empty() && request.out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!request.out_trailers.empty()) {
          *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
          const auto trailers = list(request.out_trailers);
          nghttp2_submit_trailer(s, id, trailers.data(), trailers.size());
        }
      }
      return static_cast<ssize_t>(n);
    };
    nghttp2_submit_response(session.get(), r.id, nva.data(), nva.size(), &body);
  }
  void more(Request& r, const std::string& body) {
    r.out += body;
    nghttp2_session_resume_data(session.get(), r.id);
  }
  void end(Request& r, FieldPairs trailers = {}) {
    r.out_ended = true;
    r.out_trailers = std::move(trailers);
    nghttp2_session_resume_data(session.get(), r.id);
  }
  void reset(Request& r, std::uint32_t code) {
    nghttp2_submit_rst_stream(session.get(), 0, r.id, code);
  }
  void goodbye(std::int32_t last, std::uint32_t code = NGHTTP2_NO_ERROR) {
    nghttp2_submit_goaway(session.get(), 0, last, code, nullptr, 0);
  }
  /// After what was said has been sent.
  void close() {
    flush();
    closed = true;
    stream_->close();
  }
  void flush() {
    if (closed) return;
    for (;;) {
      while (out_.size() < 1024 * 1024) {
        const std::uint8_t* frame = nullptr;
        const ssize_t n = nghttp2_session_mem_send(session.get(), &frame);
        if (n <= 0) break;
        out_.append(as_text(ByteView(frame, static_cast<std::size_t>(n))));
      }
      if (out_.empty()) return;
      const ByteView part = as_bytes(out_);
      const net::IoResult sent = stream_->write_now({&part, 1});
      if (sent.status != net::IoStatus::ok) return;
      out_.erase(0, sent.size);
    }
  }

  Session session;
  std::map<std::int32_t, Request> requests;
  std::optional<std::uint32_t> goaway;
  int pings = 0;
  bool closed = false;

 private:
  std::unique_ptr<net::Stream> stream_;
  Plan plan_;
  std::string out_;
};

/// Listens, and gives each connection a Peer.
class Peers {
 public:
  Peers(net::Loop& loop, Peer::Plan plan,
        std::shared_ptr<const net::TlsServerContext> tls = nullptr)
      : plan_(std::move(plan)), tls_(std::move(tls)) {
    listener_ = std::move(*net::listen_tcp(loop, any_port(), false));
    tasks_.start(accept_all(this));
  }
  [[nodiscard]] Url url(const std::string& target = "/", const std::string& scheme = "http") const {
    return *Url::parse(scheme + "://" + listener_->local().str() + target);
  }
  [[nodiscard]] Origin origin() const {
    return {"http", listener_->local().address.str(), listener_->local().port, Protocol::h2};
  }
  [[nodiscard]] std::uint16_t port() const { return listener_->local().port; }
  /// The n-th connection, from 0.
  [[nodiscard]] Peer& at(std::size_t n) { return *peers_.at(n); }
  [[nodiscard]] std::size_t count() const { return peers_.size(); }
  void stop_listening() { listener_->close(); }

 private:
  static Task<void> accept_all(Peers* self) {
    for (;;) {
      auto stream = co_await self->listener_->accept();
      if (!stream) co_return;
      if (self->tls_) {
        stream = co_await net::tls_accept(std::move(*stream), self->tls_, kTestPatience);
        if (!stream) continue;
      }
      self->peers_.push_back(std::make_unique<Peer>(std::move(*stream), self->plan_));
      self->tasks_.start(Peer::run(self->peers_.back().get()));
    }
  }
  Peer::Plan plan_;
  std::shared_ptr<const net::TlsServerContext> tls_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Peer>> peers_;
  TaskGroup tasks_;
};

}  // namespace octroi::http::h2
