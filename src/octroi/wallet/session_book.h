// octroi/wallet/session_book.h: the prepaid sessions of a wallet profile, shared by every process
// of it: one sealed file a session below `wallet.store`.
//
//   sessions/<id>.session   AES-256-GCM over the record; its name is authenticated with it
//   sessions/*.lock         who may change a record, who may pay for an origin
//   sessions.key            32 random bytes, 0600; without it the sessions are lost
//
// A file that cannot be read is an error and is left alone: taking it for absent would pay a
// deposit again. Records are replaced whole and synced before a call returns. Errors
// Errc::session_store; session_busy.   Thread   one at a time; calls block for a file write,
//          but never for another process's payment.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/file.h"
#include "octroi/base/random.h"
#include "octroi/crypto/aead.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"
#include "octroi/wallet/session_record.h"

namespace octroi::wallet {

class SessionBook {
 public:
  /// `store` is made when missing (0700). The Random must outlive the book.
  [[nodiscard]] static Result<std::unique_ptr<SessionBook>> open(const std::string& store,
                                                                 Random& random);

  /// The latest used first.
  [[nodiscard]] Result<std::vector<SessionRecord>> all() const;
  [[nodiscard]] Result<std::vector<SessionRecord>> of_origin(std::string_view origin) const;
  [[nodiscard]] Result<std::optional<SessionRecord>> find(const PaymentHash& id) const;

  /// Writes the record, whatever was there: for who has claimed its origin.
  [[nodiscard]] Result<> save(const SessionRecord& record);
  /// Changes what is there now, not what was read before; nothing when it is gone.
  [[nodiscard]] Result<std::optional<SessionRecord>> change(
      const PaymentHash& id, const std::function<void(SessionRecord&)>& how);
  [[nodiscard]] Result<> remove(const PaymentHash& id);
  /// Forgets sessions that ended before `before`.
  [[nodiscard]] Result<> prune(UnixMillis before);

  /// Whoever pays for an origin, or ends one of its sessions, holds this. Waits at most `patience`
  /// for another process, without holding up the loop.
  Task<Result<FileLock>> claim(net::Loop& loop, std::string origin, Millis patience) const;

 private:
  SessionBook(std::string folder, crypto::AeadKey key, Random& random)
      : folder_(std::move(folder)), key_(std::move(key)), random_(random) {}
  [[nodiscard]] std::string path_of(const PaymentHash& id) const;
  [[nodiscard]] Result<std::optional<SessionRecord>> read(const std::string& name) const;
  [[nodiscard]] Result<> write(const SessionRecord& record);
  [[nodiscard]] Result<FileLock> turn() const;

  const std::string folder_;
  const crypto::AeadKey key_;
  Random& random_;
};

}  // namespace octroi::wallet
