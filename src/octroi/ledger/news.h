// octroi/ledger/news.h: what replicas that share a ledger tell each other so that nobody has to
// wait for the next look into it. Only hints: whoever hears one looks, and looks anyway from time
// to time, so that a lost one costs a moment.
//
// Shape    text of at most 66 characters: "r", or "s " and the session's id in lower-case hex.
// Thread   values; NewsWire::tell from any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/ids.h"

namespace octroi::ledger {

struct News {
  enum class About : std::uint8_t {
    revocations,  // there is a new one
    session,      // it got money, or it ended
  };
  About about = About::revocations;
  PaymentHash session = {};  // which one
  bool operator==(const News&) const = default;
};

[[nodiscard]] std::string to_text(const News& news);
/// Empty: nothing that this version knows.
[[nodiscard]] std::optional<News> news_from(std::string_view text);

class NewsWire {
 public:
  virtual ~NewsWire() = default;
  /// Soon, to every other replica that is there; never waits.
  virtual void tell(const News& news) = 0;
};

}  // namespace octroi::ledger
