// getaddrinfo on two threads of the process: it blocks, for as long as the resolver library likes.
#include <condition_variable>
#include <cstring>
#include <thread>

#include <netdb.h>

#include "octroi/net/deadline.h"
#include "octroi/net/inbox.h"
#include "octroi/net/socket_address.h"
#include "octroi/net/stream.h"

namespace octroi::net {

namespace {

using Addresses = Result<std::vector<IpAddress>>;

/// Never destroyed: a look-up may still be blocked when the process ends.
class BlockingPool {
 public:
  static BlockingPool& get() {
    static auto* pool = new BlockingPool;
    return *pool;
  }
  void submit(UniqueFunction<void()> job) {
    {
      const std::scoped_lock lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    arrived_.notify_one();
  }

 private:
  static constexpr int kThreads = 2;
  BlockingPool() {
    for (int i = 0; i < kThreads; ++i) std::thread([this] { work(); }).detach();
  }
  [[noreturn]] void work() {
    for (;;) {
      UniqueFunction<void()> job;
      {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [this] { return !jobs_.empty(); });
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<UniqueFunction<void()>> jobs_;
};

Addresses look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return fail(Errc::resolve_failed, "resolve " + host + ": " + ::gai_strerror(error));
  }
  std::vector<IpAddress> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    const IpAddress address = from_sockaddr(a->ai_addr).address;
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return fail(Errc::resolve_failed, "resolve " + host + ": no address");
  return addresses;
}

/// What the blocking thread and the waiting task share. The task's side may go first.
struct Lookup {
  std::optional<Addresses> answer;
  std::coroutine_handle<> waiter;
};

struct WaitFor {
  std::shared_ptr<Lookup> lookup;
  [[nodiscard]] bool await_ready() const noexcept { return lookup->answer.has_value(); }
  void await_suspend(std::coroutine_handle<> h) const noexcept { lookup->waiter = h; }
  void await_resume() const noexcept {}
  explicit WaitFor(std::shared_ptr<Lookup> l) : lookup(std::move(l)) {}
  WaitFor(const WaitFor&) = delete;
  WaitFor& operator=(const WaitFor&) = delete;
  ~WaitFor() { lookup->waiter = {}; }
};

Task<Addresses> ask(std::shared_ptr<Inbox> inbox, std::string host) {
  auto lookup = std::make_shared<Lookup>();
  BlockingPool::get().submit([inbox, lookup, host = std::move(host)]() mutable {
    // The answer is handed over on the loop's thread only; a closed box drops it.
    inbox->put([lookup = std::move(lookup), answer = look_up(host)]() mutable {
      lookup->answer.emplace(std::move(answer));
      if (auto h = std::exchange(lookup->waiter, {})) h.resume();
    });
  });
  co_await WaitFor(lookup);
  co_return *std::move(lookup->answer);
}

}  // namespace

Task<Result<std::vector<IpAddress>>> resolve(Loop& loop, std::string host, Millis timeout) {
  if (auto literal = IpAddress::parse(host)) co_return std::vector<IpAddress>{*literal};
  if (host.empty() || host.size() > 253 || host.find('\0') != std::string::npos) {
    co_return fail(Errc::resolve_failed, "resolve: not a host name");
  }
  std::string failure = "resolve " + host + ": no answer in time";
  auto answer = co_await within(loop, timeout, ask(inbox_of(loop), std::move(host)));
  if (!answer) co_return fail(Errc::timeout, std::move(failure));
  co_return *std::move(answer);
}

}  // namespace octroi::net
