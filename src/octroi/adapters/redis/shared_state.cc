#include "octroi/adapters/redis/shared_state.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/net/deadline.h"

namespace octroi::redis {
namespace {

using ledger::Room;
using ledger::SharedErrc;
using ledger::UnpaidPlace;
using std::chrono::steady_clock;

constexpr std::string_view kModule = "shared";
constexpr Millis kShortestPause{50};
constexpr Millis kListenHeartbeat{500};
constexpr Millis kLedgerDeadline{2'000};
constexpr std::size_t kRestoreAtOnce = 128;
constexpr std::string_view kName = "octroi.shared-name";
constexpr std::string_view kNewestEpoch = "octroi.shared-epoch";
constexpr std::int64_t kForgotten = -1;
constexpr std::int64_t kSettling = -2;

tl::unexpected<Error> unavailable(std::string_view why) {
  return fail(SharedErrc::unavailable, fmt::format("redis: {}", why));
}

/// Names of buckets and clients have any length and any bytes; their keys do not.
std::string short_name(std::string_view text) {
  return to_base64url(ByteView(crypto::sha256(as_bytes(text))).first(16));
}

std::string client_key(const UnpaidPlace& place) { return "u:" + short_name(place.client); }
std::string owner_key(const PaymentHash& hash) {
  return "o:" + to_base64url(ByteView(hash.bytes()).first(16));
}
std::string member_of(const PaymentHash& hash) { return "h" + to_base64url(hash.bytes()); }

std::string digits(std::int64_t n) { return fmt::format("{}", n); }

std::int64_t to_number(std::string_view text) {
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

/// Its own words may repeat what it was sent; ours do not.
Error refusal(std::string_view doing, const Reply& reply) {
  const std::string_view code = reply.code();
  const std::string_view why =
      code == "WRONGPASS" || code == "NOAUTH"
          ? "set shared_password, and the user in the URL of shared"
      : code == "NOPERM"   ? "its user may not do this; see docs/operations.md for what it needs"
      : code == "OOM"      ? "its memory is full"
      : code == "LOADING"  ? "it is still reading its data"
      : code == "READONLY" ? "it is a replica that takes no writes"
      : code == "MOVED"    ? "another node of the cluster has this"
                           : "see its log";
  return {Errc::refused,
          fmt::format("redis: {} was refused ({}): {}", doing, code.empty() ? "ERR" : code, why)};
}

}  // namespace

RedisState::RedisState(net::Loop& loop, RedisOptions options, ledger::Store& store, Random& random,
                       MetricRegistry& metrics, Hearing hearing)
    : loop_(loop),
      options_(std::move(options)),
      store_(store),
      random_(random),
      hearing_(std::move(hearing)),
      is_up_(metrics.gauge("octroi_shared_up", "Whether the shared Redis answers")),
      forgotten_(metrics.counter("octroi_shared_forgotten_total",
                                 "Times that the shared Redis had lost its memory")),
      errors_(metrics.counter("octroi_shared_errors_total",
                              "Questions to the shared Redis that got no answer")) {
  for (const Script s : kAllScripts) {
    seconds_.at(static_cast<std::size_t>(s)) =
        &metrics.histogram("octroi_shared_seconds", "Time of a question to the shared Redis",
                           {{"operation", std::string(name_of(s))}});
  }
  if (options_.password) redactor().add(*options_.password);
}

RedisState::~RedisState() = default;

// --- the port, on any loop

Task<RedisState::Answer> RedisState::ask(Job job) {
  if (!answers_.load(std::memory_order_acquire)) {
    errors_.add();
    co_return unavailable("it cannot be reached");
  }
  net::Loop* here = net::Loop::current();
  if (here == nullptr) co_return unavailable("asked outside a loop");
  const auto began = steady_clock::now();
  const auto script = static_cast<std::size_t>(job.script);
  Hop<Answer> hop(*here, unavailable("octroi is stopping"));
  loop_.post([this, j = std::move(job), give = hop.giver()]() mutable {
    jobs_.start(serve(std::move(j), std::move(give)));
  });
  auto answer = co_await hop.get();
  if (!answer) errors_.add();
  seconds_.at(script)->observe_micros(
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began).count());
  co_return answer;
}

Task<Result<Room>> RedisState::room_of(Job job) {
  OCTROI_CO_TRY(const Reply reply, co_await ask(std::move(job)));
  if (reply.at(0) == kSettling) co_return unavailable("it has just lost its memory");
  co_return Room{reply.at(0) == 1, Millis(std::max<std::int64_t>(reply.at(1), 1))};
}

void RedisState::post(Job job) {
  if (!answers_.load(std::memory_order_acquire)) return;
  loop_.post([this, j = std::move(job)]() mutable { jobs_.start(serve_unheard(std::move(j))); });
}

Task<Result<Room>> RedisState::take_rates(std::vector<ledger::RateBucket> buckets) {
  Job job;
  job.with_born = true;
  for (const auto& b : buckets) {
    if (b.requests <= 0) continue;
    const std::int64_t unit = std::max<std::int64_t>(1, b.per.count());
    std::string key =
        "r:" + short_name(fmt::format("{}\n{}\n{}\n{}", b.requests, unit, b.burst, b.name));
    if (std::ranges::find(job.keys, key) != job.keys.end()) continue;
    job.keys.push_back(std::move(key));
    job.words.push_back(digits(b.requests));
    job.words.push_back(digits(unit));
    job.words.push_back(digits((b.burst > 0 ? b.burst : b.requests) * unit));
  }
  if (job.keys.empty()) co_return Room{};
  co_return co_await room_of(std::move(job));
}

Task<Result<Room>> RedisState::reserve_unpaid(UnpaidPlace place, std::int64_t max) {
  co_return co_await room_of({Script::reserve_unpaid,
                              {client_key(place)},
                              {place.ticket, digits(max), digits(place.left.count())},
                              true});
}

void RedisState::attach_unpaid(UnpaidPlace place) {
  if (!place.hash) return;
  post({Script::attach_unpaid,
        {client_key(place), owner_key(*place.hash)},
        {place.ticket, member_of(*place.hash)},
        false});
}

void RedisState::release_unpaid(UnpaidPlace place) {
  post({Script::release_unpaid, {client_key(place)}, {place.ticket}, false});
}

void RedisState::settle_unpaid(PaymentHash hash) {
  post({Script::settle_unpaid, {owner_key(hash)}, {member_of(hash)}, false});
}

Result<> RedisState::up() const {
  const std::lock_guard lock(mutex_);
  if (up_) return {};
  return unavailable(why_.empty() ? "it was not reached yet" : why_);
}

void RedisState::tell(const ledger::News& news) {
  if (!answers_.load(std::memory_order_acquire)) return;
  loop_.post([this, text = ledger::to_text(news)] {
    if (current_ == nullptr) return;
    const std::string to = channel();
    const std::array<std::string_view, 3> words = {"PUBLISH", to, text};
    current_->send(words, [](Result<Reply>) {});
  });
}

// --- scripts

Task<void> RedisState::serve(Job job, Hop<Answer>::Giver give) {
  give(co_await run_job(std::move(job)));
}

Task<void> RedisState::serve_unheard(Job job) {
  const auto answer = co_await run_job(std::move(job));
  if (!answer) errors_.add();
}

std::string RedisState::key_of(const std::string& rest) const {
  return fmt::format("{}{}:{}", prefix(), epoch_ ? epoch_->number : 0, rest);
}

/// Again under a new epoch when the one it began under is over.
Task<RedisState::Answer> RedisState::run_job(Job job) {
  for (int tries = 0; tries < 3; ++tries) {
    if (!epoch_) OCTROI_CO_CHECK(co_await claim_epoch({}));
    const std::string epoch = epoch_->text;
    std::vector<std::string> keys = {epoch_key()};
    for (const auto& k : job.keys) keys.push_back(key_of(k));
    std::vector<std::string> words = {epoch};
    if (job.with_born) words.push_back(epoch_->born);
    words.insert(words.end(), job.words.begin(), job.words.end());
    OCTROI_CO_TRY(Reply reply, co_await run_script(job.script, std::move(keys), std::move(words)));
    if (reply.at(0) != kForgotten) co_return reply;
    OCTROI_CO_CHECK(co_await claim_epoch(epoch));
  }
  co_return unavailable("its memory was lost again and again");
}

Task<RedisState::Answer> RedisState::run_script(Script script, std::vector<std::string> keys,
                                                std::vector<std::string> words) {
  if (current_ == nullptr) co_return unavailable("it cannot be reached");
  std::vector<std::string> command = {"EVALSHA", digests_.at(static_cast<std::size_t>(script)),
                                      digits(static_cast<std::int64_t>(keys.size()))};
  command.insert(command.end(), keys.begin(), keys.end());
  command.insert(command.end(), words.begin(), words.end());
  auto reply = co_await current_->ask(command);
  if (reply && reply->code() == "NOSCRIPT" && current_ != nullptr) {
    command[0] = "EVAL";  // which makes it known again
    command[1] = std::string(source_of(script));
    reply = co_await current_->ask(std::move(command));
  }
  if (!reply) co_return unavailable("the connection was lost");
  if (!reply->is_error()) co_return std::move(*reply);
  Error why = refusal(name_of(script), *reply);
  if (reply->code() == "MOVED") moved(reply->text);
  if (current_ != nullptr && (reply->code() == "MOVED" || reply->code() == "READONLY")) {
    current_->close(why);  // whoever has it now is found by connecting again
  }
  co_return fail(std::move(why));
}

/// "MOVED 1234 10.0.0.7:6379"; an empty host is the one that answered.
void RedisState::moved(std::string_view where) {
  const auto space = where.rfind(' ');
  const auto colon = where.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space) return;
  const std::string_view host = where.substr(space + 1, colon - space - 1);
  const auto port = to_number(where.substr(colon + 1));
  if (port <= 0 || port > 65535) return;
  moved_to_.emplace(host.empty() ? options_.host : std::string(host),
                    static_cast<std::uint16_t>(port));
}

// --- epochs

/// Someone found that `lost` is over (empty: none is known): one at a time finds out what is.
Task<Result<>> RedisState::claim_epoch(std::string lost) {
  co_await epoch_turn_.acquire();
  const Semaphore::Permit turn(epoch_turn_);
  if (epoch_ && epoch_->text != lost) co_return Result<>{};
  const bool forgot = epoch_.has_value();
  epoch_.reset();
  auto begun = co_await begin_epoch();
  if (!begun) {
    epoch_.reset();
    if (current_ != nullptr) current_->close(begun.error());
    co_return begun;
  }
  if (forgot) {
    forgotten_.add();
    OCTROI_LOG(warn, kModule, "redis has lost its memory; counters begin again, and empty", {});
  }
  co_return Result<>{};
}

/// The number in the ledger tells a Redis that never knew anything from one that forgot.
Task<Result<>> RedisState::begin_epoch() {
  auto kept =
      co_await net::within(loop_, kLedgerDeadline, store_.get_value(std::string(kNewestEpoch)));
  if (!kept) co_return unavailable("the ledger does not say which epoch is the newest");
  if (!*kept) co_return fail(std::move(*kept).error());
  const std::int64_t newest = *kept && **kept ? to_number(***kept) : 0;
  OCTROI_CO_TRY(const Reply reply,
                co_await run_script(Script::claim_epoch, {epoch_key()},
                                    {digits(newest), to_hex(random_.bytes<8>())}));
  const auto first = reply.text.find(' ');
  const auto second = reply.text.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    co_return unavailable("what it keeps as epoch is none; remove that key");
  }
  Epoch epoch{reply.text, to_number(reply.text.substr(0, first)),
              reply.text.substr(first + 1, second - first - 1)};
  if (epoch.number > newest) {
    auto put = co_await net::within(
        loop_, kLedgerDeadline, store_.put_value(std::string(kNewestEpoch), digits(epoch.number)));
    if (!put) co_return unavailable("the ledger does not take which epoch is the newest");
    OCTROI_CO_CHECK(std::move(*put));
  }
  epoch_ = std::move(epoch);
  co_return co_await restore_places();
}

/// Pipelined, so that it takes a few turns of the network.
Task<Result<>> RedisState::restore_places() {
  if (!hearing_.places) co_return Result<>{};
  const auto places = hearing_.places();
  struct Batch {
    TaskGroup group;
    std::optional<Error> failed;
    static Task<void> one(RedisState* self, Batch* batch, std::vector<std::string> keys,
                          std::vector<std::string> words) {
      auto told =
          co_await self->run_script(Script::restore_unpaid, std::move(keys), std::move(words));
      if (!told) {
        batch->failed = told.error();
      } else if (told->at(0) == kForgotten) {
        batch->failed = Error(SharedErrc::unavailable, "redis: its memory was lost again");
      }
    }
  };
  for (std::size_t i = 0; i < places.size();) {
    Batch batch;
    for (std::size_t n = 0; n < kRestoreAtOnce && i < places.size(); ++n, ++i) {
      const UnpaidPlace& p = places[i];
      if (p.left <= Millis(0)) continue;
      batch.group.start(Batch::one(
          this, &batch,
          {epoch_key(), key_of(client_key(p)), key_of(owner_key(p.hash.value_or(PaymentHash())))},
          {epoch_->text, p.ticket, p.hash ? member_of(*p.hash) : "", digits(p.left.count())}));
    }
    co_await batch.group.join();
    if (batch.failed) co_return fail(*batch.failed);
  }
  co_return Result<>{};
}

// --- the connection

Task<void> RedisState::run() {
  TaskGroup both;
  both.start(keep_connected());
  both.start(keep_listening());
  co_await both.join();
}

void RedisState::set_up(bool up, const std::optional<Error>& why) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = up_ != up || (!up && why_.empty());
    up_ = up;
    why_ = why ? std::string(why->message()) : "";
    if (why_.starts_with("redis: ")) why_.erase(0, 7);
  }
  answers_.store(up, std::memory_order_release);
  is_up_.set(up ? 1 : 0);
  if (!changed) return;
  if (up) {
    OCTROI_LOG(info, kModule, "redis answers", {{"host", options_.host}});
  } else if (why) {
    OCTROI_LOG(error, kModule, "redis does not answer",
               {{"host", options_.host}, {"reason", why->message()}});
  }
}

Task<void> RedisState::keep_connected() {
  Millis pause{0};
  for (;;) {
    const Error why = co_await one_life();
    bool was_up = false;
    {
      const std::lock_guard lock(mutex_);
      was_up = up_;
    }
    set_up(false, why);
    pause = was_up ? kShortestPause : std::clamp(pause * 2, kShortestPause, options_.longest_pause);
    co_await loop_.sleep(pause);
  }
}

/// From a connection to its end, and why it ended.
Task<Error> RedisState::one_life() {
  auto stream = co_await dial();
  if (!stream) {
    moved_to_.reset();
    co_return std::move(stream).error();
  }
  Connection connection(loop_, *std::move(stream), options_.deadline);
  struct Clear {
    RedisState* self;
    ~Clear() { self->current_ = nullptr; }
  };
  current_ = &connection;
  const Clear clear{this};
  auto introduced = co_await introduce(&connection);
  if (!introduced) {
    if (!introduced.error().is(Errc::refused)) moved_to_.reset();
    co_return std::move(introduced).error();
  }
  set_up(true, std::nullopt);
  TaskGroup beating;
  beating.start(beat());
  co_await connection.closed().wait();
  co_return connection.why().value_or(Error(Errc::unreachable));
}

Task<Result<std::unique_ptr<net::Stream>>> RedisState::dial() {
  const std::string host = moved_to_ ? moved_to_->first : options_.host;
  const std::uint16_t port = moved_to_ ? moved_to_->second : options_.port;
  if (options_.tls && !tls_) {
    OCTROI_CO_TRY(tls_, net::make_tls_client({options_.ca_pem, {}, {}}));
  }
  OCTROI_CO_TRY(const auto addresses, co_await net::resolve(loop_, host, options_.connect_timeout));
  Error last(Errc::unreachable, "redis: its name has no address");
  for (const auto& address : addresses) {
    auto stream = co_await net::connect(loop_, {address, port}, options_.connect_timeout);
    if (stream && tls_) {
      stream = co_await net::tls_connect(*std::move(stream), tls_, host, options_.connect_timeout);
    }
    if (stream) co_return stream;
    last = Error(Errc::unreachable, fmt::format("redis: {}", stream.error().message()));
  }
  co_return fail(std::move(last));
}

Task<Result<>> RedisState::log_in(Connection* connection) {
  if (options_.password) {
    std::vector<std::string> words = {"AUTH"};
    if (!options_.user.empty()) words.push_back(options_.user);
    words.emplace_back(options_.password->reveal_text());
    OCTROI_CO_TRY(const Reply in, co_await connection->ask(std::move(words)));
    if (in.is_error()) co_return fail(refusal("login", in));
  }
  // Also tells a server that wants a password and got none.
  OCTROI_CO_TRY(const Reply pong, co_await connection->ask({"PING"}));
  if (pong.is_error()) co_return fail(refusal("PING", pong));
  co_return Result<>{};
}

Task<Result<>> RedisState::introduce(Connection* connection) {
  OCTROI_CO_CHECK(co_await log_in(connection));
  if (options_.database != 0) {
    OCTROI_CO_TRY(const Reply chosen,
                  co_await connection->ask({"SELECT", digits(options_.database)}));
    if (chosen.is_error()) co_return fail(refusal("SELECT", chosen));
  }
  if (name_.empty()) {
    auto kept = co_await net::within(
        loop_, kLedgerDeadline,
        store_.get_or_put_secret(std::string(kName),
                                 Secret(std::string_view(to_base64url(random_.bytes<9>())))));
    if (!kept) co_return unavailable("the ledger does not say the name of this deployment");
    if (!*kept) co_return fail(std::move(*kept).error());
    name_ = std::string((*kept)->reveal_text());
  }
  co_await look_at_memory(connection);
  for (const Script s : kAllScripts) {
    OCTROI_CO_TRY(const Reply digest,
                  co_await connection->ask({"SCRIPT", "LOAD", std::string(source_of(s))}));
    if (digest.is_error()) co_return fail(refusal("SCRIPT LOAD", digest));
    digests_.at(static_cast<std::size_t>(s)) = digest.text;
  }
  // Whatever happened while there was no connection: what is known is asked for again.
  const std::string lost = epoch_ ? epoch_->text : "";
  OCTROI_CO_TRY(const Reply kept, co_await connection->ask({"GET", epoch_key()}));
  if (epoch_ && !kept.is_error() && kept.text == lost) co_return Result<>{};
  if (kept.code() == "MOVED") {
    moved(kept.text);
    co_return fail(refusal("GET", kept));
  }
  co_return co_await claim_epoch(lost);
}

/// A Redis that evicts keys forgets without saying so. Only said: its user may not be told.
Task<void> RedisState::look_at_memory(Connection* connection) {
  if (warned_) co_return;
  const auto info = co_await connection->ask({"INFO", "memory"});
  if (!info || info->is_error()) co_return;
  const std::string_view text = info->text;
  if (text.find("\nmaxmemory:0\r") != std::string_view::npos ||
      text.find("\nmaxmemory_policy:noeviction") != std::string_view::npos ||
      text.find("\nmaxmemory_policy:") == std::string_view::npos)
    co_return;
  warned_ = true;
  OCTROI_LOG(warn, kModule,
             "redis may evict counters when its memory is full: set maxmemory-policy noeviction",
             {{"host", options_.host}});
}

/// Notices a lost memory, and a server that hangs, also when nobody asks anything.
Task<void> RedisState::beat() {
  for (;;) {
    co_await loop_.sleep(options_.heartbeat);
    if (current_ == nullptr) co_return;
    const std::string known = epoch_ ? epoch_->text : "";
    const auto kept = co_await current_->ask({"GET", epoch_key()});
    if (!kept || current_ == nullptr) co_return;
    if (kept->is_error()) {
      if (kept->code() == "MOVED") moved(kept->text);
      current_->close(refusal("GET", *kept));
      co_return;
    }
    if (kept->text != known) std::ignore = co_await claim_epoch(known);
  }
}

// --- news

Task<void> RedisState::keep_listening() {
  Millis pause{0};
  for (;;) {
    const auto began = loop_.now();
    std::ignore = co_await one_listening();
    const bool worked = loop_.now() - began > Millis(2'000);
    pause = worked ? kShortestPause : std::clamp(pause * 2, kShortestPause, options_.longest_pause);
    co_await loop_.sleep(pause);
  }
}

Task<Error> RedisState::one_listening() {
  if (name_.empty()) co_return Error(Errc::unreachable);  // the other connection asks for it
  auto stream = co_await dial();
  if (!stream) co_return std::move(stream).error();
  Connection connection(loop_, *std::move(stream), std::max(options_.deadline, kListenHeartbeat));
  connection.on_push([this](const Reply& message) { hear(message); });
  auto in = co_await log_in(&connection);
  if (!in) co_return std::move(in).error();
  auto listening = co_await connection.ask({"SUBSCRIBE", channel()});
  if (!listening) co_return std::move(listening).error();
  if (listening->is_error()) co_return refusal("SUBSCRIBE", *listening);
  if (hearing_.missed) hearing_.missed();
  while (!connection.closed().is_set()) {
    co_await loop_.sleep(kListenHeartbeat);
    auto pong = co_await connection.ask({"PING"});
    if (!pong) break;
  }
  co_return connection.why().value_or(Error(Errc::unreachable));
}

void RedisState::hear(const Reply& message) {
  if (message.items.size() < 3 || !hearing_.heard) return;
  if (const auto news = ledger::news_from(message.items[2].text)) hearing_.heard(*news);
}

}  // namespace octroi::redis
