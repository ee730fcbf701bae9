#include "octroi/vault/front.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/http/relay.h"
#include "octroi/http/tunnel.h"
#include "octroi/json/writer.h"
#include "octroi/net/ssrf.h"
#include "octroi/net/timer.h"
#include "octroi/task/group.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kModule = "vault";
constexpr std::string_view kTellPath = "/.well-known/octroi/vault";
constexpr std::size_t kMostLeaves = 256;
constexpr Millis kLeafLife = std::chrono::hours(24);
constexpr Millis kConnectTime{10'000};
constexpr Millis kBlindIdle = std::chrono::minutes(10);
constexpr std::uint64_t kMostPlainBody = 64U << 20;
// Mail, shells and databases are nothing that an agent's HTTP client asks a proxy for.
constexpr std::uint16_t kHttpPort = 80, kHttpsPort = 443;

struct Where {
  std::string host;
  std::uint16_t port = 0;
};

/// "a.example:443", as the parser let it through.
Result<Where> where_of(std::string_view authority, std::uint16_t without) {
  Where out{host_of(authority), without};
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos)
    return out;
  const std::string_view digits = authority.substr(colon + 1);
  std::uint32_t port = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || digits.size() > 5) return fail(Errc::ambiguous, "this is no port");
    port = port * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (port == 0 || port > 65'535) return fail(Errc::ambiguous, "this is no port");
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

/// An answer of the proxy itself, which is no vendor's.
Task<void> say(http::Exchange* exchange, int status, std::string code, std::string message) {
  http::ResponseHead head;
  head.status = status;
  head.headers.add("Content-Type", "application/json");
  if (status == 407) head.headers.add("Proxy-Authenticate", "Basic realm=\"octroi vault\"");
  if (status == 401) head.headers.add("WWW-Authenticate", "Bearer realm=\"octroi vault\"");
  json::Writer w;
  w.begin_object().key("error").begin_object();
  w.field("code", code).field("message", message).end_object().end_object();
  std::ignore = co_await exchange->respond(std::move(head), std::move(w).take() + "\n");
}

Task<void> say(http::Exchange* exchange, int status, Error error) {
  co_await say(exchange, status, std::string(error.code()), std::string(error.message()));
}

Task<Result<std::unique_ptr<net::Stream>>> connect_public(net::Loop* loop, std::string host,
                                                          std::uint16_t port) {
  OCTROI_CO_CHECK(net::check_public_host(host));
  OCTROI_CO_TRY(const auto addresses, co_await net::resolve(*loop, host, kConnectTime));
  OCTROI_CO_CHECK(net::check_public(addresses));
  Result<std::unique_ptr<net::Stream>> stream = fail(net::SsrfErrc::no_address);
  for (const net::IpAddress& address : addresses) {
    stream = co_await net::connect(*loop, net::Endpoint{address, port}, kConnectTime);
    if (stream) break;
  }
  co_return stream;
}

std::unique_ptr<http::Client> public_client(net::Loop& loop) {
  http::ClientConfig config;
  config.guard = [](const std::string& host, const net::IpAddress& address) -> Result<> {
    OCTROI_CHECK(net::check_public_host(host));
    return net::check_public(address);
  };
  return http::make_client(loop, std::move(config));
}

/// Where one may go that is no vendor's.
Result<> check_other(bool any, const std::string& host, std::uint16_t port) {
  if (!any)
    return fail(Errc::denied, fmt::format("{} is no vendor of this vault, and others are refused "
                                          "(vault.proxy.others)",
                                          host));
  if (port != kHttpPort && port != kHttpsPort)
    return fail(Errc::denied, "other hosts are reached on ports 80 and 443 only");
  return net::check_public_host(host);
}

/// The run, as the user name beside the key has it: rows are not to hold what no call could say.
Result<std::string> run_beside(const ledger::VaultKey& key, std::string_view name) {
  auto run = run_of({}, name);
  if (!run)
    return fail(Errc::ambiguous,
                "the user name beside the vault key is the run: one word of at most 128 letters");
  if (!key.run.empty() && !run->empty() && *run != key.run)
    return fail(Errc::wrong_run, "this vault key is bound to another run");
  return run;
}

template <class T>
Task<void> into(Task<T> work, std::optional<T>* result) {
  result->emplace(co_await std::move(work));
}

}  // namespace

Front::Dial Front::public_dial() { return connect_public; }

struct Front::Passage : net::Timer {
  Passage(Front& f, http::Exchange& e, std::string id)
      : Timer([](Timer& t) { static_cast<Passage&>(t).end(); }),
        front(f),
        exchange(e),
        key_id(std::move(id)) {
    front.passages_.push_back(this);
  }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;
  ~Passage() { front.passages_.remove(this); }
  void end_when_over(const KeyBook& book, const ledger::VaultKey& key, UnixMillis now) noexcept {
    stop();
    if (const auto expires = book.end_of(key)) front.loop_.timers().start(*this, *expires - now);
  }
  /// The exchange first: it may be about to send what the work holds.
  void end() noexcept {
    exchange.abort();
    work.cancel();
  }
  Front& front;
  http::Exchange& exchange;
  std::string key_id;
  TaskGroup work;
};

Front::Front(net::Loop& loop, Shared& shared, Broker& broker,
             std::shared_ptr<const Snapshot> snapshot, std::shared_ptr<const KeyBook> book,
             std::shared_ptr<const net::TlsAuthority> authority, Dial dial,
             std::unique_ptr<http::Client> plain)
    : loop_(loop),
      shared_(shared),
      broker_(broker),
      snapshot_(std::move(snapshot)),
      book_(std::move(book)),
      authority_(std::move(authority)),
      enabled_(snapshot_->settings.proxy.enabled),
      dial_(std::move(dial)),
      plain_(plain != nullptr ? std::move(plain) : public_client(loop)) {
  if (authority_ != nullptr)
    leaves_.emplace(authority_, kMostLeaves, kLeafLife, std::vector<std::string>{"h2", "http/1.1"});
}

Front::~Front() = default;

void Front::publish(std::shared_ptr<const Snapshot> snapshot) { snapshot_ = std::move(snapshot); }

void Front::publish(std::shared_ptr<const KeyBook> book) {
  book_ = std::move(book);
  const UnixMillis now = shared_.clock.now();
  const RunScope scope;  // whoever waits for one of them, and leaves the list, goes on afterwards
  for (Passage* passage : passages_) {
    const ledger::VaultKey* key = book_->by_id(passage->key_id);
    if (key != nullptr && book_->check(*key, now)) {
      passage->end_when_over(*book_, *key, now);
    } else {
      passage->end();
    }
  }
}

Task<void> Front::handle(http::Exchange& exchange, http::Server& server) {
  const http::RequestHead& head = exchange.request();
  if (head.method == "CONNECT") {
    if (enabled_) {
      co_await connect(exchange, server);
    } else {
      co_await say(&exchange, 403, "vault.no-proxy", "vault.proxy.enabled is off here");
    }
    co_return;
  }
  if (!head.absolute && head.path() == kTellPath) {
    co_await tell(exchange);
    co_return;
  }
  const net::Endpoint self = server.local();
  const bool own =
      head.authority == self.str() || head.authority == fmt::format("localhost:{}", self.port);
  if (!head.absolute || own || !enabled_) {
    co_await broker_.handle(exchange);
    co_return;
  }
  auto key = take_proxy_key(exchange.request().headers);
  if (!key) {
    co_await say(&exchange, 407, std::move(key).error());
    co_return;
  }
  if (snapshot_->by_host(host_of(head.authority)).empty()) {
    co_await forward_plain(exchange, std::move(*key));
    co_return;
  }
  Via via;
  if (*key) via.key = std::make_shared<const ProxyKey>(std::move(**key));
  count("absolute");
  co_await broker_.handle(exchange, std::move(via));
}

Task<void> Front::connect(http::Exchange& exchange, http::Server& server) {
  const auto where = where_of(exchange.request().target, kHttpsPort);
  if (!where) {
    co_await say(&exchange, 400, where.error());
    co_return;
  }
  auto key = take_proxy_key(exchange.request().headers);
  if (!key) {
    co_await say(&exchange, 407, std::move(key).error());
    co_return;
  }
  if (snapshot_->by_host(where->host).empty()) {
    co_await tunnel_blindly(exchange, where->host, where->port, std::move(*key));
    co_return;
  }
  Via via{where->host, nullptr};
  if (*key) via.key = std::make_shared<const ProxyKey>(std::move(**key));
  co_await intercept(exchange, server, where->host, std::move(via));
}

/// Answers as the vendor. Whoever comes without a key is told so by each answer inside, in words
/// that the vendor's SDK understands.
Task<void> Front::intercept(http::Exchange& exchange, http::Server& server, std::string host,
                            Via via) {
  if (!leaves_) {
    co_await say(&exchange, 501, "vault.no-authority",
                 "name a file for the authority of this proxy: vault.proxy.ca_file");
    co_return;
  }
  auto leaf = leaves_->context_for(host, shared_.clock.now());
  if (!leaf) {
    OCTROI_LOG(error, kModule, "no certificate for a vendor's host",
               {{"host", host}, {"error", leaf.error().message()}});
    co_await say(&exchange, 502, "vault.no-authority", "no certificate can be made");
    co_return;
  }
  auto inside = co_await exchange.tunnel({});
  if (!inside) co_return;
  count("intercepted");
  co_await server.serve_inside(
      std::move(*inside), std::move(*leaf),
      [broker = &broker_, via](http::Exchange& e) { return broker->handle(e, via); });
}

/// Of the pair of a key that signs, shown as it was given.
const ledger::VaultKey* Front::signer_of(const Shown& shown) const {
  const auto& master = snapshot_->settings.signer_master;
  if (!shown.basic || master == nullptr) return nullptr;
  const ledger::VaultKey* key = book_->by_signer(shown.name.reveal_text());
  return key != nullptr && signer_secret(*master, key->id).equals(shown.text) ? key : nullptr;
}

Result<const ledger::VaultKey*> Front::key_of(const http::Exchange& exchange,
                                              const Shown& shown) const {
  const ledger::VaultKey* key = signer_of(shown);
  if (key == nullptr) {
    OCTROI_TRY(const PresentedKey presented, shown.read());
    key = book_->find(presented);
  }
  if (key == nullptr) return fail(Errc::unknown_key, "this vault key is not known here");
  if (key->canary) shared_.canary_used("", key->id, exchange.peer());
  OCTROI_CHECK(book_->check(*key, shared_.clock.now()));
  return key;
}

Task<Result<>> Front::write_down(http::Exchange& exchange, const ledger::VaultKey& key,
                                 std::string run, std::string where, std::string reason) {
  audit::Event e;
  e.kind = "tunnel.open";
  e.id = "tunnel_" + to_hex(shared_.random.bytes<12>());
  e.run = key.run.empty() ? std::move(run) : key.run;
  e.agent = key.agent;
  e.key_id = key.id;
  e.key_name = key.name;
  e.server = key.server;
  e.method = exchange.request().method;
  e.path = std::move(where);
  e.verdict = reason.empty() ? audit::Verdict::allowed : audit::Verdict::denied;
  e.reason = std::move(reason);
  e.client = exchange.peer().address.str();
  e.user_agent = std::string(exchange.request().headers.get("user-agent").value_or(""));
  auto written = co_await shared_.journal.append(std::move(e));
  if (written) co_return Result<>{};
  OCTROI_LOG(error, kModule, "no audit row, no tunnel", {{"error", written.error().message()}});
  co_return fail(Errc::unavailable, "the audit journal cannot be written; nothing was opened");
}

/// Whether this client may go to a host that is no vendor's; answers when it may not.
Task<Result<std::string>> Front::admit_other(http::Exchange& exchange, std::string host,
                                             std::uint16_t port, std::string where,
                                             const std::optional<ProxyKey>* shown) {
  const bool may = snapshot_->settings.proxy.tunnels_others;
  if (shared_.is_stale(loop_.now())) {
    co_await say(&exchange, 503, "vault.unavailable",
                 "the state of vault keys cannot be confirmed");
    co_return fail(Errc::unavailable);
  }
  Result<const ledger::VaultKey*> key =
      *shown ? key_of(exchange, (**shown).shown)
             : fail(Errc::no_key, "show a vault key in Proxy-Authorization (in the proxy's URL)");
  if (key && !book_->allows(**key, exchange.peer().address.address))
    key = fail(Errc::denied, "this vault key may not be used from this address");
  if (!key && may) {
    count("refused");
    co_await say(&exchange, 407, key.error());
    co_return fail(key.error());
  }
  Result<> good = check_other(may, host, port);
  std::string id;  // the book may be another when the row is written
  if (key) {
    auto run = run_beside(**key, (**shown).run);
    if (good && !run) good = fail(run.error());
    id = (**key).id;
    auto written =
        co_await write_down(exchange, **key, std::move(run).value_or(""), std::move(where),
                            good ? std::string() : std::string(good.error().code()));
    if (!written) {
      co_await say(&exchange, 503, written.error());
      co_return fail(std::move(written).error());
    }
  }
  if (good) co_return id;
  count("refused");
  co_await say(&exchange, good.error().is(Errc::ambiguous) ? 400 : 403, good.error());
  co_return fail(std::move(good).error());
}

Task<Result<>> Front::while_open(http::Exchange& exchange, std::string key_id, Task<void> work) {
  if (shared_.is_stale(loop_.now()))
    co_return fail(Errc::unavailable, "the state of vault keys cannot be confirmed");
  const UnixMillis now = shared_.clock.now();
  const ledger::VaultKey* key = book_->by_id(key_id);
  if (key == nullptr)
    co_return fail(Errc::unknown_key, "this vault key is not known here any more");
  OCTROI_CO_CHECK(book_->check(*key, now));
  Passage passage(*this, exchange, std::move(key_id));
  passage.end_when_over(*book_, *key, now);
  passage.work.start(std::move(work));
  co_await passage.work.join();
  co_return Result<>{};
}

Task<void> Front::tunnel_blindly(http::Exchange& exchange, std::string host, std::uint16_t port,
                                 std::optional<ProxyKey> shown) {
  const auto key_id =
      co_await admit_other(exchange, host, port, fmt::format("{}:{}", host, port), &shown);
  if (!key_id) co_return;
  auto upstream = co_await dial_(&loop_, host, port);
  if (!upstream) {
    co_await say(&exchange, 502, upstream.error());
    co_return;
  }
  auto client = co_await exchange.tunnel({});
  if (!client) co_return;
  count("blind");
  std::optional<http::TunnelResult> moved;
  std::ignore = co_await while_open(
      exchange, *key_id,
      into(http::tunnel(std::move(*client), std::move(*upstream), kBlindIdle), &moved));
}

/// A request in absolute-form to a host that is no vendor's: on the way there in clear text or not,
/// as its scheme says.
Task<void> Front::forward_plain(http::Exchange& exchange, std::optional<ProxyKey> shown) {
  http::RequestHead& head = exchange.request();
  const auto where = where_of(head.authority, head.scheme == "https" ? kHttpsPort : kHttpPort);
  if (!where) {
    co_await say(&exchange, 400, where.error());
    co_return;
  }
  std::string target = head.authority + std::string(head.path());
  const auto key_id =
      co_await admit_other(exchange, where->host, where->port, std::move(target), &shown);
  if (!key_id) co_return;
  count("plain");
  http::RelayOptions options;
  options.upstream = {head.scheme, where->host, where->port};
  options.host = head.authority;
  options.max_body = kMostPlainBody;
  std::optional<http::RelayResult> result;
  const auto begun = co_await while_open(
      exchange, *key_id, into(http::relay(exchange, *plain_, std::move(options)), &result));
  if (!begun) {
    co_await say(&exchange, begun.error().is(Errc::unavailable) ? 503 : 407, begun.error());
  } else if (result && (result->state == http::RelayState::refused ||
                        result->state == http::RelayState::failed)) {
    co_await say(&exchange, 502, result->error ? *result->error : Error(Errc::upstream_failed));
  }
}

/// What a program must know that starts another one behind this vault.
Task<void> Front::tell(http::Exchange& exchange) {
  http::RequestHead& head = exchange.request();
  Form query;
  auto shown = take_key(head, query, nullptr);
  Result<const ledger::VaultKey*> key =
      shown ? key_of(exchange, *shown) : Result<const ledger::VaultKey*>(fail(shown.error()));
  if (!key) {
    co_await say(&exchange, 401, key.error());
    co_return;
  }
  const Vendor* vendor = snapshot_->by_name((**key).vendor);
  if (vendor == nullptr || head.method != "GET") {
    co_await say(&exchange, 404, "vault.unknown-vendor", "the key's vendor is not configured");
    co_return;
  }
  json::Writer w;
  w.begin_object().field("id", (**key).id);
  w.field("vendor", vendor->settings.name).field("pack", vendor->settings.pack);
  w.field("mode", (**key).live ? "live" : "test");
  w.key("hosts").begin_array();
  for (const std::string& host : vendor->pack->hosts()) w.string(host);
  for (const std::string& host : vendor->settings.hosts) w.string(host);
  for (const Vendor& door : snapshot_->doors) {
    if (door.api != vendor) continue;
    for (const std::string& host : door.pack->hosts()) w.string(host);
  }
  w.end_array();
  w.key("unset").begin_array();
  for (const Vendor& v : snapshot_->vendors) {
    if (!v.settings.credential_env.empty()) w.string(v.settings.credential_env);
  }
  w.end_array();
  w.field("others", snapshot_->settings.proxy.tunnels_others ? "tunnel" : "refuse");
  w.key("ca");
  if (enabled_ && authority_ != nullptr) {
    w.string(authority_->certificate_pem());
  } else {
    w.null();
  }
  w.end_object();
  http::ResponseHead answer;
  answer.headers.add("Content-Type", "application/json");
  answer.headers.add("Cache-Control", "no-store");
  std::ignore = co_await exchange.respond(std::move(answer), std::move(w).take() + "\n");
}

void Front::count(std::string_view kind) {
  shared_.metrics
      .counter("octroi_vault_proxy_requests_total",
               "What came as to a proxy, by what became of it.", {{"kind", std::string(kind)}})
      .add();
}

}  // namespace octroi::vault
