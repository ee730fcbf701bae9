// The connection to the server is cut at every boundary between two statements, before and after
// each commit: the database holds what was acknowledged, or that and the one operation that failed,
// and nothing in between. What was not done is done by the next try, and once.
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/base/log.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/session_testing.h"

namespace octroi::postgres {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

sockaddr_un address_of(const std::string& folder) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  const std::string path = folder + "/.s.PGSQL.5432";
  std::memcpy(a.sun_path, path.c_str(), path.size() + 1);
  return a;
}

/// Between a store and the server: passes whole messages on and counts those that end a statement
/// (Execute and Sync); after the one it was told it ends the connection.
class Relay {
 public:
  Relay() {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un here = address_of(box_.path());
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::pipe2(wake_.data(), O_CLOEXEC), 0);
    thread_ = std::thread([this] { run(); });
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() {
    ::close(wake_[1]);
    thread_.join();
    for (const auto& [client, pair] : pairs_) {
      ::close(client);
      ::close(pair.server);
    }
    ::close(wake_[0]);
    ::close(listener_);
  }
  [[nodiscard]] SessionOptions options(const std::string& database) const {
    SessionOptions o = TestServer::shared().options(database);
    o.url = fmt::format("postgresql://octroi@/{}?host={}", database, box_.path());
    return o;
  }
  /// Ends the connection that passes the `boundary`th statement from now, before it (0: the first)
  /// arrives; then refuses so many new ones.
  void cut_at(int boundary, int refuse) {
    const std::scoped_lock lock(mutex_);
    left_ = boundary;
    refuse_ = refuse;
    armed_ = true;
  }
  [[nodiscard]] bool waits() {
    const std::scoped_lock lock(mutex_);
    return armed_;
  }
  /// Whether it came to that; no further cut.
  bool disarm() {
    const std::scoped_lock lock(mutex_);
    refuse_ = 0;
    return !std::exchange(armed_, false);
  }

 private:
  struct Pair {
    int server = -1;
    bool started = false;  // the first message has no type
    std::string asked;     // not yet a whole message
  };

  void accept_one() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    {
      const std::scoped_lock lock(mutex_);
      if (!armed_ && refuse_ > 0) {
        --refuse_;
        ::close(client);
        return;
      }
    }
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un there = address_of(TestServer::shared().box().path());
    if (::connect(server, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
      ::close(server);
      ::close(client);
      return;
    }
    pairs_[client].server = server;
  }
  /// False: the connection is over.
  bool pass_answer(int client, const Pair& pair) const {
    std::array<char, 65536> data{};
    const auto n = ::read(pair.server, data.data(), data.size());
    return n > 0 && send_all(client, {data.data(), static_cast<std::size_t>(n)});
  }
  bool pass_question(int client, Pair& pair) {
    std::array<char, 65536> data{};
    const auto n = ::read(client, data.data(), data.size());
    if (n <= 0) return false;
    pair.asked.append(data.data(), static_cast<std::size_t>(n));
    for (;;) {
      const std::size_t head = pair.started ? 1 : 0;
      if (pair.asked.size() < head + 4) return true;
      std::uint32_t length = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        length = length << 8U | static_cast<std::uint8_t>(pair.asked[head + i]);
      }
      if (pair.asked.size() < head + length) return true;
      if (pair.started && cuts(pair.asked[0])) return false;
      if (!send_all(pair.server, std::string_view(pair.asked).substr(0, head + length)))
        return false;
      pair.asked.erase(0, head + length);
      pair.started = true;
    }
  }
  bool cuts(char type) {
    if (type != 'E' && type != 'S') return false;
    const std::scoped_lock lock(mutex_);
    if (!armed_ || left_-- > 0) return false;
    armed_ = false;
    return true;
  }
  /// The server does what it was asked before the store hears of the end: nothing happens later.
  static void finish(int server) {
    ::shutdown(server, SHUT_WR);
    std::array<char, 4096> rest{};
    while (::read(server, rest.data(), rest.size()) > 0) {
    }
  }
  static bool send_all(int to, std::string_view data) {
    while (!data.empty()) {
      const auto n = ::send(to, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void run() {
    for (;;) {
      std::vector<pollfd> fds = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto& [client, pair] : pairs_) {
        fds.push_back({client, POLLIN, 0});
        fds.push_back({pair.server, POLLIN, 0});
      }
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[0].revents != 0) return;
      for (std::size_t i = 2; i < fds.size(); i += 2) {
        const auto it = pairs_.find(fds[i].fd);
        // What the server said before the cut arrives: a commit may be known, or not.
        bool good = fds[i + 1].revents == 0 || pass_answer(it->first, it->second);
        good = good && (fds[i].revents == 0 || pass_question(it->first, it->second));
        if (good) continue;
        finish(it->second.server);
        ::close(it->first);
        ::close(it->second.server);
        pairs_.erase(it);
      }
      if (fds[1].revents != 0) accept_one();
    }
  }

  Sandbox box_;
  int listener_ = -1;
  std::array<int, 2> wake_{};
  std::map<int, Pair> pairs_;  // by the client's side; the thread's
  std::mutex mutex_;
  bool armed_ = false;
  int left_ = 0;
  int refuse_ = 0;
  std::thread thread_;
};

class QuietLog {
 public:
  QuietLog() { set(LogLevel::off); }  // expected alarms
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
  ~QuietLog() { set(LogLevel::info); }

 private:
  static void set(LogLevel level) {
    LogConfig config;
    config.level = level;
    EXPECT_TRUE(configure_log(config));
  }
};

struct Step {
  const char* name;
  std::function<bool(Store&)> run;  // false: the store refused
};

template <class T>
bool done(Task<Result<T>> task) {
  return sync(std::move(task)).has_value();
}

/// A session from the deposit to the refund, and a charge; all hashes from `n` on.
std::vector<Step> story(std::uint32_t n) {
  const auto sessions = [](auto work) {
    return [work](Store& s) { return done(work(*s.sessions())); };
  };
  const PaymentHash id = hash_of(n);
  std::vector<InvoiceRecord> invoices;
  for (std::uint32_t i = 0; i < 4; ++i) invoices.push_back(invoice_of(n + i));
  OpenSession open = open_of(n);
  open.first_debit = 1'000_msat;
  return {
      {"invoices", [=](Store& s) { return done(s.record_invoices(invoices)); }},
      {"row of an offer",
       [=](Store& s) {
         return done(s.record_transactions({transaction_of(n + 3, Scheme::mpp_charge)}));
       }},
      {"open", sessions([=](SessionStore& s) { return s.open_session(open); })},
      {"debit", sessions([=](SessionStore& s) {
         return s.debit_session(id, "weather", 2'000_msat, kUsed);
       })},
      {"too much", sessions([=](SessionStore& s) {
         return s.debit_session(id, "weather", 9'000_msat, kUsed);
       })},
      {"top up", sessions([=](SessionStore& s) { return s.top_up_session(top_up_of(n + 1, n)); })},
      {"give back", sessions([=](SessionStore& s) { return s.give_back(id, 500_msat, kUsed); })},
      {"charge", [=](Store& s) { return done(s.consume(consume_of(n + 3))); }},
      {"answer",
       [=](Store& s) {
         const auto kept = sync(s.finish_consume(hash_of(n + 3), answer_of()));
         return kept || kept.error().is(Errc::not_pending);  // it was, and nobody heard
       }},
      {"close", sessions([=](SessionStore& s) { return s.close_session(close_with(n + 2, n)); })},
      {"claim", sessions([=](SessionStore& s) { return s.claim_refund(id, kUsed); })},
      {"paid", sessions([=](SessionStore& s) {
         return s.record_refund(id, RefundStage::succeeded, 5_msat, "", kUsed);
       })},
  };
}

std::string state_of(Store& store, std::uint32_t n) {
  const auto session = sync(store.sessions()->find_session(hash_of(n)));
  if (!session) return "unreadable: " + std::string(session.error().message());
  std::string out = *session ? describe(**session) : "no session";
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto invoice = sync(store.find_invoice(hash_of(n + i)));
    const auto claimed = sync(store.is_consumed(hash_of(n + i)));
    out += fmt::format("\n{}: made {} claimed {}", i, invoice && *invoice, claimed && *claimed);
  }
  const auto totals = sync(store.sessions()->session_totals());
  out += "\n" + (totals ? describe(*totals) : "no totals");
  TransactionFilter filter;
  filter.state = TransactionState::settled;
  filter.limit = 1000;
  const auto rows = sync(store.list_transactions(filter));
  return out + fmt::format("\n{} booked", rows ? rows->size() : 0);
}

// After a cut the server may not be there for a moment.
TEST(PostgresCut, AtEveryStatementNothingIsHalfDoneOrLost) {
  const QuietLog quiet;
  PostgresFixture fixture;
  Relay relay;
  ManualClock clock(kStart);
  PostgresOptions options;
  options.session = relay.options(fixture.database());
  options.writers = 1;
  options.readers = 1;
  auto opened = open_postgres_store(options, clock);
  ASSERT_TRUE(opened) << opened.error().message();
  Store& store = **opened;
  MemoryStore model;
  int cut = 0;
  int failed = 0;
  for (int boundary = 0;; ++boundary) {
    ASSERT_LT(boundary, 1000) << "the story has no end";
    const std::uint32_t n = 1 + static_cast<std::uint32_t>(boundary) * 4;
    relay.cut_at(boundary, boundary % 3 == 0 ? 2 : 0);
    for (const Step& step : story(n)) {
      SCOPED_TRACE(fmt::format("cut at {}: {}", boundary, step.name));
      const std::string before = state_of(model, n);
      const bool waits = relay.waits();
      const bool good = step.run(store);
      ASSERT_TRUE(step.run(model));
      if (good && relay.waits() == waits) continue;  // the cut was not in this one
      const std::string wanted = state_of(model, n);
      const std::string found = state_of(fixture.store(), n);
      if (good || found != before) {
        ASSERT_EQ(found, wanted);
        if (!good) ++failed;
        continue;
      }
      ++failed;
      bool later = false;
      for (int tries = 0; tries < 100 && !later; ++tries) {
        later = step.run(store);
        if (!later) std::this_thread::sleep_for(Millis(20));
      }
      ASSERT_TRUE(later);
      ASSERT_EQ(state_of(fixture.store(), n), wanted) << "the next try completes it";
    }
    ASSERT_EQ(state_of(fixture.store(), n), state_of(model, n)) << boundary;
    if (!relay.disarm()) break;
    ++cut;
    const auto again = sync(store.consume(consume_of(n + 3)));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->state, ConsumeState::replay);
  }
  EXPECT_GT(cut, 40);
  EXPECT_GT(failed, 5);
}

}  // namespace
}  // namespace octroi::postgres
