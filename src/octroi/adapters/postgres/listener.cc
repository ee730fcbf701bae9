#include "octroi/adapters/postgres/listener.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "octroi/adapters/sql/operations.h"
#include "octroi/base/log.h"

namespace octroi::postgres {
namespace {

constexpr std::string_view kModule = "store";
constexpr std::string_view kChannel = "octroi";
constexpr Millis kShortestPause{50};
constexpr Millis kLongestPause{500};
constexpr std::size_t kMostToTell = 10'000;  // beyond it only looking helps

Millis steady_now() {
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

Listener::Listener(ListenerOptions options, Handlers handlers)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { serve(); }) {}

Listener::~Listener() {
  stopping_ = true;
  wake();
  thread_.join();
  ::close(wake_);
}

void Listener::wake() {
  const std::uint64_t one = 1;
  // Full means that it is readable, which is all that is wanted.
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void Listener::tell(const ledger::News& news) {
  {
    const std::lock_guard lock(mutex_);
    if (to_tell_.size() < kMostToTell) to_tell_.insert(ledger::to_text(news));
  }
  wake();
}

void Listener::look() {
  look_ = true;
  wake();
}

void Listener::sleep(Millis time) {
  pollfd fd{wake_, POLLIN, 0};
  const Millis until = steady_now() + time;
  while (!stopping_ && steady_now() < until) {
    ::poll(&fd, 1, static_cast<int>((until - steady_now()).count()) + 1);
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
  }
}

void Listener::serve() {
  Millis pause{0};
  while (!stopping_) {
    auto session = connect();
    bool good = session != nullptr && look_and_listen(*session, /*first=*/true);
    if (good) pause = Millis(0);
    while (good && !stopping_) good = look_and_listen(*session, /*first=*/false);
    listens_ = false;
    session.reset();
    pause = std::clamp(pause * 2, kShortestPause, kLongestPause);
    sleep(pause);
  }
}

std::unique_ptr<Session> Listener::connect() {
  auto made = Session::open(options_.session);
  if (!made) return nullptr;  // the store's own connections say why
  Session& session = **made;
  session.start_reading();
  if (session.pooled()) {
    if (!std::exchange(told_pooled_, true)) {
      OCTROI_LOG(warn, kModule,
                 "PostgreSQL is behind a pooler: replicas cannot LISTEN, and look for changes "
                 "every so often instead",
                 {{"milliseconds", options_.every.count()}});
    }
  } else {
    if (!session.script(fmt::format("LISTEN {}", kChannel))) return nullptr;
    listens_ = true;
  }
  return *std::move(made);
}

/// One look, and then what comes until the next is due.
bool Listener::look_and_listen(Session& session, bool first) {
  look_ = false;
  const Millis asked = steady_now();
  session.start_reading();
  auto value = sql::get_value(session, options_.value);
  if (!value) return false;
  handlers_.looked({*std::move(value), asked, first});
  while (!stopping_ && !look_) {
    if (hear(session)) look_ = true;
    if (!tell_all(session)) return false;
    const Millis left = asked + options_.every - steady_now();
    if (look_ || left <= Millis(0)) break;
    if (!session.wait(wake_, left)) return false;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
  }
  return true;
}

bool Listener::hear(Session& session) {
  bool now = false;
  for (const std::string& text : session.notices()) {
    const auto news = ledger::news_from(text);
    if (news && handlers_.heard(*news)) now = true;
  }
  return now;
}

bool Listener::tell_all(Session& session) {
  std::set<std::string> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(to_tell_);
  }
  if (all.empty()) return true;
  // One transaction: its commit is one turn, and takes the lock on the queue once.
  session.start_reading();
  if (!session.begin()) return false;
  for (const std::string& text : all) {
    if (!session.run("SELECT pg_notify(?, ?)", kChannel, std::string_view(text))) return false;
  }
  return session.commit().has_value();
}

}  // namespace octroi::postgres
