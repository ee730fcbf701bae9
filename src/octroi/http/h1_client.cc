// The client: pools of connections an origin, and exchanges over HTTP/1.1, one at a time on each.
// Those over HTTP/2 are in h2_client.cc.
#include <list>
#include <map>

#include "octroi/http/char_class.h"
#include "octroi/http/client.h"
#include "octroi/http/h1_body.h"
#include "octroi/http/h1_output.h"
#include "octroi/http/h1_writer.h"
#include "octroi/http/h2_pool.h"
#include "octroi/http/prefixed_stream.h"
#include "octroi/net/deadline.h"

namespace octroi::http {

Origin origin_of(const Url& url) { return {url.scheme, url.host, url.port}; }

bool is_idempotent(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

namespace {

using h1::BodyKind;
using h1::BodyReader;
using net::Direction;
using net::IoResult;
using net::IoStatus;

constexpr std::size_t kMaxFields = 200;
constexpr int kMaxInterim = 32;
/// A pooled connection is sure between these ages. Servers that do not keep connections close them
/// at once; the shortest idle timeouts in use are two seconds.
constexpr Millis kSettled{20};
constexpr Millis kRecent{1'000};

std::string authority_of(const Origin& origin) {
  Url url;
  url.scheme = origin.scheme;
  url.host = origin.host;
  url.port = origin.port;
  return url.authority();
}

/// What TLS is offered; empty: what the context says.
std::vector<std::string> alpn_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::http1:
      return {};
    case Protocol::h2:
      return {"h2"};
    case Protocol::automatic:
      return {"h2", "http/1.1"};
  }
  return {};
}

class ClientImpl;
struct Pool;

/// A connection to an origin, lent to one exchange at a time.
struct Connection {
  Connection(ClientImpl& c, Pool& p, std::unique_ptr<net::Stream> s, std::size_t max_head)
      : client(c),
        pool(p),
        stream(std::move(s)),
        parser(h1::HeadParser::Kind::response, {max_head, kMaxFields, 0}),
        body({h1::kBlockSize, kMaxFields, 0}),
        idle(*this) {
    out.attach(*stream);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    end_idle();
    out.detach();
  }

  void begin_idle(Millis keep_alive) {
    idle_since = stream->loop().now();
    in.rest();
    out.held().rest();
    idle.armed = true;
    stream->arm(Direction::read, idle, keep_alive);
  }
  void end_idle() noexcept {
    if (!idle.armed) return;
    idle.armed = false;
    if (idle.queued()) {
      idle.cancel();
    } else {
      stream->disarm(Direction::read);
    }
  }

  /// Wakes when the peer closes, says something unasked or the connection is too old.
  struct Idle : net::Stream::Waiter {
    explicit Idle(Connection& c) noexcept;
    Connection& connection;
    bool armed = false;
  };

  ClientImpl& client;
  Pool& pool;
  std::unique_ptr<net::Stream> stream;
  h1::ReadBuffer in;
  h1::HeadParser parser;
  BodyReader body;
  h1::Output out;
  Millis idle_since{0};
  Idle idle;
};

struct Pool {
  Origin origin;
  std::string authority;
  std::vector<std::unique_ptr<Connection>> idle;  // the last one was used last
  bool closing = false;                           // nothing comes back any more
  std::unique_ptr<h2::ClientPool> h2{};           // made when HTTP/2 is spoken
  bool speaks_h2 = false;                         // what TLS agreed on last, where that is asked
};

class H1Exchange final : public ClientExchange, public BodySource {
 public:
  H1Exchange(std::unique_ptr<Connection> connection, ClientTimeouts timeouts, bool reused)
      : connection_(std::move(connection)), timeouts_(timeouts), reused_(reused) {
    if (reused_) rested_ = connection_->stream->loop().now() - connection_->idle_since;
    connection_->out.forget_sent();
  }
  ~H1Exchange() override;
  H1Exchange(const H1Exchange&) = delete;
  H1Exchange& operator=(const H1Exchange&) = delete;
  static void* operator new(std::size_t size) { return octroi::detail::frame_alloc(size); }
  static void operator delete(void* p, std::size_t size) noexcept {
    octroi::detail::frame_free(p, size);
  }

  Task<Result<>> send_head(const RequestHead& head, std::optional<std::uint64_t> length) override;
  Task<Result<>> write(ByteView chunk) override;
  Task<Result<>> finish(const Headers& trailers) override;
  Task<Result<ResponseHead>> head() override;
  [[nodiscard]] BodySource& body() override { return *this; }
  std::unique_ptr<net::Stream> upgraded() override;
  [[nodiscard]] bool sent() const noexcept override {
    return connection_ == nullptr || connection_->out.any_sent();
  }
  [[nodiscard]] bool reused() const noexcept override { return reused_; }
  [[nodiscard]] Millis rested() const noexcept override { return rested_; }
  [[nodiscard]] bool alive() noexcept override {
    return !dead_ && connection_ != nullptr && !connection_->stream->peer_gone();
  }
  [[nodiscard]] bool answered() const noexcept override { return answered_; }
  void abort() noexcept override {
    dead_ = true;
    if (connection_) connection_->stream->close();
  }

  Task<Result<ByteView>> next() override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override;
  [[nodiscard]] const Headers& trailers() const override { return connection_->body.trailers(); }

 private:
  [[nodiscard]] bool reusable() const noexcept;
  Task<Result<>> send(ByteView a, ByteView b);
  Task<Result<>> await_sent(Task<Result<>> sending);
  [[nodiscard]] Result<> judge(Result<> sent);
  [[nodiscard]] static Task<Result<>> done(Result<> outcome) {
    return Task<Result<>>::done(std::move(outcome));
  }
  /// The next piece of the body out of what has been read; nullopt: more must be read first.
  std::optional<Result<ByteView>> next_at_hand();
  Task<Result<ByteView>> next_read();
  [[nodiscard]] tl::unexpected<Error> broken(Errc why, std::string message) {
    dead_ = true;
    return fail(why, std::move(message));
  }
  ResponseHead take_head();
  void end_request() {
    request_done_ = true;
    done_at_ = connection_->stream->loop().now();
  }
  [[nodiscard]] Millis first_byte_due(Millis since) const;

  std::unique_ptr<Connection> connection_;
  ClientTimeouts timeouts_;
  std::string method_;
  bool reused_;
  Millis rested_{0};
  bool dead_ = false;     // the connection must not be used again
  bool chunked_ = false;  // the request's body
  bool request_done_ = false;
  Millis done_at_{0};  // of a request with a body
  bool response_begun_ = false;
  bool response_lasts_ = false;  // the answer allows another request
  bool answered_ = false;
  int interims_ = 0;
  std::uint64_t to_send_ = 0;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(net::Loop& loop, ClientConfig config) : loop_(loop), config_(std::move(config)) {}

  [[nodiscard]] net::Loop& loop() override { return loop_; }
  Task<Result<std::unique_ptr<ClientExchange>>> open(Origin origin) override {
    return open_with(std::move(origin), config_.timeouts, /*fresh=*/false);
  }
  Task<Result<std::unique_ptr<ClientExchange>>> open_with(Origin origin, ClientTimeouts timeouts,
                                                          bool fresh) override;
  Task<Result<std::unique_ptr<ClientExchange>>> open_surely(Origin origin,
                                                            ClientTimeouts timeouts) override;
  void keep_only(std::span<const Origin> origins) override;
  Task<Result<Response>> fetch(Request request, std::uint64_t max_body, Millis deadline) override;
  Task<Result<int>> stream_lines(Request request, std::function<Task<bool>(std::string)> on_line,
                                 Millis idle) override;

  void put_back(std::unique_ptr<Connection> connection);
  void forget(Connection& connection);

 private:
  Pool& pool_of(Origin origin);
  static std::unique_ptr<ClientExchange> lend(Pool& pool,
                                              std::vector<std::unique_ptr<Connection>>::iterator at,
                                              ClientTimeouts timeouts);
  static std::unique_ptr<ClientExchange> take_idle(Pool& pool, ClientTimeouts timeouts);
  Task<Result<std::unique_ptr<ClientExchange>>> open_new(Pool* where, ClientTimeouts timeouts,
                                                         bool fresh);
  h2::ClientPool& h2_of(Pool& pool);
  Task<Result<std::unique_ptr<net::Stream>>> connect(Origin origin, Millis timeout);
  Task<Result<std::vector<net::IpAddress>>> addresses_of(Origin origin, Millis timeout);
  Task<Result<std::unique_ptr<ClientExchange>>> send_request(const Request* request,
                                                             ClientTimeouts timeouts, bool fresh);
  Task<Result<std::pair<std::unique_ptr<ClientExchange>, ResponseHead>>> ask(
      const Request* request, ClientTimeouts timeouts);
  Task<Result<Response>> fetch_all(const Request* request, std::uint64_t max_body,
                                   ClientTimeouts timeouts);
  [[nodiscard]] Result<std::shared_ptr<const net::TlsClientContext>> tls();

  net::Loop& loop_;
  ClientConfig config_;
  std::map<Origin, Pool> pools_;
  Pool* last_pool_ = nullptr;
};

Connection::Idle::Idle(Connection& c) noexcept
    : Waiter([](Waiter& w) {
        auto& self = static_cast<Idle&>(w);
        self.armed = false;
        self.connection.client.forget(self.connection);  // destroys it, and this waiter
      }),
      connection(c) {}

// ---- sending
// ---------------------------------------------------------------------------------------

H1Exchange::~H1Exchange() {
  if (connection_ && reusable()) {
    ClientImpl& client = connection_->client;
    client.put_back(std::move(connection_));
  }
}

bool H1Exchange::reusable() const noexcept {
  return !dead_ && request_done_ && response_begun_ && response_lasts_ && connection_->body.ended();
}

Result<> H1Exchange::judge(Result<> sent) {
  if (sent) return {};
  if (sent.error().is(net::Errc::timeout)) return broken(Errc::timeout, "the server does not read");
  return broken(Errc::closed, "the server closed the connection");
}

Task<Result<>> H1Exchange::await_sent(Task<Result<>> sending) {
  co_return judge(co_await std::move(sending));
}

Task<Result<>> H1Exchange::send(ByteView a, ByteView b) {
  if (dead_) return done(fail(Errc::closed, "the exchange was aborted"));
  auto sending = connection_->out.send(a, b, {}, timeouts_.idle);
  if (!sending.is_done()) return await_sent(std::move(sending));
  return done(judge(std::move(sending).take()));
}

Task<Result<>> H1Exchange::send_head(const RequestHead& head, std::optional<std::uint64_t> length) {
  method_ = head.method;
  chunked_ = !length;
  to_send_ = length.value_or(0);
  const bool upgrade =
      head.headers.has("upgrade") && head.headers.has_token("connection", "upgrade");
  h1::BodyPlan plan;
  plan.chunked = chunked_;
  // RFC 9110 section 8.6: a method that gives a body meaning says so when there is none.
  const bool wants_length =
      to_send_ > 0 || head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  if (length && wants_length) plan.length = length;
  // A request that must not be repeated deserves a look at the connection before it is spent on it.
  if (reused_ && !is_idempotent(head.method) && connection_->stream->peer_gone()) {
    return done(broken(Errc::closed, "the server closed the pooled connection"));
  }
  connection_->in.rest();
  h1::write_request_head(connection_->out.held(), head,
                         head.authority.empty() ? connection_->pool.authority : head.authority,
                         plan,
                         upgrade ? h1::ConnectionOption::upgrade : h1::ConnectionOption::none);
  if (chunked_ || to_send_ > 0) {
    connection_->out.hold();
    return done({});
  }
  request_done_ = true;
  return send({}, {});
}

Task<Result<>> H1Exchange::write(ByteView chunk) {
  if (chunk.empty()) return done({});
  if (!chunked_) {
    if (chunk.size() > to_send_)
      return done(broken(Errc::bad_message, "more body than was announced"));
    to_send_ -= chunk.size();
    if (to_send_ == 0) end_request();
    return send(chunk, {});
  }
  h1::write_chunk_size(connection_->out.held(), chunk.size());
  return send(chunk, as_bytes("\r\n"));
}

Task<Result<>> H1Exchange::finish(const Headers& trailers) {
  if (!chunked_) {
    if (to_send_ > 0) return done(broken(Errc::bad_message, "less body than was announced"));
    return done({});
  }
  h1::write_last_chunk(connection_->out.held(), trailers);
  end_request();
  return send({}, {});
}

// ---- receiving
// -------------------------------------------------------------------------------------

ResponseHead H1Exchange::take_head() {
  h1::HeadParser& parser = connection_->parser;
  ResponseHead head;
  head.status = parser.status();
  parser.copy_fields(head.headers);
  connection_->in.consume(parser.size());
  return head;
}

/// The wait begins when the request has been sent: how long that takes is its sender's affair.
Millis H1Exchange::first_byte_due(Millis since) const {
  return std::max(since, done_at_) + timeouts_.first_byte;
}

Task<Result<ResponseHead>> H1Exchange::head() {
  Connection& c = *connection_;
  c.parser.reset();
  Millis since{0};
  for (;;) {
    if (!c.in.empty()) {
      const h1::Step step = c.parser.parse(c.in.text());
      if (step == h1::Step::done) break;
      if (step == h1::Step::fault) {
        co_return broken(Errc::upstream_invalid,
                         "the server's answer: " + std::string(describe(c.parser.fault())));
      }
    }
    const IoResult got = c.stream->read_now(c.in.room());
    if (got.status == IoStatus::ok) {
      answered_ = true;
      c.in.filled(got.size);
      continue;
    }
    if (got.status != IoStatus::would_block) {
      co_return broken(Errc::closed, "the server closed the connection before its answer");
    }
    c.in.rest();
    const Millis now = c.stream->loop().now();
    if (since == Millis(0)) since = now;
    const bool bounded = timeouts_.first_byte > Millis(0);
    const Millis left = bounded ? first_byte_due(since) - now : Millis(0);
    if (bounded && left <= Millis(0)) {
      co_return broken(Errc::timeout, "the server did not answer in time");
    }
    if (auto ready = co_await c.stream->ready(Direction::read, left); !ready) {
      if (ready.error().is(net::Errc::timeout)) {
        if (!request_done_) since = Millis(0);
        continue;
      }
      co_return broken(Errc::closed, "the connection was closed");
    }
  }
  const int status = c.parser.status();
  if (status < 200 && status != 101) {
    if (++interims_ > kMaxInterim) {
      co_return broken(Errc::upstream_invalid, "the server sends interim answers without end");
    }
    co_return take_head();
  }
  const h1::Signals& said = c.parser.signals();
  const h1::Framing framing = c.parser.response_framing(method_);
  const bool lasts = !said.close && (c.parser.version() == Version::http11 || said.keep_alive);
  response_lasts_ = lasts && framing.kind != BodyKind::until_close && status != 101;
  ResponseHead head = take_head();
  c.body.begin(framing);
  response_begun_ = true;
  co_return std::move(head);
}

std::optional<Result<ByteView>> H1Exchange::next_at_hand() {
  if (dead_) return fail(Errc::closed, "the exchange was aborted");
  Connection& c = *connection_;
  const BodyReader::Pull pull = c.body.pull(c.in);
  switch (pull.what) {
    case BodyReader::Pull::What::data:
      return pull.data;
    case BodyReader::Pull::What::end:
      return ByteView{};
    case BodyReader::Pull::What::fault:
      return broken(Errc::upstream_invalid,
                    "the server's body: " + std::string(describe(c.body.fault())));
    case BodyReader::Pull::What::more:
      break;
  }
  return std::nullopt;
}

Task<Result<ByteView>> H1Exchange::next() {
  if (auto piece = next_at_hand()) return Task<Result<ByteView>>::done(std::move(*piece));
  return next_read();
}

Task<Result<ByteView>> H1Exchange::next_read() {
  Connection& c = *connection_;
  for (;;) {
    const IoResult got = c.stream->read_now(c.in.room());
    if (got.status == IoStatus::ok) {
      c.in.filled(got.size);
    } else if (got.status == IoStatus::eof && c.body.end_of_stream()) {
      co_return ByteView{};
    } else if (got.status != IoStatus::would_block) {
      co_return broken(Errc::closed, "the server's body ended early");
    } else {
      c.in.rest();
      if (auto ready = co_await c.stream->ready(Direction::read, timeouts_.idle); !ready) {
        if (ready.error().is(net::Errc::timeout)) {
          co_return broken(Errc::timeout, "the server's body stopped");
        }
        co_return broken(Errc::closed, "the connection was closed");
      }
    }
    if (auto piece = next_at_hand()) co_return std::move(*piece);
  }
}

std::optional<std::uint64_t> H1Exchange::length() const {
  const h1::Framing framing = connection_->body.framing();
  if (framing.kind == BodyKind::chunked || framing.kind == BodyKind::until_close)
    return std::nullopt;
  return framing.kind == BodyKind::none ? 0 : framing.length;
}

std::unique_ptr<net::Stream> H1Exchange::upgraded() {
  dead_ = true;
  connection_->out.detach();
  auto raw = with_prefix(std::move(connection_->stream), connection_->in.bytes());
  connection_->in.consume(connection_->in.size());
  connection_.reset();
  return raw;
}

// ---- the pool
// --------------------------------------------------------------------------------------

Pool& ClientImpl::pool_of(Origin origin) {
  // Pools stay where they are for as long as the client lives; mostly the last one is asked again.
  if (last_pool_ != nullptr && last_pool_->origin == origin) {
    last_pool_->closing = false;
    return *last_pool_;
  }
  auto found = pools_.find(origin);
  if (found == pools_.end()) {
    std::string authority = authority_of(origin);
    found = pools_.emplace(origin, Pool{origin, std::move(authority), {}}).first;
  }
  found->second.closing = false;
  last_pool_ = &found->second;
  return found->second;
}

h2::ClientPool& ClientImpl::h2_of(Pool& pool) {
  if (!pool.h2) {
    h2::ClientSettings settings;
    settings.scheme = pool.origin.scheme;
    settings.authority = pool.authority;
    settings.max_head = config_.max_head;
    settings.keep_alive = config_.max_idle_per_origin == 0 ? Millis(0) : config_.keep_alive;
    pool.h2 = std::make_unique<h2::ClientPool>(
        loop_, std::move(settings),
        [this, &pool](Millis timeout) { return connect(pool.origin, timeout); });
  }
  return *pool.h2;
}

void ClientImpl::keep_only(std::span<const Origin> origins) {
  for (auto& [origin, pool] : pools_) {
    Origin place = origin;
    place.protocol = Protocol::http1;
    if (std::ranges::binary_search(origins, place)) continue;
    pool.closing = true;
    pool.idle.clear();
    if (pool.h2) pool.h2->retire();
  }
}

void ClientImpl::put_back(std::unique_ptr<Connection> connection) {
  connection->body.release(connection->in);
  // Bytes after the answer belong to no request of ours.
  if (!connection->in.empty() || config_.max_idle_per_origin == 0) return;
  Pool& pool = connection->pool;
  if (pool.closing) return;
  if (pool.idle.size() >= config_.max_idle_per_origin) pool.idle.erase(pool.idle.begin());
  connection->begin_idle(config_.keep_alive);
  pool.idle.push_back(std::move(connection));
}

void ClientImpl::forget(Connection& connection) {
  std::erase_if(connection.pool.idle, [&](const auto& c) { return c.get() == &connection; });
}

Task<Result<std::unique_ptr<ClientExchange>>> ClientImpl::open_with(Origin origin,
                                                                    ClientTimeouts timeouts,
                                                                    bool fresh) {
  Pool& pool = pool_of(std::move(origin));
  const bool may_pool = !fresh && pool.origin.protocol != Protocol::h2 && !pool.speaks_h2;
  if (!may_pool || pool.idle.empty()) return open_new(&pool, timeouts, fresh);
  return Task<Result<std::unique_ptr<ClientExchange>>>::done(take_idle(pool, timeouts));
}

std::unique_ptr<ClientExchange> ClientImpl::take_idle(Pool& pool, ClientTimeouts timeouts) {
  return lend(pool, pool.idle.end() - 1, timeouts);
}

Task<Result<std::unique_ptr<ClientExchange>>> ClientImpl::open_new(Pool* where,
                                                                   ClientTimeouts timeouts,
                                                                   bool fresh) {
  Pool& pool = *where;
  const Protocol protocol = pool.origin.protocol;
  if (protocol == Protocol::h2 || pool.speaks_h2) {
    auto exchange = co_await h2_of(pool).open(timeouts, fresh);
    if (exchange || protocol == Protocol::h2 || !exchange.error().is(Errc::tls_failed)) {
      co_return exchange;
    }
    pool.speaks_h2 = false;  // the server has changed its mind: what does it want now?
  }
  if (!fresh && !pool.idle.empty()) co_return take_idle(pool, timeouts);
  OCTROI_CO_TRY(auto stream, co_await connect(pool.origin, timeouts.connect));
  if (protocol == Protocol::automatic && stream->alpn() == "h2") {
    pool.speaks_h2 = true;
    co_return h2_of(pool).adopt(std::move(stream), timeouts);
  }
  auto connection = std::make_unique<Connection>(*this, pool, std::move(stream), config_.max_head);
  co_return std::make_unique<H1Exchange>(std::move(connection), timeouts, /*reused=*/false);
}

std::unique_ptr<ClientExchange> ClientImpl::lend(
    Pool& pool, std::vector<std::unique_ptr<Connection>>::iterator at, ClientTimeouts timeouts) {
  std::unique_ptr<Connection> connection = std::move(*at);
  pool.idle.erase(at);
  connection->end_idle();
  return std::make_unique<H1Exchange>(std::move(connection), timeouts, /*reused=*/true);
}

Task<Result<std::unique_ptr<ClientExchange>>> ClientImpl::open_surely(Origin origin,
                                                                      ClientTimeouts timeouts) {
  Pool& pool = pool_of(origin);
  if (origin.protocol == Protocol::h2 || pool.speaks_h2) {
    // HTTP/2 says which requests a closing server will not look at; only long rest is a risk.
    auto exchange = co_await open_with(origin, timeouts, /*fresh=*/false);
    if (!exchange || ((*exchange)->rested() <= kRecent && (*exchange)->alive())) co_return exchange;
    co_return co_await open_with(std::move(origin), timeouts, /*fresh=*/true);
  }
  const Millis now = loop_.now();
  // The youngest first: their ages descend from the front.
  for (auto at = pool.idle.end(); at != pool.idle.begin();) {
    --at;
    const Millis age = now - (*at)->idle_since;
    if (age > kRecent) break;
    if (age >= kSettled && !(*at)->stream->peer_gone()) co_return lend(pool, at, timeouts);
  }
  co_return co_await open_with(std::move(origin), timeouts, /*fresh=*/true);
}

Result<std::shared_ptr<const net::TlsClientContext>> ClientImpl::tls() {
  if (!config_.tls) {
    OCTROI_TRY(config_.tls, net::make_tls_client({}));
  }
  return config_.tls;
}

Task<Result<std::vector<net::IpAddress>>> ClientImpl::addresses_of(Origin origin, Millis timeout) {
  std::vector<net::IpAddress> addresses;
  if (config_.resolve) {
    if (auto fixed = config_.resolve(origin.host, origin.port)) addresses = std::move(*fixed);
  }
  if (addresses.empty()) {
    auto found = co_await net::resolve(loop_, origin.host, timeout);
    if (!found) co_return fail(Errc::connect_failed, std::string(found.error().message()));
    addresses = std::move(*found);
  }
  if (config_.guard) {
    // One bad address among good ones is an attempt to get past the guard.
    for (const net::IpAddress& a : addresses) OCTROI_CO_CHECK(config_.guard(origin.host, a));
  }
  co_return std::move(addresses);
}

Task<Result<std::unique_ptr<net::Stream>>> ClientImpl::connect(Origin origin, Millis timeout) {
  const Millis deadline = loop_.now() + timeout;
  OCTROI_CO_TRY(const auto addresses, co_await addresses_of(origin, timeout));
  std::string failure = "connect: no time left";
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const Millis left = deadline - loop_.now();
    if (left <= Millis(0)) break;
    // Later addresses get their share of the time.
    const Millis share = left / static_cast<std::int64_t>(addresses.size() - i);
    auto stream =
        co_await net::connect(loop_, {addresses[i], origin.port}, std::max(share, Millis(1)));
    if (!stream) {
      failure = stream.error().message();
      continue;
    }
    if (origin.scheme != "https") co_return std::move(stream);
    auto context = tls();
    if (!context) co_return fail(Errc::tls_failed, std::string(context.error().message()));
    auto secured = co_await net::tls_connect(
        std::move(*stream), *context,
        config_.server_name.empty() ? origin.host : config_.server_name,
        std::max(deadline - loop_.now(), Millis(1)), alpn_of(origin.protocol));
    if (!secured) co_return fail(Errc::tls_failed, std::string(secured.error().message()));
    co_return std::move(secured);
  }
  co_return fail(Errc::connect_failed, std::move(failure));
}

// ---- whole requests
// --------------------------------------------------------------------------------

Task<Result<std::unique_ptr<ClientExchange>>> ClientImpl::send_request(const Request* request,
                                                                       ClientTimeouts timeouts,
                                                                       bool fresh) {
  Origin origin = origin_of(request->url);
  origin.protocol = request->protocol;
  co_return co_await open_with(std::move(origin), timeouts, fresh);
}

namespace {
Task<Result<ResponseHead>> converse(ClientExchange* exchange, const Request* request) {
  RequestHead head;
  head.method = request->method;
  head.target = request->url.target;
  head.authority = request->url.authority();
  head.scheme = request->url.scheme;
  head.headers = request->headers;
  OCTROI_CO_CHECK(co_await exchange->send_head(head, request->body.size()));
  if (!request->body.empty()) {
    OCTROI_CO_CHECK(co_await exchange->write(as_bytes(request->body)));
  }
  OCTROI_CO_CHECK(co_await exchange->finish({}));
  for (;;) {
    OCTROI_CO_TRY(ResponseHead answer, co_await exchange->head());
    if (answer.status >= 200 || answer.status == 101) co_return std::move(answer);
  }
}

/// RFC 9112 section 9.3.1: only what cannot have been acted upon, or may be acted upon twice.
bool may_repeat(const ClientExchange& exchange, const Error& error, std::string_view method) {
  return exchange.reused() && !exchange.answered() && error.is(Errc::closed) &&
         (!exchange.sent() || is_idempotent(method));
}
}  // namespace

Task<Result<std::pair<std::unique_ptr<ClientExchange>, ResponseHead>>> ClientImpl::ask(
    const Request* request, ClientTimeouts timeouts) {
  for (bool fresh = false;; fresh = true) {
    OCTROI_CO_TRY(auto exchange, co_await send_request(request, timeouts, fresh));
    auto head = co_await converse(exchange.get(), request);
    if (head) co_return std::pair(std::move(exchange), std::move(*head));
    if (fresh || !may_repeat(*exchange, head.error(), request->method)) {
      co_return tl::unexpected<Error>(std::move(head).error());
    }
  }
}

Task<Result<Response>> ClientImpl::fetch_all(const Request* request, std::uint64_t max_body,
                                             ClientTimeouts timeouts) {
  OCTROI_CO_TRY(auto answer, co_await ask(request, timeouts));
  Response response;
  response.status = answer.second.status;
  response.headers = std::move(answer.second.headers);
  OCTROI_CO_TRY(response.body, co_await read_all(answer.first->body(), max_body));
  co_return std::move(response);
}

Task<Result<Response>> ClientImpl::fetch(Request request, std::uint64_t max_body, Millis deadline) {
  ClientTimeouts timeouts = config_.timeouts;
  if (deadline > Millis(0)) timeouts.connect = std::min(timeouts.connect, deadline);
  auto response = co_await net::within(loop_, deadline, fetch_all(&request, max_body, timeouts));
  if (!response) co_return fail(Errc::timeout, "no complete answer in time");
  co_return *std::move(response);
}

Task<Result<int>> ClientImpl::stream_lines(Request request,
                                           std::function<Task<bool>(std::string)> on_line,
                                           Millis idle) {
  constexpr std::size_t kMaxLine = 4 * 1024 * 1024;
  ClientTimeouts timeouts = config_.timeouts;
  timeouts.idle = idle;
  timeouts.first_byte = idle;  // a subscription may have nothing to say for long
  OCTROI_CO_TRY(auto answer, co_await ask(&request, timeouts));
  std::string line;
  for (;;) {
    OCTROI_CO_TRY(const ByteView piece, co_await answer.first->body().next());
    if (piece.empty()) break;
    std::string_view text = as_text(piece);
    // The view ends with the next call; lines are copied out before anybody is called.
    std::vector<std::string> lines;
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      line.append(text.substr(0, end));
      if (line.ends_with('\r')) line.pop_back();
      lines.push_back(std::exchange(line, {}));
      text.remove_prefix(end + 1);
    }
    line.append(text);
    if (line.size() > kMaxLine)
      co_return fail(Errc::body_too_large, "a line of the answer is too long");
    for (std::string& whole : lines) {
      if (!co_await on_line(std::move(whole))) co_return answer.second.status;
    }
  }
  if (!line.empty()) std::ignore = co_await on_line(std::move(line));
  co_return answer.second.status;
}

}  // namespace

std::unique_ptr<Client> make_client(net::Loop& loop, ClientConfig config) {
  return std::make_unique<ClientImpl>(loop, std::move(config));
}

}  // namespace octroi::http
