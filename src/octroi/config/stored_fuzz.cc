// Documents of stored services, as anybody with the admin token may send them: whatever they hold,
// each problem names its place and its fix, and a document that is taken is taken again when it was
// written anew.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "octroi/config/load.h"
#include "octroi/json/canonical.h"

using namespace octroi;  // NOLINT(google-build-using-namespace): a fuzz target

namespace {

config::LoadResult load_with(const std::string& document) {
  static const ManualClock clock(UnixMillis{1'763'700'000'000});
  config::LoadOptions options;
  options.clock = &clock;
  options.stored = {{"a", document}};
  return config::load("lightning: { backend: sim }\npaywall: { store_references: 'env://UP_' }\n",
                      "f", options);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > config::kMaxStoredBytes / 2) return 0;
  const std::string document(reinterpret_cast<const char*>(data), size);
  const auto loaded = load_with(document);
  if (!loaded) {
    for (const config::Problem& p : loaded.error()) {
      if (p.message.empty() || p.fix.empty()) std::abort();
    }
    return 0;
  }
  const auto canonical = json::canonicalize(document, {32, config::kMaxStoredBytes, false});
  if (!canonical || !load_with(*canonical)) std::abort();
  const auto edited = config::edit_service(*canonical, {"description=x"}, {});
  if (!edited || !load_with(*edited)) std::abort();
  return 0;
}
