// octroi/base/function.h: UniqueFunction, std::function for callables that can only be moved.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace octroi {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, UniqueFunction> &&
             std::is_invocable_r_v<R, F&, Args...>)
  UniqueFunction(F&& f)  // NOLINT(google-explicit-constructor): as std::function
      : impl_(std::make_unique<Impl<std::decay_t<F>>>(std::forward<F>(f))) {}
  R operator()(Args... args) { return impl_->call(std::forward<Args>(args)...); }
  explicit operator bool() const { return impl_ != nullptr; }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct Impl final : Base {
    explicit Impl(F f) : callable(std::move(f)) {}
    R call(Args... args) override {
      if constexpr (std::is_void_v<R>) {
        callable(std::forward<Args>(args)...);  // what it returns, if anything, is not wanted
      } else {
        return callable(std::forward<Args>(args)...);
      }
    }
    F callable;
  };
  std::unique_ptr<Base> impl_;
};

}  // namespace octroi
