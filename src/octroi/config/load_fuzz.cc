// The loader over arbitrary text: it never throws, every problem has a message and a fix, what
// loads can be printed and loaded again without a change, and what is tidied says the same.
#include <cstdlib>

#include "octroi/config/load.h"
#include "octroi/config/print.h"

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  using namespace octroi::config;
  if (size > 16384) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  static const ManualClock clock(UnixMillis{1'795'000'000'000});
  LoadOptions options;
  options.clock = &clock;
  const LoadResult loaded = load(text, "f", options);
  if (!loaded) {
    require(!loaded.error().empty());
    for (const Problem& p : loaded.error()) require(!p.message.empty() && !p.fix.empty());
  } else {
    PrintOptions print_options;
    const std::string printed = print(*loaded->values, print_options).value();
    print_options.json = true;
    require(print(*loaded->values, print_options).has_value());
    // Values that print does not show (secrets written in the file) cannot come back.
    if (printed.find("(written in the file)") == std::string::npos &&
        printed.find("(PEM text)") == std::string::npos &&
        printed.find("***@") == std::string::npos) {
      const LoadResult again = load(printed, "again", options);
      require(again.has_value());
      require(diff(*loaded, *again).empty());
    }
  }
  if (const auto tidy = format_yaml(text, "f")) require(format_yaml(*tidy, "g").has_value());
  return 0;
}
