// Lines of caveats: adding one more caveat never turns a refusal by restriction into a grant, and
// never prolongs or raises what was granted.
#include <cstdlib>

#include "octroi/l402/caveat.h"

using namespace octroi;
using namespace octroi::l402;

namespace {

/// What the grant names stands in its macaroon: `kept` holds it.
std::optional<CaveatGrant> check(const std::vector<std::string_view>& caveats, std::size_t count,
                                 std::vector<Bytes>& kept) {
  MacaroonWriter writer(as_bytes("root"), {}, as_bytes("id"));
  for (std::size_t i = 0; i < count; ++i) writer.add(caveats[i]);
  auto made = std::move(writer).finish();
  if (!made) return std::nullopt;
  const Bytes* bytes = &kept.emplace_back(*std::move(made));
  static constexpr std::string_view kNeeds[] = {"read"};
  const Fact facts[] = {{.name = "max", .value = "50"}, {.name = "method", .value = "GET"}};
  const auto grant = check_caveats(decode_macaroon(*bytes)->caveats,
                                   {.name = "a", .tier = 1, .capabilities = kNeeds, .facts = facts},
                                   from_unix_seconds(100));
  if (!grant) return std::nullopt;
  return *grant;
}

bool grants_capability(const std::vector<std::string_view>& caveats, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (caveats[i].starts_with("a_capabilities=")) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = as_text({data, size});
  std::vector<std::string_view> caveats = {"services=a:2,b:0", "a_capabilities=read,write"};
  while (!text.empty() && caveats.size() < 12) {
    const std::size_t end = text.find('\n');
    caveats.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  std::vector<Bytes> kept;
  kept.reserve(caveats.size());
  std::optional<CaveatGrant> before = check(caveats, 2, kept);
  if (!before || !grants_capability(caveats, 2)) std::abort();
  for (std::size_t n = 3; n <= caveats.size(); ++n) {
    const std::optional<CaveatGrant> after = check(caveats, n, kept);
    if (!after) {
      before.reset();
      continue;
    }
    if (!before) std::abort();  // once refused, always refused
    if (after->tier > before->tier) std::abort();
    if (before->meter) {
      // Of the same unit, never more, and what was sold stays what was sold.
      if (!after->meter || after->meter->unit != before->meter->unit) std::abort();
      if (after->meter->bound > before->meter->bound) std::abort();
      if (after->meter->first != before->meter->first) std::abort();
      if (after->meter->sold_until != before->meter->sold_until) std::abort();
    }
    if (after->meter && (after->meter->bound < 0 || after->meter->bound > after->meter->first))
      std::abort();
    if (before->valid_until && (!after->valid_until || *after->valid_until > *before->valid_until))
      std::abort();
    before = after;
  }
  return 0;
}
