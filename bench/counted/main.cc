// octroi_gate_instructions: the cases of gate_bench.cc, as often as one likes, under callgrind.
//
//   octroi_gate_instructions            prints the names of the cases
//   octroi_gate_instructions NAME N     runs one: a few turns that are not counted, then N that are
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "benchmark/benchmark.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#error "the Debian package valgrind is missing; run script/bootstrap --bench"
#endif

namespace benchmark {
namespace {

constexpr std::int64_t kWarm = 20;

std::vector<std::unique_ptr<Case>>& cases() {
  static std::vector<std::unique_ptr<Case>> all;
  return all;
}

std::string full_name(const Case& c, std::int64_t argument) {
  return c.arguments().empty() ? c.name() : c.name() + "/" + std::to_string(argument);
}

std::vector<std::int64_t> arguments_of(const Case& c) {
  return c.arguments().empty() ? std::vector<std::int64_t>{0} : c.arguments();
}

int run_one(const std::string& name, std::int64_t count) {
  for (const auto& one : cases()) {
    for (const std::int64_t argument : arguments_of(*one)) {
      if (full_name(*one, argument) != name) continue;
      State state(argument, kWarm, count);
      one->run(state);
      if (state.error().empty()) return 0;
      std::fprintf(stderr, "%s: %s\n", name.c_str(), state.error().c_str());
      return 1;
    }
  }
  std::fprintf(stderr, "no case %s\n", name.c_str());
  return 2;
}

}  // namespace

void toggle_collecting() { CALLGRIND_TOGGLE_COLLECT; }

Case::Case(std::string name, std::function<void(State&)> body)
    : name_(std::move(name)), body_(std::move(body)) {}

Case* add(std::string name, std::function<void(State&)> body) {
  cases().push_back(std::make_unique<Case>(std::move(name), std::move(body)));
  return cases().back().get();
}

}  // namespace benchmark

int main(int argc, char** argv) {
  if (argc == 1) {
    for (const auto& one : benchmark::cases()) {
      for (const std::int64_t argument : benchmark::arguments_of(*one))
        std::printf("%s\n", benchmark::full_name(*one, argument).c_str());
    }
    return 0;
  }
  std::int64_t count = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), count);
  if (count <= 0) {
    std::fprintf(stderr, "usage: octroi_gate_instructions [NAME COUNT]\n");
    return 2;
  }
  return benchmark::run_one(argv[1], count);
}
