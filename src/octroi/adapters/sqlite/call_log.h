// octroi/adapters/sqlite/call_log.h: the file beside the database that holds what calls changed and
// the tables do not have yet (adapters/sql/call_buffer.h): "<database>-calls".
//
//   frame   magic "OCL1" · length (4 bytes) · generation (8) · number in the generation (8)
//           · the first 16 bytes of SHA-256 over these and the payload · payload
//   file    frames from the beginning, without a gap. A frame of another generation, with another
//           number or another hash ends them: what stands there is older, or was never finished.
//
// A new generation begins at the start again and writes over the old one: once the file has grown,
// syncing it moves the bytes and nothing of the file system's own.
//
// SQLite's own layer under files is used, so that what a disk can do is tested in one place.
// Errors   ledger::Errc::unavailable. After a failed append nobody knows what the file holds.
// Thread   one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"

struct sqlite3_file;
struct sqlite3_vfs;

namespace octroi::sqlite {

class CallLog {
 public:
  /// It grows no further.
  static constexpr std::int64_t kSize = 1 << 20;

  /// Of the database at this path. `vfs` empty: the system's.
  CallLog(const std::string& database, const std::string& vfs);
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;
  ~CallLog();

  /// The frames of a generation, in their order; none when there is no file. Also while another
  /// process appends to them.
  [[nodiscard]] Result<std::vector<Bytes>> frames(std::int64_t generation);
  /// Whether a frame with this payload has room behind those of this generation.
  [[nodiscard]] bool has_room(std::int64_t generation, std::size_t payload) const;
  /// Writes and syncs. REQUIRES has_room().
  [[nodiscard]] Result<> append(std::int64_t generation, std::string_view payload);
  /// When the tables have everything. A file that stays all the same is older than they are.
  void remove();

 private:
  enum class Missing : std::uint8_t { make, leave };
  /// file_ stays null when there is none and it is left so.
  [[nodiscard]] Result<> open(Missing missing);
  void close();
  [[nodiscard]] Result<> write(std::int64_t offset, std::string_view bytes);
  [[nodiscard]] Result<Bytes> read(std::int64_t offset, std::int64_t size);
  [[nodiscard]] tl::unexpected<Error> failure(int code) const;

  const std::string path_;
  sqlite3_vfs* const vfs_;
  std::unique_ptr<char[]> memory_;  // of file_
  sqlite3_file* file_ = nullptr;
  std::int64_t generation_ = -1;  // of the frames that were appended last
  std::int64_t next_ = 0;         // their number
  std::int64_t end_ = 0;          // where the next one goes
};

}  // namespace octroi::sqlite
