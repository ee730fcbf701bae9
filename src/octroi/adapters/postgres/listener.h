// octroi/adapters/postgres/listener.h: hears what other replicas change, over a connection of its
// own: LISTEN for what they tell, and every `every` a look at one value of the ledger, which is
// what counts: it is asked for, so it sees after an outage what was said during it.
//
// Pooler   behind one that changes the connection with each transaction there is no LISTEN: the
//          looks go on alone, and the log says so.
// Thread   one of its own. Handlers run there and return soon. tell() and look(): any.
// Source   architecture 3.6.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "octroi/adapters/postgres/session.h"
#include "octroi/base/clock.h"
#include "octroi/ledger/news.h"

namespace octroi::postgres {

struct ListenerOptions {
  SessionOptions session;
  std::string value;  // the name of the value to look at (ledger::Store::get_value)
  Millis every{50};
};

class Listener final : public ledger::NewsWire {
 public:
  struct Look {
    std::optional<std::string> value;
    Millis asked{};      // when, on the steady clock: it was true then or later
    bool first = false;  // of a connection: anything may have happened before
  };
  struct Handlers {
    std::function<void(const Look&)> looked;
    /// True: look at once.
    std::function<bool(const ledger::News&)> heard;
  };

  Listener(ListenerOptions options, Handlers handlers);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Also to this replica, which does not mind.
  void tell(const ledger::News& news) override;
  /// Look at once.
  void look();
  /// It hears what others tell, and does not only look.
  [[nodiscard]] bool listens() const { return listens_.load(std::memory_order_relaxed); }

 private:
  void serve();
  [[nodiscard]] std::unique_ptr<Session> connect();
  [[nodiscard]] bool look_and_listen(Session& session, bool first);
  [[nodiscard]] bool hear(Session& session);
  [[nodiscard]] bool tell_all(Session& session);
  void wake();
  void sleep(Millis time);

  const ListenerOptions options_;
  const Handlers handlers_;
  int wake_;  // an eventfd
  std::atomic<bool> stopping_{false};
  std::atomic<bool> look_{false};
  std::atomic<bool> listens_{false};
  bool told_pooled_ = false;
  std::mutex mutex_;
  std::set<std::string> to_tell_;  // what is told twice is told once
  std::thread thread_;
};

}  // namespace octroi::postgres
