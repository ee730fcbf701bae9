// octroi/wallet/session_turn.h: what one fetch knows while it goes from try to try. Internal to
// SessionManager.   Thread: its loop's.
#pragma once

#include <algorithm>

#include "octroi/wallet/session_manager.h"

namespace octroi::wallet {

/// Shown this long before its end, a challenge still arrives in time.
inline constexpr Millis kShowBefore{2'000};
/// As long as another process may take to pay and to open.
inline constexpr Millis kPatience{150'000};

struct SessionManager::Turn {
  FetchRequest request;
  SessionBook* book = nullptr;
  std::string origin;
  FetchResult result;
  SessionUse use;
  std::optional<SessionOffer> fresh;  // of the last 402, not shown yet
  std::vector<PaymentHash> tried;     // they have ended, or are of another service
  Msat charged;                       // for the answer, in what the record says is spent
  bool asked = false;                 // the request was sent as it is, at least once
  bool opened = false;
  bool topped_up = false;

  [[nodiscard]] std::string_view path() const {
    const std::string_view target = request.http.url.target;
    return target.substr(0, target.find('?'));
  }
  [[nodiscard]] bool has_tried(const PaymentHash& id) const {
    return std::ranges::find(tried, id) != tried.end();
  }
  /// The fresh challenge, when it is one for this session.
  [[nodiscard]] const SessionOffer* fresh_for(const SessionRecord& record) const {
    return fresh && fresh->challenge.realm == record.realm ? &*fresh : nullptr;
  }
  void know(const SessionRecord& record) {
    const bool same = use.id == record.id;  // a stream may have told us more than is written down
    use.id = record.id;
    use.deposit = record.deposit;
    use.spent = same ? std::max(use.spent, record.spent) : record.spent;
  }
};

struct SessionManager::Answer {
  std::unique_ptr<http::ClientExchange> exchange;
  http::ResponseHead head;

  [[nodiscard]] bool refused() const { return head.status == 402 || head.status == 401; }
  [[nodiscard]] bool has_receipt() const { return head.headers.has("Payment-Receipt"); }
};

/// A 402 to a credential, read.
struct SessionManager::Refusal {
  std::optional<mpp::ProblemType> problem;
  std::string detail;        // the service's words: shown, never trusted
  std::optional<Sat> spent;  // of the session, where the service says so
};

/// Where a fetch goes on.
struct SessionManager::Next {
  enum class What : std::uint8_t {
    answered,  // by the open credential
    bear,      // show the session
    look,      // look again what there is to try
  };
  What what = What::look;
  std::optional<SessionRecord> record;
  std::optional<Answer> answer;
};

/// Changes the stored record and keeps a copy.
inline Result<> update(SessionBook& book, SessionRecord& record,
                       const std::function<void(SessionRecord&)>& how) {
  OCTROI_TRY(auto changed, book.change(record.id, how));
  if (!changed) return fail(Errc::session_unknown, "the session was removed meanwhile");
  record = std::move(*changed);
  return {};
}

}  // namespace octroi::wallet
