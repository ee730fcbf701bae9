// The reactor: epoll, edge-triggered. A descriptor is registered once, for both directions and for
// its life, so that waiting costs no system call; what came while nobody waited is remembered. Only
// this file knows epoll. Other threads reach the loop through a locked list and an eventfd.
//
// Edge-triggered needs care in one place (epoll(7)): a stream may stop reading after a short read
// without seeing EAGAIN, as bytes that come later make a new edge; the end of the stream does not
// when it was told together with those bytes. It is therefore remembered for good.
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "octroi/net/inbox.h"
#include "octroi/net/loop.h"
#include "octroi/net/readiness.h"
#include "octroi/task/ready.h"

namespace octroi::net {

namespace {
thread_local Loop* current_loop = nullptr;
constexpr int kBatch = 128;  // events a system call

/// A peer that closes while we write must be an error code, not the end of the process.
void ignore_sigpipe() {
  static std::once_flag once;
  std::call_once(once, [] { std::signal(SIGPIPE, SIG_IGN); });
}
}  // namespace

// ---- what a descriptor waits with
// ------------------------------------------------------------------

/// Outlives its FdWatch until the running batch of events is through: a later event of the batch
/// may point at it.
struct FdWatch::State : Deferred {
  State(void* o, FdWatch::Callback c)
      : Deferred([](Deferred& d) { static_cast<State&>(d).tell(); }), owner(o), call(c) {}

  void* owner;  // null: closed
  FdWatch::Callback call;
  std::array<bool, 2> wanted{};  // by direction: somebody waits
  std::array<bool, 2> came{};    // an edge came while nobody waited
  bool ended = false;            // no further edge may come: both directions are ready for good

  void happened(std::uint32_t events) {
    if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) ended = true;
    if ((events & EPOLLIN) != 0) came[0] = true;
    if ((events & EPOLLOUT) != 0) came[1] = true;
    tell();
  }
  void tell() {
    for (const Direction d : {Direction::read, Direction::write}) {
      const auto i = static_cast<std::size_t>(d);
      if (owner == nullptr || !wanted[i] || !(came[i] || ended)) continue;
      wanted[i] = came[i] = false;
      call(owner, d);
    }
  }
};
static_assert(static_cast<int>(Direction::read) == 0 && static_cast<int>(Direction::write) == 1);

// ---- the loop
// --------------------------------------------------------------------------------------

struct Loop::Impl {
  explicit Impl(Loop& l) : loop(l), epoll(::epoll_create1(EPOLL_CLOEXEC)) {
    // Without a descriptor no loop can run; the caller has no better answer than to end.
    if (epoll < 0) throw std::bad_alloc();
  }
  ~Impl() { ::close(epoll); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void wait_for_posts();
  void run_posts();
  void run_deferred();
  void turn();

  Loop& loop;
  int epoll;
  TimerWheel wheel;
  DeferQueue deferred;
  DeferQueue at_end;                                    // of the batch of events
  std::vector<std::unique_ptr<FdWatch::State>> closed;  // freed between batches
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::optional<FdWatch> wake;
  std::atomic<std::thread::id> thread{std::this_thread::get_id()};
  std::atomic<bool> stopping{false};
  std::optional<TaskGroup> tasks;
};

FdWatch::FdWatch(Loop& loop, int fd, void* owner, Callback call)
    : loop_(loop), state_(new State(owner, call)), fd_(fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = state_;
  // The kernel may be out of memory for it: then every wait ends at once and the system calls tell.
  if (::epoll_ctl(loop.impl().epoll, EPOLL_CTL_ADD, fd, &event) < 0) state_->ended = true;
}

void FdWatch::want(Direction direction) {
  const auto i = static_cast<std::size_t>(direction);
  if (fd_ < 0 || state_->wanted[i]) return;
  state_->wanted[i] = true;
  if (state_->came[i] || state_->ended) loop_.defer(*state_);
}

void FdWatch::close() noexcept {
  if (fd_ < 0) return;
  // Closing alone would leave it in the set while a forked child still holds the descriptor.
  ::epoll_ctl(loop_.impl().epoll, EPOLL_CTL_DEL, fd_, nullptr);
  ::close(std::exchange(fd_, -1));
  state_->owner = nullptr;
  state_->cancel();
  loop_.impl().closed.emplace_back(std::exchange(state_, nullptr));
}

void Loop::Impl::wait_for_posts() {
  wake.emplace(loop, inbox->wake_fd(), this, [](void* self, Direction) {
    auto& impl = *static_cast<Impl*>(self);
    impl.run_posts();
    impl.wake->want(Direction::read);
  });
  wake->want(Direction::read);
}

void Loop::Impl::run_posts() {
  for (auto& work_item : inbox->take()) {
    work_item();
    work_item = {};
  }
}

void Loop::Impl::run_deferred() {
  if (deferred.empty()) return;
  const RunScope scope;
  deferred.run();
}

/// Waits for events, and tells them one by one.
void Loop::Impl::turn() {
  std::array<epoll_event, kBatch> events;
  int patience = -1;
  if (!deferred.empty() || !at_end.empty()) {
    patience = 0;
  } else if (!wheel.empty()) {
    patience = TimerWheel::kTickMillis;
  }
  const int count = ::epoll_wait(epoll, events.data(), kBatch, patience);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    {
      const RunScope scope;  // whom the callback wakes runs when it has returned
      static_cast<FdWatch::State*>(event.data.ptr)->happened(event.events);
    }
    run_deferred();
  }
  {
    const RunScope scope;
    wheel.advance(loop.now());
  }
  run_deferred();
  if (!at_end.empty()) {
    const RunScope scope;
    at_end.run();
  }
  run_deferred();
  closed.clear();
}

Loop::Loop() : impl_(std::make_unique<Impl>(*this)) {
  ignore_sigpipe();
  impl_->wait_for_posts();
  impl_->tasks.emplace();
  impl_->wheel.advance(now());
}

Loop::~Loop() {
  Loop* const outer = std::exchange(current_loop, this);
  impl_->tasks.reset();  // its frames hold streams and timers of this loop
  impl_->inbox->close();
  impl_->wake.reset();
  impl_.reset();
  current_loop = outer == this ? nullptr : outer;
}

void Loop::run() {
  Impl& impl = *impl_;
  Loop* const outer = std::exchange(current_loop, this);
  impl.thread.store(std::this_thread::get_id());
  while (!impl.stopping.load(std::memory_order_relaxed)) impl.turn();
  impl.stopping.store(false);
  current_loop = outer;
}

void Loop::stop() {
  post([this] { impl_->stopping.store(true, std::memory_order_relaxed); });
}

void Loop::post(UniqueFunction<void()> work) { impl_->inbox->put(std::move(work)); }

Loop* Loop::current() noexcept { return current_loop; }

bool Loop::on_thread() const noexcept {
  return impl_->thread.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

Millis Loop::now() const noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return Millis(t.tv_sec * 1000 + t.tv_nsec / 1'000'000);
}

TimerWheel& Loop::timers() noexcept {
  impl_->wheel.observe(now());
  return impl_->wheel;
}

void Loop::defer(Deferred& node) noexcept { impl_->deferred.push(node); }
void Loop::defer_to_end(Deferred& node) noexcept { impl_->at_end.push(node); }

TaskGroup& Loop::tasks() noexcept { return *impl_->tasks; }

const std::shared_ptr<Inbox>& inbox_of(Loop& loop) { return loop.impl().inbox; }

}  // namespace octroi::net
