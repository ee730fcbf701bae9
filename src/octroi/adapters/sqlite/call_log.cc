#include "octroi/adapters/sqlite/call_log.h"

#include <algorithm>
#include <utility>

#include <sqlite3.h>

#include "octroi/base/little_endian.h"
#include "octroi/crypto/hash.h"
#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

using ledger::Errc;

constexpr std::string_view kMagic = "OCL1";
constexpr std::size_t kHashed = 4 + 4 + 8 + 8;
constexpr std::size_t kHash = 16;
constexpr std::size_t kHead = kHashed + kHash;

std::int64_t number_at(ByteView bytes, std::size_t at, std::size_t size) {
  return static_cast<std::int64_t>(little_endian(bytes.subspan(at, size)));
}

std::string head_of(std::int64_t generation, std::int64_t number, std::string_view payload) {
  std::string out(kMagic);
  append_little_endian(out, static_cast<std::uint32_t>(payload.size()));
  append_little_endian(out, static_cast<std::uint64_t>(generation));
  append_little_endian(out, static_cast<std::uint64_t>(number));
  crypto::Sha256 hash;
  hash.update(as_bytes(out)).update(as_bytes(payload));
  out += as_text(ByteView(hash.finish()).first(kHash));
  return out;
}

}  // namespace

CallLog::CallLog(const std::string& database, const std::string& vfs)
    : path_(database + "-calls"), vfs_(sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str())) {}

CallLog::~CallLog() { close(); }

void CallLog::close() {
  if (file_ != nullptr) file_->pMethods->xClose(file_);
  file_ = nullptr;
}

Result<> CallLog::open(Missing missing) {
  if (file_ != nullptr) return {};
  if (vfs_ == nullptr) return failure(SQLITE_ERROR);
  if (missing == Missing::leave) {
    int exists = 0;
    const int code = vfs_->xAccess(vfs_, path_.c_str(), SQLITE_ACCESS_EXISTS, &exists);
    if (code != SQLITE_OK) return failure(code);
    if (exists == 0) return {};
  }
  memory_ = std::make_unique<char[]>(static_cast<std::size_t>(vfs_->szOsFile));
  auto* const file = reinterpret_cast<sqlite3_file*>(memory_.get());
  // As a write-ahead log, so that it gets the mode of its database.
  const int code =
      vfs_->xOpen(vfs_, path_.c_str(), file,
                  SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL, nullptr);
  if (code != SQLITE_OK) return failure(code);
  file_ = file;
  return {};
}

void CallLog::remove() {
  close();
  if (vfs_ != nullptr) vfs_->xDelete(vfs_, path_.c_str(), 0);
}

tl::unexpected<Error> CallLog::failure(int code) const {
  return fail(Errc::unavailable,
              fmt::format("{}: {} (SQLite {})", path_, sqlite3_errstr(code), code));
}

Result<> CallLog::write(std::int64_t offset, std::string_view bytes) {
  // SQLite's layer takes a multiple of 128 KiB for nothing at all.
  constexpr std::size_t kMost = 64 << 10;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kMost, bytes.size()))) {
    const std::string_view part = bytes.substr(0, kMost);
    const int code =
        file_->pMethods->xWrite(file_, part.data(), static_cast<int>(part.size()), offset);
    if (code != SQLITE_OK) return failure(code);
    offset += std::ssize(part);
  }
  return {};
}

Result<Bytes> CallLog::read(std::int64_t offset, std::int64_t size) {
  Bytes out(static_cast<std::size_t>(size));
  const int code = file_->pMethods->xRead(file_, out.data(), static_cast<int>(size), offset);
  // A short read fills up with zeros, which are no frame.
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return failure(code);
  return out;
}

Result<std::vector<Bytes>> CallLog::frames(std::int64_t generation) {
  std::vector<Bytes> out;
  OCTROI_CHECK(open(Missing::leave));
  if (file_ == nullptr) return out;
  for (std::int64_t at = 0; at + std::int64_t{kHead} <= kSize;) {
    OCTROI_TRY(const Bytes head, read(at, kHead));
    if (as_text(ByteView(head).first(kMagic.size())) != kMagic) break;
    const std::int64_t size = number_at(head, 4, 4);
    const std::int64_t number = number_at(head, 16, 8);
    if (number_at(head, 8, 8) != generation || number != std::ssize(out) ||
        at + std::int64_t{kHead} + size > kSize)
      break;
    OCTROI_TRY(Bytes payload, read(at + std::int64_t{kHead}, size));
    if (head_of(generation, number, as_text(payload)) != as_text(head)) break;
    out.push_back(std::move(payload));
    at += std::int64_t{kHead} + size;
  }
  return out;
}

bool CallLog::has_room(std::int64_t generation, std::size_t size) const {
  const std::int64_t begin = generation == generation_ ? end_ : 0;
  return begin + static_cast<std::int64_t>(kHead + size) <= kSize;
}

Result<> CallLog::append(std::int64_t generation, std::string_view payload) {
  OCTROI_CHECK(open(Missing::make));
  if (generation != std::exchange(generation_, generation)) {
    next_ = 0;
    end_ = 0;
  }
  std::string frame = head_of(generation, next_, payload);
  frame += payload;
  OCTROI_CHECK(write(end_, frame));
  const int code = file_->pMethods->xSync(file_, SQLITE_SYNC_FULL | SQLITE_SYNC_DATAONLY);
  if (code != SQLITE_OK) return failure(code);
  ++next_;
  end_ += std::ssize(frame);
  return {};
}

}  // namespace octroi::sqlite
