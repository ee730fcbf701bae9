// A ranking names each offer at most once, and the choice is never empty.
#include <array>
#include <cstdlib>
#include <set>

#include "octroi/base/bytes.h"
#include "octroi/mpp/accept_payment.h"
#include "octroi/mpp/binding.h"
#include "octroi/mpp/digest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::array<std::string_view, 1> line = {as_text({data, size})};
  constexpr std::array<mpp::Offer, 3> kOffers = {
      {{"lightning", "charge"}, {"lightning", "session"}, {"a", "b"}}};
  const auto ranges = mpp::parse_accept_payment(line);
  const auto chosen = mpp::choose_offers(ranges, kOffers);
  const std::set<std::size_t> once(chosen.begin(), chosen.end());
  if (chosen.empty() || once.size() != chosen.size() || *once.rbegin() >= kOffers.size())
    std::abort();
  if (ranges) {
    for (const auto& range : *ranges) {
      if (range.weight > 1000) std::abort();
    }
  }
  // The other two small parsers of outside bytes.
  (void)mpp::verify_digest(line[0], as_bytes(""));
  if (const auto path = mpp::normalise_path(line[0])) {
    if (path->empty() || path->front() != '/' || path->find("//") != std::string::npos)
      std::abort();
    std::string escaped;
    for (const char c : *path) {
      if (c == '%' || c == '?' || c == '#') {
        escaped += c == '%' ? "%25" : c == '?' ? "%3F" : "%23";
      } else {
        escaped += c;
      }
    }
    if (mpp::normalise_path(escaped).value() != *path) std::abort();
  }
  return 0;
}
