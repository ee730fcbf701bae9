// OpenSSL over any Stream: a BIO whose read and write are the stream's own, so that the socket
// keeps its rules (no SIGPIPE, no read of a drained socket) and tests can run TLS in memory.
#include "octroi/net/tls.h"

#include <algorithm>
#include <cstring>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "octroi/base/deleter.h"
#include "octroi/net/tls_pem.h"
#include "octroi/net/tls_server_context.h"
#include "octroi/net/wait_slot.h"

namespace octroi::net {

namespace {

using SslPtr = std::unique_ptr<SSL, Deleter<SSL_free>>;
using CtxPtr = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;

/// The newest entry of OpenSSL's error queue in words; empties the queue.
std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no detail";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown";
}

std::vector<CertPtr> read_certificates(std::string_view pem) {
  std::vector<CertPtr> found;
  const BioPtr bio = reader(pem);
  while (bio) {
    CertPtr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) break;
    found.push_back(std::move(certificate));
  }
  ERR_clear_error();
  return found;
}

/// ALPN's wire form: each name with its length before it.
std::string alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) continue;
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

void common_settings(SSL_CTX* ctx) {
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(
      ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Forward secrecy and authenticated encryption only; TLS 1.3 suites are all of that kind.
  SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1);  // a record costs one system call instead of two
}

}  // namespace

// ---- contexts
// --------------------------------------------------------------------------------------

namespace {

class ServerContext final : public TlsServerContext {
 public:
  CtxPtr ctx;
  std::string alpn;
};

class ClientContext final : public TlsClientContext {
 public:
  CtxPtr ctx;
  CertPtr pinned;
};

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned offered_size, void* self) {
  const auto& wire = static_cast<const ServerContext*>(self)->alpn;
  unsigned char* chosen = nullptr;
  const int how =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()), offered, offered_size);
  if (how != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Result<std::shared_ptr<ServerContext>> server_context(X509* certificate, EVP_PKEY* key,
                                                      std::vector<std::string> alpn) {
  auto context = std::make_shared<ServerContext>();
  context->ctx.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* ctx = context->ctx.get();
  if (ctx == nullptr) return fail(Errc::system, "tls: " + last_error());
  common_settings(ctx);
  if (SSL_CTX_use_certificate(ctx, certificate) != 1) {
    return fail(Errc::tls_certificate, "tls.cert: " + last_error());
  }
  if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    ERR_clear_error();
    return fail(Errc::tls_certificate,
                "tls.key does not belong to the first certificate of tls.cert");
  }
  static constexpr std::string_view kSessionContext = "octroi";
  SSL_CTX_set_session_id_context(
      ctx, reinterpret_cast<const unsigned char*>(kSessionContext.data()), kSessionContext.size());
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets carry the state
  SSL_CTX_set_num_tickets(ctx, 1);
  context->alpn = alpn_wire(alpn);
  if (!context->alpn.empty()) SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, context.get());
  return context;
}

}  // namespace

Result<std::shared_ptr<const TlsServerContext>> make_tls_server(
    std::string_view certificate_chain_pem, const Secret& key_pem, std::vector<std::string> alpn) {
  auto chain = read_certificates(certificate_chain_pem);
  if (chain.empty()) return fail(Errc::tls_certificate, "tls.cert: no PEM certificate found");
  const BioPtr key_bio = reader(key_pem.reveal_text());
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
  if (!key)
    return fail(Errc::tls_certificate, "tls.key: no unencrypted PEM private key: " + last_error());
  OCTROI_TRY(auto context, server_context(chain[0].get(), key.get(), std::move(alpn)));
  for (std::size_t i = 1; i < chain.size(); ++i)
    SSL_CTX_add1_chain_cert(context->ctx.get(), chain[i].get());
  return context;
}

Result<std::shared_ptr<const TlsServerContext>> make_tls_server_of(X509* certificate, EVP_PKEY* key,
                                                                   std::vector<std::string> alpn) {
  OCTROI_TRY(auto context, server_context(certificate, key, std::move(alpn)));
  return context;
}

Result<std::shared_ptr<const TlsClientContext>> make_tls_client(TlsClientOptions options) {
  auto context = std::make_shared<ClientContext>();
  context->ctx.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* ctx = context->ctx.get();
  if (ctx == nullptr) return fail(Errc::system, "tls: " + last_error());
  common_settings(ctx);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  if (!options.pinned_certificate_pem.empty()) {
    auto pinned = read_certificates(options.pinned_certificate_pem);
    if (pinned.empty())
      return fail(Errc::tls_certificate, "the pinned certificate is not a PEM certificate");
    context->pinned = std::move(pinned[0]);
  } else if (!options.ca_pem.empty()) {
    auto authorities = read_certificates(options.ca_pem);
    if (authorities.empty())
      return fail(Errc::tls_certificate, "the CA file holds no PEM certificate");
    X509_STORE* store = SSL_CTX_get_cert_store(ctx);
    for (const CertPtr& ca : authorities) X509_STORE_add_cert(store, ca.get());
  } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
    return fail(Errc::tls_certificate,
                "the system's certificate store cannot be read: " + last_error());
  }
  ERR_clear_error();
  const std::string wire = alpn_wire(options.alpn);
  if (!wire.empty()) {
    SSL_CTX_set_alpn_protos(ctx, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()));
  }
  return context;
}

// ---- the stream
// ------------------------------------------------------------------------------------

namespace {

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  auto& stream = *static_cast<Stream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ByteView part(reinterpret_cast<const std::uint8_t*>(data), size);
  const IoResult r = stream.write_now({&part, 1});
  *written = r.size;
  if (r.status == IoStatus::would_block) BIO_set_retry_write(bio);
  return r.status == IoStatus::ok ? 1 : 0;
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
  auto& stream = *static_cast<Stream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const IoResult r = stream.read_now({reinterpret_cast<std::uint8_t*>(data), size});
  *got = r.size;
  if (r.status == IoStatus::would_block) BIO_set_retry_read(bio);
  if (r.status == IoStatus::eof) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return r.status == IoStatus::ok ? 1 : 0;
}

long bio_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default:
      return 0;
  }
}

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* stream_bio() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "octroi stream");
    BIO_meth_set_write_ex(m, bio_write);
    BIO_meth_set_read_ex(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, bio_create);
    return m;
  }();
  return method;
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Stream> inner, SSL_CTX* ctx, std::shared_ptr<const void> context)
      : context_(std::move(context)), inner_(std::move(inner)), ssl_(SSL_new(ctx)) {
    if (!ssl_) throw std::bad_alloc();
    BIO* bio = BIO_new(stream_bio());
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, inner_.get());
    SSL_set_bio(ssl_.get(), bio, bio);
  }
  ~TlsStream() override { close(); }

  Task<Result<>> handshake(Millis timeout);

  IoResult read_now(std::span<std::uint8_t> into) override;
  IoResult write_now(std::span<const ByteView> parts) override;
  void shutdown_write() override {
    if (!broken_ && !shut_) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());  // our close_notify; the peer's may come later
      ERR_clear_error();
    }
    shut_ = true;
    inner_->shutdown_write();
  }
  void close() noexcept override;
  [[nodiscard]] Endpoint peer() const override { return inner_->peer(); }
  [[nodiscard]] Loop& loop() override { return inner_->loop(); }
  [[nodiscard]] bool is_tls() const override { return true; }
  [[nodiscard]] bool peer_gone() noexcept override;
  [[nodiscard]] std::string_view alpn() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  void arm(Direction direction, Waiter& waiter, Millis timeout) override;
  void disarm(Direction direction) noexcept override { slot(direction).disarm(); }

  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

 private:
  /// A wait on the socket under TLS. Either kind may serve reader and writer: a read of TLS can
  /// need the socket to take bytes first.
  struct Inner : Waiter {
    Inner(TlsStream& t, Direction d)
        : Waiter([](Waiter& w) { static_cast<Inner&>(w).fire(); }), tls(t), direction(d) {}
    void fire() {
      armed = false;
      tls.on_inner(direction);
    }
    TlsStream& tls;
    Direction direction;
    bool armed = false;
  };

  IoResult outcome(int code, Direction direction);
  void on_inner(Direction direction);
  [[nodiscard]] WaitSlot& slot(Direction d) { return slots_[static_cast<std::size_t>(d)]; }
  [[nodiscard]] Direction& needs(Direction d) { return needs_[static_cast<std::size_t>(d)]; }

  std::shared_ptr<const void> context_;
  std::unique_ptr<Stream> inner_;
  SslPtr ssl_;
  std::array<WaitSlot, 2> slots_;
  std::array<Direction, 2> needs_ = {Direction::read, Direction::write};
  std::array<Inner, 2> inner_waits_{{{*this, Direction::read}, {*this, Direction::write}}};
  bool closed_ = false;
  bool broken_ = false;  // OpenSSL allows no further call after a fatal error
  bool shut_ = false;
};

/// What SSL_read, SSL_write or SSL_do_handshake meant by not succeeding.
IoResult TlsStream::outcome(int code, Direction direction) {
  switch (SSL_get_error(ssl_.get(), code)) {
    case SSL_ERROR_WANT_READ:
      needs(direction) = Direction::read;
      return {IoStatus::would_block};
    case SSL_ERROR_WANT_WRITE:
      needs(direction) = Direction::write;
      return {IoStatus::would_block};
    case SSL_ERROR_ZERO_RETURN:
      return {IoStatus::eof};
    default:
      // Among them an end without close_notify: an attacker can cut a connection, so it is no end.
      broken_ = true;
      ERR_clear_error();
      return {IoStatus::error, 0, Errc::reset};
  }
}

IoResult TlsStream::read_now(std::span<std::uint8_t> into) {
  if (closed_) return {IoStatus::error, 0, Errc::closed};
  if (broken_) return {IoStatus::error, 0, Errc::reset};
  ERR_clear_error();
  std::size_t got = 0;
  const int code = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
  if (code == 1) return {IoStatus::ok, got};
  return outcome(code, Direction::read);
}

IoResult TlsStream::write_now(std::span<const ByteView> parts) {
  if (closed_ || shut_) return {IoStatus::error, 0, Errc::closed};
  if (broken_) return {IoStatus::error, 0, Errc::reset};
  // A record is at most 16 KiB: small parts (a head and its body) share one.
  constexpr std::size_t kRecord = 16 * 1024;
  ByteView first;
  std::size_t total = 0;
  for (const ByteView& part : parts) {
    if (first.empty()) first = part;
    total += part.size();
  }
  if (total == 0) return {IoStatus::ok, 0};
  std::array<std::uint8_t, kRecord> joined;
  if (first.size() < total && first.size() < kRecord) {
    std::size_t size = 0;
    for (const ByteView& part : parts) {
      const std::size_t n = std::min(part.size(), kRecord - size);
      std::copy_n(part.begin(), n, joined.begin() + static_cast<std::ptrdiff_t>(size));
      size += n;
    }
    first = {joined.data(), size};
  }
  ERR_clear_error();
  std::size_t put = 0;
  const int code = SSL_write_ex(ssl_.get(), first.data(), first.size(), &put);
  if (code == 1) return {IoStatus::ok, put};
  IoResult result = outcome(code, Direction::write);
  if (result.status == IoStatus::eof) result = {IoStatus::error, 0, Errc::reset};
  return result;
}

void TlsStream::close() noexcept {
  if (closed_) return;
  if (!broken_ && !shut_ && SSL_is_init_finished(ssl_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // what fits; nobody waits for it
    ERR_clear_error();
  }
  closed_ = true;
  for (Inner& wait : inner_waits_) {
    if (wait.armed && !wait.queued()) inner_->disarm(wait.direction);
    wait.cancel();
    wait.armed = false;
  }
  inner_->close();
  for (WaitSlot& s : slots_) s.fail_later(loop(), Errc::closed);
}

bool TlsStream::peer_gone() noexcept {
  if (closed_ || broken_) return true;
  ERR_clear_error();
  char byte = 0;
  std::size_t got = 0;
  const int code = SSL_peek_ex(ssl_.get(), &byte, 1, &got);
  if (code == 1) return false;
  const IoStatus status = outcome(code, Direction::read).status;
  return status == IoStatus::eof || status == IoStatus::error;
}

void TlsStream::arm(Direction direction, Waiter& waiter, Millis timeout) {
  slot(direction).arm(loop(), waiter, timeout);
  if (closed_) {
    slot(direction).fail_later(loop(), Errc::closed);
    return;
  }
  Inner& wait = inner_waits_[static_cast<std::size_t>(needs(direction))];
  if (wait.armed) return;
  wait.armed = true;
  inner_->arm(wait.direction, wait, Millis(0));
}

void TlsStream::on_inner(Direction direction) {
  // Both may have waited for this; the second is woken from the loop, as the first may destroy us.
  const bool reader = needs(Direction::read) == direction && slot(Direction::read).armed();
  const bool writer = needs(Direction::write) == direction && slot(Direction::write).armed();
  if (reader && writer) slot(Direction::write).succeed_later(loop());
  if (reader) {
    slot(Direction::read).wake();
  } else if (writer) {
    slot(Direction::write).wake();
  }
}

Task<Result<>> TlsStream::handshake(Millis timeout) {
  const Millis deadline = loop().now() + timeout;
  for (;;) {
    ERR_clear_error();
    const int code = SSL_do_handshake(ssl_.get());
    if (code == 1) break;
    const int why = SSL_get_error(ssl_.get(), code);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      const long verdict = SSL_get_verify_result(ssl_.get());
      broken_ = true;
      if (verdict != X509_V_OK) {
        ERR_clear_error();
        co_return fail(Errc::tls_certificate, X509_verify_cert_error_string(verdict));
      }
      co_return fail(Errc::tls_handshake, "TLS handshake: " + last_error());
    }
    const Direction need = why == SSL_ERROR_WANT_READ ? Direction::read : Direction::write;
    needs(need) = need;
    Millis left{0};
    if (timeout > Millis(0)) {
      left = deadline - loop().now();
      if (left <= Millis(0)) co_return fail(Errc::timeout, "TLS handshake: no answer in time");
    }
    OCTROI_CO_CHECK(co_await ready(need, left));
  }
  co_return Result<>{};
}

/// Accepts exactly the pinned certificate, so its name and issuer do not matter.
int verify_pinned(int, X509_STORE_CTX* store) {
  const SSL* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* pinned = static_cast<const X509*>(SSL_get_app_data(ssl));
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (leaf != nullptr && X509_cmp(leaf, pinned) == 0) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> tls_accept(std::unique_ptr<Stream> tcp,
                                                 std::shared_ptr<const TlsServerContext> context,
                                                 Millis timeout) {
  SSL_CTX* ctx = static_cast<const ServerContext&>(*context).ctx.get();
  auto stream = std::make_unique<TlsStream>(std::move(tcp), ctx, std::move(context));
  SSL_set_accept_state(stream->ssl());
  OCTROI_CO_CHECK(co_await stream->handshake(timeout));
  co_return std::unique_ptr<Stream>(std::move(stream));
}

Task<Result<std::unique_ptr<Stream>>> tls_connect(std::unique_ptr<Stream> tcp,
                                                  std::shared_ptr<const TlsClientContext> context,
                                                  std::string name, Millis timeout,
                                                  std::vector<std::string> alpn) {
  const auto& settings = static_cast<const ClientContext&>(*context);
  auto stream = std::make_unique<TlsStream>(std::move(tcp), settings.ctx.get(), context);
  SSL* ssl = stream->ssl();
  SSL_set_connect_state(ssl);
  if (const std::string wire = alpn_wire(alpn); !wire.empty()) {
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  const bool is_address = IpAddress::parse(name).has_value();
  if (!is_address) SSL_set_tlsext_host_name(ssl, name.c_str());
  if (settings.pinned) {
    SSL_set_app_data(ssl, settings.pinned.get());
    SSL_set_verify(ssl, SSL_VERIFY_PEER, verify_pinned);
  } else if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name.c_str()) != 1) {
      ERR_clear_error();
      co_return fail(Errc::tls_certificate, "not a host name: " + name);
    }
  }
  if (auto done = co_await stream->handshake(timeout); !done) {
    co_return tl::unexpected<Error>(std::move(done).error().within("TLS to " + name));
  }
  co_return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace octroi::net
