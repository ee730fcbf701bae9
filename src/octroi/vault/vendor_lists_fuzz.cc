// Answers of vendors to what octroi asks them: lists of what was done, and single objects. The
// first byte says whose. Whatever is read must lead back to the vendor and nowhere else, cost
// nothing negative, and be the same when it is read again.
#include <cstdlib>

#include "octroi/vault/packs/resend/resend.h"
#include "octroi/vault/packs/stripe/stripe.h"
#include "octroi/vault/packs/twilio/twilio.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {
namespace {

constexpr UnixMillis kFrom{1'763'700'000'000};

void require(bool held) {
  if (!held) std::abort();
}

bool same(const VendorItem& a, const VendorItem& b) {
  return a.object == b.object && a.mark == b.mark && a.match == b.match && a.loose == b.loose &&
         a.created == b.created && a.spent == b.spent && a.changes == b.changes &&
         a.price_due == b.price_due && a.usd == b.usd && a.minor.has_value() == b.minor.has_value();
}

void check_item(const VendorItem& item) {
  require(!item.usd || *item.usd >= MicroUsd{});
  require(!item.minor || item.minor->minor >= 0);
  require(item.match.empty() || item.match.size() == 32 || item.match.size() == 22);
  // Whatever one is found by is no list of several, and the two kinds are not taken for each other.
  require(split_matches(item.match).size() == 1 && !item.match.starts_with(kLoose));
  require(item.loose.empty() ||
          (item.loose.size() == item.match.size() && item.loose.starts_with(kLoose)));
  // What is not known yet costs something, and has no price.
  require(!item.price_due || (item.spent && !item.usd));
}

/// The next page is asked for with the real key.
void check_target(const std::string& next) {
  if (next.empty()) return;
  require(next.starts_with('/') && !next.starts_with("//"));
}

void check_list(const VendorQuestions& ask, const VendorList& list, const json::Value& answer) {
  const auto page = ask.read_list(list.target, answer);
  const auto again = ask.read_list(list.target, answer);
  require(page.has_value() == again.has_value());
  if (!page) return;
  check_target(page->next);
  require(page->next == again->next && page->items.size() == again->items.size());
  for (std::size_t i = 0; i < page->items.size(); ++i) {
    const VendorItem& item = page->items[i];
    check_item(item);
    require(same(item, again->items[i]));
    // A page that is cut short by its order needs the time of everything on it.
    require(!page->newest_first || item.created);
    for (const std::string& operation : list.operations) {
      const std::string object = ask.object(operation, item.object);
      check_target(object);
      require(object.find("..") == std::string::npos);
      require(object.find_first_of(" ?#\r\n") == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace octroi::vault

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;         // NOLINT(google-build-using-namespace): the subject of this file
  using namespace octroi::vault;  // NOLINT(google-build-using-namespace): likewise
  static const std::array<std::unique_ptr<VendorPack>, 3> kPacks = {
      make_stripe_pack(), make_twilio_pack(), make_resend_pack()};
  if (size == 0) return 0;
  const VendorQuestions& ask = *kPacks.at(data[0] % kPacks.size())->questions();
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto doc = json::parse(text);
  if (!doc) return 0;
  for (const VendorList& list : ask.lists(kFrom, kFrom)) {
    require(!list.operations.empty());
    check_list(ask, list, doc->root());
  }
  if (const auto item = ask.read_object(doc->root())) {
    require(!item->object.empty());
    check_item(*item);
  }
  return 0;
}
