// octroi/http/h2_frames_test.h: plays a client of HTTP/2 against the real server: a well-behaved
// one (nghttp2's client session), and one that sends whatever frames a test makes. Tests only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "octroi/http/h2_common.h"
#include "octroi/http/wire_test.h"

namespace octroi::http::h2 {

// ---- frames by hand

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out += payload;
}
inline std::string hello() { return std::string(kPreface) + frame(NGHTTP2_SETTINGS, 0, 0); }
/// One field without Huffman coding and without a place in the table.
inline std::string literal(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  for (const std::string_view text : {name, value}) {
    std::size_t n = text.size();
    if (n < 127) {
      out += static_cast<char>(n);
    } else {
      out += '\x7f';
      for (n -= 127; n >= 128; n >>= 7) out += static_cast<char>(0x80 | (n & 0x7f));
      out += static_cast<char>(n);
    }
    out += text;
  }
  return out;
}
using Fields = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += literal(name, value);
  return out;
}
inline Fields get_fields(std::string path = "/") {
  return {{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", path}};
}
inline constexpr std::uint8_t kEnd = NGHTTP2_FLAG_END_STREAM;
inline constexpr std::uint8_t kEndHeaders = NGHTTP2_FLAG_END_HEADERS;

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
  /// Of RST_STREAM and GOAWAY.
  [[nodiscard]] std::uint32_t error() const {
    const std::size_t at = type == NGHTTP2_GOAWAY ? 4 : 0;
    std::uint32_t n = 0;
    for (std::size_t i = at; i < at + 4 && i < payload.size(); ++i)
      n = n << 8 | static_cast<std::uint8_t>(payload[i]);
    return n;
  }
};
inline std::vector<Frame> frames_of(std::string_view bytes) {
  std::vector<Frame> out;
  const auto number = [&bytes](std::size_t at, std::size_t n) {
    std::uint32_t v = 0;
    for (std::size_t i = at; i < at + n; ++i) v = v << 8 | static_cast<std::uint8_t>(bytes[i]);
    return v;
  };
  while (bytes.size() >= 9) {
    const std::size_t size = number(0, 3);
    if (bytes.size() < 9 + size) break;
    out.push_back({static_cast<std::uint8_t>(bytes[3]), static_cast<std::uint8_t>(bytes[4]),
                   number(5, 4), std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return out;
}
/// "GOAWAY ENHANCE_YOUR_CALM", "RST_STREAM 1 PROTOCOL_ERROR": what was refused, in order.
inline std::string refusals(std::string_view bytes) {
  std::string out;
  for (const Frame& f : frames_of(bytes)) {
    if (f.type != NGHTTP2_GOAWAY && f.type != NGHTTP2_RST_STREAM) continue;
    if (!out.empty()) out += ", ";
    out += f.type == NGHTTP2_GOAWAY ? "GOAWAY " : "RST_STREAM " + std::to_string(f.stream) + " ";
    out += error_name(f.error());
  }
  return out;
}

// ---- a client that knows the rules

struct Answer {
  int status = 0;
  std::vector<int> interim;
  Headers headers;
  std::string body;
  Headers trailers;
  bool headed = false;  // the final head is whole
  bool ended = false;   // with END_STREAM
  bool closed = false;
  std::uint32_t reset = NGHTTP2_NO_ERROR;
};

/// What a request sends after its head.
struct Upload {
  std::string body;
  Fields trailers;
  bool hold = false;  // do not end yet
};

class H2Client {
 public:
  explicit H2Client(std::unique_ptr<net::Stream> stream, std::uint32_t window = 1 << 20,
                    bool reads = true)
      : stream_(std::move(stream)) {
    Options options = make_options();
    if (reads) nghttp2_option_set_no_auto_window_update(options.get(), 0);
    Callbacks callbacks = make_callbacks();
    set_callbacks(callbacks.get());
    nghttp2_session* raw = nullptr;
    nghttp2_session_client_new2(&raw, callbacks.get(), this, options.get());
    session_.reset(raw);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                               {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, settings, 2);
  }
  static Task<std::unique_ptr<H2Client>> to(net::Loop* loop, net::Endpoint where,
                                            std::uint32_t window = 1 << 20, bool reads = true) {
    auto stream = co_await net::connect(*loop, where, kTestPatience);
    co_return std::make_unique<H2Client>(std::move(*stream), window, reads);
  }

  std::int32_t request(const Fields& fields, std::optional<Upload> upload = {}) {
    FieldList list;
    for (const auto& [name, value] : fields) list.add(name, value);
    auto body = std::make_unique<Sending>();
    nghttp2_data_provider provider;
    provider.source.ptr = body.get();
    provider.read_callback = read;
    if (upload) body->upload = std::move(*upload);
    const bool has_body = upload.has_value();
    const std::int32_t id = nghttp2_submit_request(
        session_.get(), nullptr, list.data(), list.size(), has_body ? &provider : nullptr, nullptr);
    sending_[id] = std::move(body);
    answers[id];
    return id;
  }
  void go_on(std::int32_t id, std::string more, bool end) {
    sending_[id]->upload.body += more;
    sending_[id]->upload.hold = !end;
    nghttp2_session_resume_data(session_.get(), id);
  }
  void reset(std::int32_t id, std::uint32_t error = NGHTTP2_CANCEL) {
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, error);
  }
  void open_window(std::int32_t id, std::int32_t bytes) {
    nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, id, bytes);
  }
  Task<Result<>> flush() {
    const std::uint8_t* data = nullptr;
    for (ssize_t n = 0; (n = nghttp2_session_mem_send(session_.get(), &data)) > 0;) {
      OCTROI_CO_CHECK(
          co_await net::write_all(*stream_, {data, static_cast<std::size_t>(n)}, kTestPatience));
    }
    co_return Result<>{};
  }
  /// Speaks until `done()`; false when the connection ended or the patience did.
  Task<bool> until(std::function<bool()> done, Millis patience = kTestPatience) {
    std::vector<std::uint8_t> buffer(64 * 1024);
    for (;;) {
      if (!co_await flush()) over = true;
      if (done()) co_return true;
      if (over) co_return false;
      auto got = co_await net::read_some(*stream_, buffer, patience);
      if (!got || *got == 0) {
        over = got.has_value() || !got.error().is(net::Errc::timeout);
        if (done()) co_return true;
        co_return false;
      }
      nghttp2_session_mem_recv(session_.get(), buffer.data(), *got);
    }
  }
  Task<Answer> answer(std::int32_t id) {
    co_await until([this, id] { return answers[id].closed; });
    co_return answers[id];
  }
  [[nodiscard]] nghttp2_session* session() { return session_.get(); }
  [[nodiscard]] net::Stream& stream() { return *stream_; }
  void close() { stream_.reset(); }

  std::map<std::int32_t, Answer> answers;
  std::vector<std::pair<std::int32_t, std::uint32_t>> goaways;  // last stream, error
  std::map<std::int32_t, std::uint64_t> windows;  // what WINDOW_UPDATE gave, by stream
  bool settled = false;                           // the server's SETTINGS came
  bool over = false;

 private:
  struct Sending {
    Upload upload;
    std::size_t used = 0;
  };
  static H2Client& of(void* user) { return *static_cast<H2Client*>(user); }
  static ssize_t read(nghttp2_session* s, std::int32_t id, std::uint8_t* into, std::size_t room,
                      std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& sending = *static_cast<Sending*>(source->ptr);
    const std::size_t n = std::min(room, sending.upload.body.size() - sending.used);
    if (n == 0 && sending.upload.hold) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(into, sending.upload.body.data() + sending.used, n);
    sending.used += n;
    if (sending.used == sending.upload.body.size() && !sending.upload.hold) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!sending.upload.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        FieldList list;
        for (const auto& [name, value] : sending.upload.trailers) list.add(name, value);
        nghttp2_submit_trailer(s, id, list.data(), list.size());
      }
    }
    return static_cast<ssize_t>(n);
  }
  static void set_callbacks(nghttp2_session_callbacks* c) {
    nghttp2_session_callbacks_set_on_header_callback2(
        c, [](nghttp2_session*, const nghttp2_frame* f, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
              std::uint8_t, void* user) {
          Answer& a = of(user).answers[f->hd.stream_id];
          const std::string_view n = view_of(name);
          const std::string_view v = view_of(value);
          if (n == ":status") {
            if (v[0] == '1') {
              a.interim.push_back(std::stoi(std::string(v)));
            } else {
              a.status = std::stoi(std::string(v));
            }
          } else {
            (a.status != 0 && f->headers.cat == NGHTTP2_HCAT_HEADERS && a.headed ? a.trailers
                                                                                 : a.headers)
                .add(n, v);
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        c, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
              std::size_t size, void* user) {
          of(user).answers[id].body.append(reinterpret_cast<const char*>(data), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame* f, void* user) {
          H2Client& self = of(user);
          switch (f->hd.type) {
            case NGHTTP2_HEADERS:
              self.answers[f->hd.stream_id].headed = self.answers[f->hd.stream_id].status != 0;
              [[fallthrough]];
            case NGHTTP2_DATA:
              if ((f->hd.flags & kEnd) != 0) self.answers[f->hd.stream_id].ended = true;
              break;
            case NGHTTP2_GOAWAY:
              self.goaways.emplace_back(f->goaway.last_stream_id, f->goaway.error_code);
              break;
            case NGHTTP2_SETTINGS:
              self.settled = true;
              break;
            case NGHTTP2_WINDOW_UPDATE:
              self.windows[f->hd.stream_id] +=
                  static_cast<std::uint64_t>(f->window_update.window_size_increment);
              break;
            default:
              break;
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        c, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
          of(user).answers[id].closed = true;
          of(user).answers[id].reset = error;
          return 0;
        });
  }

  std::unique_ptr<net::Stream> stream_;
  std::map<std::int32_t, std::unique_ptr<Sending>> sending_;
  Session session_;  // destroyed first: it reads from the above
};

}  // namespace octroi::http::h2
