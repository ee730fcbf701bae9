// The only file that knows Boost.Asio: it waits for readiness and for the tick, nothing else. The
// context is used by one thread, so its locks are off; other threads reach the loop through a
// locked list and an eventfd.
#include <csignal>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "octroi/net/inbox.h"
#include "octroi/net/loop.h"
#include "octroi/net/readiness.h"
#include "octroi/task/ready.h"

namespace octroi::net {

namespace asio = boost::asio;
using boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

namespace {
thread_local Loop* current_loop = nullptr;

/// A peer that closes while we write must be an error code, not the end of the process.
void ignore_sigpipe() {
  static std::once_flag once;
  std::call_once(once, [] { std::signal(SIGPIPE, SIG_IGN); });
}
}  // namespace

// ---- what a descriptor waits with
// ------------------------------------------------------------------

/// Outlives its FdWatch until the handlers that Asio still holds have come back.
struct FdWatch::State {
  static constexpr std::size_t kHandlerBytes = 160;
  struct Slot {
    alignas(std::max_align_t) std::byte bytes[kHandlerBytes];
    bool waiting = false;
    bool used = false;
  };

  State(asio::io_context& context, int fd, void* o, Callback c)
      : descriptor(context, fd), owner(o), call(c) {}

  Descriptor descriptor;
  void* owner;
  Callback call;
  int refs = 1;  // the FdWatch and each waiting handler
  std::array<Slot, 2> slots;

  void release() noexcept {
    if (--refs == 0) delete this;
  }
};

namespace {

/// Gives Asio the slot's memory for the one handler of a direction.
template <class T>
struct SlotAllocator {
  using value_type = T;
  FdWatch::State::Slot* slot;
  explicit SlotAllocator(FdWatch::State::Slot* s) noexcept : slot(s) {}
  template <class U>
  SlotAllocator(const SlotAllocator<U>& other) noexcept : slot(other.slot) {}  // NOLINT
  T* allocate(std::size_t n) {
    if (!slot->used && n * sizeof(T) <= sizeof slot->bytes) {
      slot->used = true;
      return reinterpret_cast<T*>(slot->bytes);
    }
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) noexcept {
    if (reinterpret_cast<std::byte*>(p) == slot->bytes) {
      slot->used = false;
    } else {
      std::allocator<T>().deallocate(p, n);
    }
  }
  template <class U>
  bool operator==(const SlotAllocator<U>& other) const noexcept {
    return slot == other.slot;
  }
};

class OnReady {
 public:
  OnReady(FdWatch::State* state, Direction direction) noexcept
      : state_(state), direction_(direction) {
    ++state_->refs;
  }
  OnReady(OnReady&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), direction_(other.direction_) {}
  OnReady(const OnReady&) = delete;
  OnReady& operator=(const OnReady&) = delete;
  OnReady& operator=(OnReady&&) = delete;
  ~OnReady() {
    if (state_ != nullptr) state_->release();
  }

  using allocator_type = SlotAllocator<void>;
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(&slot()); }

  void operator()(const error_code& /*why*/) {
    slot().waiting = false;
    if (state_->owner != nullptr) state_->call(state_->owner, direction_);
  }

 private:
  [[nodiscard]] FdWatch::State::Slot& slot() const noexcept {
    return state_->slots[static_cast<std::size_t>(direction_)];
  }
  FdWatch::State* state_;
  Direction direction_;
};

}  // namespace

// ---- the loop
// --------------------------------------------------------------------------------------

struct Loop::Impl {
  explicit Impl(Loop& l)
      : loop(l),
        context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE),
        work(context.get_executor()),
        ticker(context) {}

  void wait_for_posts();
  void run_posts();
  void start_ticking();

  Loop& loop;
  asio::io_context context;
  asio::executor_work_guard<Executor> work;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, Executor>
      ticker;
  TimerWheel wheel;
  DeferQueue deferred;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::optional<FdWatch> wake;
  std::atomic<std::thread::id> thread{std::this_thread::get_id()};
  bool ticking = false;
  bool running = false;
  std::atomic<bool> stopping{false};
  std::optional<TaskGroup> tasks;
};

FdWatch::FdWatch(Loop& loop, int fd, void* owner, Callback call)
    : state_(new State(loop.impl().context, fd, owner, call)), fd_(fd) {}

void FdWatch::want(Direction direction) {
  State::Slot& slot = state_->slots[static_cast<std::size_t>(direction)];
  if (slot.waiting || fd_ < 0) return;
  slot.waiting = true;
  state_->descriptor.async_wait(
      direction == Direction::read ? Descriptor::wait_read : Descriptor::wait_write,
      OnReady(state_, direction));
}

void FdWatch::close() noexcept {
  if (fd_ < 0) return;
  fd_ = -1;
  state_->owner = nullptr;
  error_code ignored;
  std::ignore =
      state_->descriptor.close(ignored);  // aborts the waits, whose handlers find no owner
  state_->release();
  state_ = nullptr;
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

void Loop::Impl::start_ticking() {
  ticking = true;
  ticker.expires_after(Millis(TimerWheel::kTickMillis));
  ticker.async_wait([this](const error_code& why) {
    ticking = false;
    if (why) return;
    wheel.advance(loop.now());
    if (!wheel.empty() && !ticking) start_ticking();
  });
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
  impl.running = true;
  while (!impl.stopping.load(std::memory_order_relaxed)) {
    {
      const RunScope scope;  // whom the callback wakes runs when it has returned
      if (impl.deferred.empty()) {
        impl.context.run_one();
      } else {
        impl.context.poll_one();
      }
    }
    if (impl.deferred.empty()) continue;
    const RunScope scope;
    impl.deferred.run();
  }
  impl.running = false;
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
  if (!impl_->ticking) impl_->start_ticking();
  return impl_->wheel;
}

void Loop::defer(Deferred& node) noexcept { impl_->deferred.push(node); }

TaskGroup& Loop::tasks() noexcept { return *impl_->tasks; }

const std::shared_ptr<Inbox>& inbox_of(Loop& loop) { return loop.impl().inbox; }

}  // namespace octroi::net
