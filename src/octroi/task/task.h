// octroi/task/task.h: Task<T>, a lazily started coroutine that is awaited exactly once.
//
// Starts when awaited and resumes its awaiter by symmetric transfer, so a chain of any length costs
// no stack. Destroying a Task that has not finished destroys the whole suspended chain below it:
// that is how a scope is cancelled, so every awaitable must take itself out of its queue in its
// destructor.
//
// Rules    parameters by value; no capturing lambda as a coroutine; no lock held across co_await.
// Errors   Task<Result<T>>. An exception that escapes (allocation only) is rethrown at the awaiter.
// Thread   a Task lives on the loop that awaits it.
#pragma once

#include <cassert>
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "octroi/task/frame_alloc.h"

namespace octroi {

template <class T = void>
class [[nodiscard]] Task;

namespace detail {

struct FinalAwaiter {
  static bool await_ready() noexcept { return false; }
  template <class Promise>
  static std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) noexcept {
    return h.promise().continuation;
  }
  static void await_resume() noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  static std::suspend_always initial_suspend() noexcept { return {}; }
  static FinalAwaiter final_suspend() noexcept { return {}; }
  static void* operator new(std::size_t size) { return frame_alloc(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { frame_free(frame, size); }
};

template <class T>
struct Promise final : PromiseBase {
  std::variant<std::monostate, T, std::exception_ptr> result;

  Task<T> get_return_object() noexcept;
  template <class U = T>  // the default lets `co_return {}` work
    requires std::constructible_from<T, U&&>
  void return_value(U&& value) {
    result.template emplace<1>(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { result.template emplace<2>(std::current_exception()); }
  T take() {
    if (result.index() == 2) std::rethrow_exception(std::get<2>(result));
    return std::move(std::get<1>(result));
  }
};

template <>
struct Promise<void> final : PromiseBase {
  std::exception_ptr exception;

  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void unhandled_exception() noexcept { exception = std::current_exception(); }
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

namespace detail {
/// The result of a task that had nothing to wait for.
template <class T>
struct Outcome {
  std::optional<T> value;
  [[nodiscard]] bool there() const noexcept { return value.has_value(); }
  T take() { return std::move(*value); }
};
template <>
struct Outcome<void> {
  bool value = false;
  [[nodiscard]] bool there() const noexcept { return value; }
  void take() const noexcept {}
};
}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  /// A task that ended before it began. A function that mostly need not wait returns one instead of
  /// being a coroutine, whose frame would cost more than what it does.
  template <class U = T>
    requires(!std::is_void_v<U> && std::constructible_from<T, U &&>)
  [[nodiscard]] static Task done(U&& value) {
    Task task;
    task.outcome_.value.emplace(std::forward<U>(value));
    return task;
  }
  [[nodiscard]] static Task done()
    requires std::is_void_v<T>
  {
    Task task;
    task.outcome_.value = true;
    return task;
  }

  Task(Task&& other) noexcept
      : handle_(std::exchange(other.handle_, {})), outcome_(std::move(other.outcome_)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
      outcome_ = std::move(other.outcome_);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { destroy(); }

  [[nodiscard]] bool valid() const noexcept { return handle_ || outcome_.there(); }
  /// Made by done(): take() gives the result without awaiting.
  [[nodiscard]] bool is_done() const noexcept { return outcome_.there(); }
  [[nodiscard]] T take() && { return outcome_.take(); }

  /// Once, on a valid Task that lives until it has been awaited: a second time would run a
  /// coroutine that has ended.
  auto operator co_await() && noexcept {
    assert(valid() && (!handle_ || !handle_.done()));
    struct Awaiter {
      Task& task;
      bool await_ready() const noexcept { return !task.handle_; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        task.handle_.promise().continuation = awaiting;
        return task.handle_;
      }
      T await_resume() {
        return task.handle_ ? task.handle_.promise().take() : task.outcome_.take();
      }
    };
    return Awaiter{*this};
  }

 private:
  void destroy() noexcept {
    if (handle_) std::exchange(handle_, {}).destroy();
  }
  Handle handle_;
  [[no_unique_address]] detail::Outcome<T> outcome_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> detail::Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace octroi
