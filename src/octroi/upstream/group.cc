#include "octroi/upstream/group.h"

#include <algorithm>

namespace octroi::upstream {

bool Group::known_down(UnixMillis now) const {
  return std::ranges::all_of(
      addresses, [now](const auto& a) { return a->standing(now) == Standing::refused; });
}

std::shared_ptr<const Group> Directory::group(const std::string& service, const std::string& scheme,
                                              const std::vector<Address>& addresses,
                                              const Policy& policy) {
  auto made = std::make_shared<Group>();
  made->service = service;
  made->policy = policy;
  for (const Address& address : addresses) {
    http::Origin origin{scheme, address.host, address.port};
    std::weak_ptr<AddressState>& kept = states_[{service, name_of(origin)}];
    std::shared_ptr<AddressState> state = kept.lock();
    if (state == nullptr) {
      state = std::make_shared<AddressState>(metrics_, service, std::move(origin));
      kept = state;
    }
    // Nobody would ever take back what a check said that is no longer made.
    if (!policy.health) state->set_checked(true, {});
    made->addresses.push_back(std::move(state));
    made->weights.push_back(std::max<std::int64_t>(address.weight, 1));
  }
  return made;
}

void Directory::tick(UnixMillis now) {
  for (auto it = states_.begin(); it != states_.end();) {
    if (const auto state = it->second.lock()) {
      state->tick(now);
      ++it;
      continue;
    }
    const Labels labels = labels_of(it->first.first, it->first.second);
    for (const auto metric : kAddressMetrics) metrics_.hide(metric, labels);
    it = states_.erase(it);
  }
}

}  // namespace octroi::upstream
