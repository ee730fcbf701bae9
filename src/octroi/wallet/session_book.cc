#include "octroi/wallet/session_book.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <sys/stat.h>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/wallet/errors.h"

namespace octroi::wallet {

namespace {

constexpr std::string_view kSuffix = ".session";
constexpr std::size_t kMostBytes = 1U << 20;
constexpr Millis kLookAgain{20};

Error store_error(const Error& e) {
  return {Errc::session_store, "wallet.store: " + std::string(e.message())};
}

Result<> make_private_folder(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(Errc::session_store, "wallet.store: cannot make the folder '" + path + "'");
  return {};
}

/// The name is authenticated, so that one session's file cannot stand in for another's.
std::string associated(std::string_view name) {
  return "octroi wallet session 1\n" + std::string(name);
}

std::string name_of(const PaymentHash& id) { return id.hex() + std::string(kSuffix); }

}  // namespace

Result<std::unique_ptr<SessionBook>> SessionBook::open(const std::string& store, Random& random) {
  OCTROI_CHECK(make_private_folder(store));
  const std::string folder = store + "/sessions";
  OCTROI_CHECK(make_private_folder(folder));
  auto secret = load_or_create_secret_file(store + "/sessions.key",
                                           {crypto::kAeadKeySize, crypto::kAeadKeySize}, [&random] {
                                             auto raw = random.bytes<crypto::kAeadKeySize>();
                                             Secret key{ByteView(raw)};
                                             secure_wipe(raw.data(), raw.size());
                                             return key;
                                           });
  if (!secret) return fail(store_error(secret.error()));
  OCTROI_TRY(auto key, crypto::AeadKey::from_secret(std::move(*secret)));
  return std::unique_ptr<SessionBook>(new SessionBook(folder, std::move(key), random));
}

std::string SessionBook::path_of(const PaymentHash& id) const {
  return folder_ + "/" + name_of(id);
}

Result<FileLock> SessionBook::turn() const {
  auto lock = FileLock::wait_for(folder_ + "/book.lock");
  if (!lock) return fail(store_error(lock.error()));
  return std::move(*lock);
}

Result<std::optional<SessionRecord>> SessionBook::read(const std::string& name) const {
  auto sealed = read_file(folder_ + "/" + name, kMostBytes);
  if (!sealed && sealed.error().is(FileErrc::not_found)) return std::optional<SessionRecord>();
  if (!sealed) return fail(store_error(sealed.error()));
  const std::string bound = associated(name);
  auto form = key_.open(as_bytes(*sealed), as_bytes(bound));
  if (!form) {
    return fail(Errc::session_store,
                fmt::format("wallet.store: the session in '{}/{}' does not open with sessions.key; "
                            "it is left as it is. Bring back the key, or move the file away",
                            folder_, name));
  }
  auto record = decode_session(*form);
  if (!record) {
    return fail(Errc::session_store,
                fmt::format("wallet.store: '{}/{}': {}", folder_, name, record.error().message()));
  }
  if (!record->preimage.empty()) redactor().add(record->preimage);
  if (record->top_up && !record->top_up->preimage.empty()) redactor().add(record->top_up->preimage);
  return std::optional(std::move(*record));
}

Result<> SessionBook::write(const SessionRecord& record) {
  OCTROI_TRY(const Secret form, encode(record));
  const std::string bound = associated(name_of(record.id));
  OCTROI_TRY(const Bytes sealed, key_.seal(form, as_bytes(bound), random_));
  if (auto written = write_file_atomic(path_of(record.id), sealed); !written)
    return fail(store_error(written.error()));
  return {};
}

Result<std::vector<SessionRecord>> SessionBook::all() const {
  std::vector<std::string> names;
  std::error_code ec;
  for (std::filesystem::directory_iterator at(folder_, ec), end; !ec && at != end;
       at.increment(ec)) {
    std::string name = at->path().filename().string();
    if (name.ends_with(kSuffix) && PaymentHash::from_hex(name.substr(0, name.rfind('.'))))
      names.push_back(std::move(name));
  }
  if (ec) return fail(Errc::session_store, "wallet.store: cannot list '" + folder_ + "'");
  std::vector<SessionRecord> out;
  for (const auto& name : names) {
    OCTROI_TRY(auto record, read(name));
    if (record) out.push_back(std::move(*record));  // else another process has just removed it
  }
  std::ranges::sort(out, [](const SessionRecord& a, const SessionRecord& b) {
    return a.last_used != b.last_used ? a.last_used > b.last_used : a.id < b.id;
  });
  return out;
}

Result<std::vector<SessionRecord>> SessionBook::of_origin(std::string_view origin) const {
  OCTROI_TRY(auto out, all());
  std::erase_if(out, [origin](const SessionRecord& r) { return r.origin != origin; });
  return out;
}

Result<std::optional<SessionRecord>> SessionBook::find(const PaymentHash& id) const {
  return read(name_of(id));
}

Result<> SessionBook::save(const SessionRecord& record) {
  OCTROI_TRY(const FileLock lock, turn());
  return write(record);
}

Result<std::optional<SessionRecord>> SessionBook::change(
    const PaymentHash& id, const std::function<void(SessionRecord&)>& how) {
  OCTROI_TRY(const FileLock lock, turn());
  OCTROI_TRY(auto record, read(name_of(id)));
  if (!record) return record;
  how(*record);
  OCTROI_CHECK(write(*record));
  return record;
}

Result<> SessionBook::remove(const PaymentHash& id) {
  OCTROI_TRY(const FileLock lock, turn());
  std::error_code ec;
  std::filesystem::remove(path_of(id), ec);
  if (ec) return fail(Errc::session_store, "wallet.store: cannot remove '" + path_of(id) + "'");
  return {};
}

Result<> SessionBook::prune(UnixMillis before) {
  OCTROI_TRY(const auto records, all());
  for (const auto& record : records) {
    if (record.stage == SessionStage::closed && record.last_used < before)
      OCTROI_CHECK(remove(record.id));
  }
  return {};
}

Task<Result<FileLock>> SessionBook::claim(net::Loop& loop, std::string origin,
                                          Millis patience) const {
  const auto digest = crypto::sha256(as_bytes(origin));
  const std::string path = folder_ + "/" + to_hex(ByteView(digest).first(16)) + ".lock";
  const Millis until = loop.now() + patience;
  for (;;) {
    auto lock = FileLock::try_for(path);
    if (!lock) co_return fail(store_error(lock.error()));
    if (*lock) co_return std::move(**lock);
    if (loop.now() >= until) {
      co_return fail(Errc::session_busy,
                     "another process is paying this service for a session; try again");
    }
    co_await loop.sleep(kLookAgain);
  }
}

}  // namespace octroi::wallet
