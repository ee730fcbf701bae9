#include "octroi/ledger/news.h"

namespace octroi::ledger {

std::string to_text(const News& news) {
  switch (news.about) {
    case News::About::revocations:
      return "r";
    case News::About::session:
      return "s " + news.session.hex();
  }
  return {};
}

std::optional<News> news_from(std::string_view text) {
  if (text == "r") return News{};
  if (!text.starts_with("s ")) return std::nullopt;
  const auto session = PaymentHash::from_hex(text.substr(2), HexCase::lower);
  if (!session) return std::nullopt;
  return News{News::About::session, *session};
}

}  // namespace octroi::ledger
