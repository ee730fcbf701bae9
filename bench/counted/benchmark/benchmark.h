// bench/counted/benchmark/benchmark.h: stands in for Google Benchmark where instructions are
// counted and not time: a case runs as often as the command line says, and callgrind collects only
// while its loop turns. It knows what the *_bench.cc files use, so that they compile unchanged.
//
// Thread  one; a case that asks for several threads is run on one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace benchmark {

/// Turns callgrind's collecting on or off; nothing outside of it.
void toggle_collecting();

class State {
 public:
  /// `warm` turns come first and are not counted: caches, lists and pools find their size.
  State(std::int64_t argument, std::int64_t warm, std::int64_t counted)
      : argument_(argument), warm_(warm), total_(warm + counted) {}

  struct Turn {
    ~Turn() {}  // so that an unused loop variable is no warning
  };
  class Iterator {
   public:
    explicit Iterator(State* state) : state_(state) {}
    bool operator!=(const Iterator&) const { return state_->more(); }
    Iterator& operator++() { return *this; }
    Turn operator*() const { return {}; }

   private:
    State* state_;
  };
  Iterator begin() { return Iterator(this); }
  Iterator end() { return Iterator(this); }

  [[nodiscard]] std::int64_t range(std::size_t = 0) const { return argument_; }
  void SkipWithError(const char* why) { error_ = why; }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  bool more() {
    if (turn_ == warm_ || turn_ == total_) toggle_collecting();
    return turn_++ < total_;
  }
  std::int64_t argument_;
  std::int64_t warm_;
  std::int64_t total_;
  std::int64_t turn_ = 0;
  std::string error_;
};

/// A function and the arguments it is to be run with.
class Case {
 public:
  Case(std::string name, std::function<void(State&)> body);
  Case* Arg(std::int64_t argument) {
    arguments_.push_back(argument);
    return this;
  }
  Case* Threads(int) { return this; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::int64_t>& arguments() const { return arguments_; }
  void run(State& state) const { body_(state); }

 private:
  std::string name_;
  std::function<void(State&)> body_;
  std::vector<std::int64_t> arguments_;
};

Case* add(std::string name, std::function<void(State&)> body);

template <class T>
inline void DoNotOptimize(T&& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace benchmark

#define BENCHMARK(function) \
  static ::benchmark::Case* const counted_##function = ::benchmark::add(#function, function)
