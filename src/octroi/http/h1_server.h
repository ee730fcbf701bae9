// octroi/http/h1_server.h: one HTTP/1.x connection of the server: reads a head, runs the handler,
// repeats. The connection is the Exchange of each of its requests in turn, so a request allocates
// nothing here once the connection is warm.
// Thread: its loop's.
#pragma once

#include "octroi/http/h1_body.h"
#include "octroi/http/h1_output.h"
#include "octroi/http/h1_writer.h"
#include "octroi/http/server_connection.h"

namespace octroi::http::h1 {

class H1Connection final : public Exchange, public BodySource, public ServerConnection {
 public:
  H1Connection(ServerContext& context, std::unique_ptr<net::Stream> stream);
  ~H1Connection() override;

  /// Serves the connection until it ends.
  Task<void> run();
  void begin_drain() noexcept override;
  void cut() noexcept override {
    if (stream_) stream_->close();
  }

  /// After run(): the client speaks HTTP/2, as its first line said; these are stream and bytes.
  [[nodiscard]] bool found_h2() const noexcept { return found_h2_; }
  [[nodiscard]] std::unique_ptr<net::Stream> take_stream() noexcept;
  [[nodiscard]] Bytes take_unread();

  // Exchange
  [[nodiscard]] RequestHead& request() override { return request_; }
  [[nodiscard]] BodySource& body() override { return *this; }
  [[nodiscard]] const Peer& peer() const override { return peer_; }
  [[nodiscard]] net::Loop& loop() override { return context_.loop; }
  Task<Result<>> interim(ResponseHead head) override;
  Task<Result<>> respond(ResponseHead head, std::string body) override;
  Task<Result<>> start(ResponseHead head, std::optional<std::uint64_t> length) override;
  Task<Result<>> write(ByteView chunk) override;
  Task<Result<>> finish(const Headers& trailers) override;
  void abort() noexcept override;
  Task<Result<std::unique_ptr<net::Stream>>> upgrade(ResponseHead head) override;
  Task<Result<std::unique_ptr<net::Stream>>> tunnel(ResponseHead head) override;
  void on_gone(void (*call)(void*), void* context) override;
  [[nodiscard]] bool started() const noexcept override { return started_; }
  [[nodiscard]] std::uint64_t sent() const noexcept override { return sent_; }

  // BodySource
  Task<Result<ByteView>> next() override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override;
  [[nodiscard]] const Headers& trailers() const override { return body_.trailers(); }

 private:
  enum class Shape : std::uint8_t { nothing, counted, chunked, until_close };

  Task<bool> read_head();
  [[nodiscard]] bool begins_h2() noexcept;
  Task<void> serve();
  Task<bool> finish_exchange();
  Task<bool> finish_body();
  Task<bool> drain_body();
  Task<void> refuse(int status, std::string_view why);
  Task<void> linger();
  void accept_head();
  void drop_named_fields();
  void begin_answer(const ResponseHead& head, std::optional<std::uint64_t> length);
  [[nodiscard]] bool must_close() const noexcept;
  [[nodiscard]] Result<> may_answer() const;
  /// Sends what is held and these; `counted` of them are the body's.
  Task<Result<>> send_out(ByteView a, ByteView b, std::size_t counted);
  Task<Result<>> await_sent(Task<Result<>> sending, std::size_t counted);
  [[nodiscard]] Result<> account(Result<> sent, std::size_t counted);
  /// The next piece of the body out of what has been read; nullopt: more must be read first.
  std::optional<Result<ByteView>> next_at_hand();
  Task<Result<ByteView>> next_read();
  [[nodiscard]] bool too_slow(std::size_t bytes);
  Task<Result<std::unique_ptr<net::Stream>>> hand_over(ResponseHead head, ConnectionOption option);
  void watch_client();
  void unwatch_client() noexcept;
  void client_stirred();

  ServerContext& context_;
  std::unique_ptr<net::Stream> stream_;
  Peer peer_;
  ReadBuffer in_;
  HeadParser parser_;
  BodyReader body_;
  Output out_;
  RequestHead request_;

  // Of the connection
  bool idle_ = false;    // between two requests
  bool served_ = false;  // a request has been answered
  bool closed_ = false;  // aborted, handed over or failed
  bool linger_ = false;  // the peer may still be sending: end gently
  bool found_h2_ = false;
  // Of the request under way
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool started_ = false;
  bool finished_ = false;
  Shape shape_ = Shape::nothing;
  bool withheld_ = false;  // the answer has a body that is not sent (HEAD, 304)
  std::uint64_t announced_ = 0;
  std::uint64_t sent_ = 0;
  Millis rate_since_{0};
  std::size_t rate_bytes_ = 0;

  struct GoneWatch : net::Stream::Waiter {
    explicit GoneWatch(H1Connection& c) noexcept
        : Waiter([](Waiter& w) {
            auto& self = static_cast<GoneWatch&>(w);
            self.armed = false;
            self.connection.client_stirred();
          }),
          connection(c) {}
    H1Connection& connection;
    bool armed = false;
    void (*call)(void*) = nullptr;
    void* context = nullptr;
  };
  GoneWatch gone_{*this};
};

}  // namespace octroi::http::h1
