// octroi/vault/notices.h: what happened to a call that people want to hear of, and what keeps it
// from being said a thousand times. Plain data, without anything of the request but its
// description. Thread: values; OncePerWindow is called from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/base/lru.h"
#include "octroi/money/money.h"

namespace octroi::vault {

struct Notice {
  enum class Kind : std::uint8_t {
    cap_reached,    // a call found no room in a cap
    spend_unknown,  // a call's outcome is not known; its money stays held
  };
  Kind kind = Kind::cap_reached;
  std::string call, key_id, agent, run, policy, vendor, operation;
  MicroUsd amount;     // of the call
  std::string window;  // cap_reached: what was counted, and since when
  std::string period;  // cap_reached: "day"
  std::string limit;   // cap_reached: "50 usd", "100 calls"
  std::optional<UnixMillis> resets_at;
};

/// "cap.reached", "spend.unknown".
[[nodiscard]] std::string_view to_string(Notice::Kind kind);
/// As a JSON object.
[[nodiscard]] std::string to_json(const Notice& notice);

/// Whether a window is seen for the first time. Remembers the last kMost of them: more caps than
/// that are told of again.
class OncePerWindow {
 public:
  static constexpr std::size_t kMost = 4'096;
  [[nodiscard]] bool first(const std::string& window);

 private:
  std::mutex mutex_;
  LruCache<std::string, bool> seen_{kMost};
};

}  // namespace octroi::vault
