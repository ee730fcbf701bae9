// octroi/base/file.h: small files: bounded reads, atomic writes, and secrets that are made only
// once.
//
// Errors   FileErrc, with the path and what to do in the message, never the content.
// Thread   any; blocking, so not on a worker's loop once traffic flows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/base/function.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi {

enum class FileErrc : std::uint8_t {
  not_found,    // no such file, or a folder of the path is missing
  denied,       // the permissions do not allow it
  too_large,    // more bytes than the caller's limit
  not_regular,  // a folder, socket, pipe or device where a file is needed
  bad_size,     // exists, but empty or not of the size that is asked for
  io,           // anything else the system said
};
ErrorInfo error_info(FileErrc e);

inline constexpr std::size_t kFileLimit = 16U << 20;

/// The whole file. Follows links; refuses what is not a regular file.
[[nodiscard]] Result<std::string> read_file(const std::string& path,
                                            std::size_t limit = kFileLimit);
/// As read_file, into guarded memory, with no copy left behind.
[[nodiscard]] Result<Secret> read_secret_file(const std::string& path,
                                              std::size_t limit = 1U << 20);

/// Replaces the file as a whole or not at all: a temporary file beside it, synced, renamed over it,
/// folder synced.
[[nodiscard]] Result<> write_file_atomic(const std::string& path, ByteView content,
                                         unsigned mode = 0600);

struct FileSize {
  std::size_t least = 1;
  std::size_t most = 4096;
};
/// Reads the secret at `path`; only when nothing is there, calls `make` and creates it (0600). Of
/// two processes that start at once, one creates and both return the same value. A file that exists
/// but cannot be read, is empty or has another size is an error, and the file is left as it is.
[[nodiscard]] Result<Secret> load_or_create_secret_file(const std::string& path, FileSize size,
                                                        UniqueFunction<Secret()> make);

/// Makes an empty file (0600) where nothing is. One that is there is not even opened: closing a
/// second descriptor of a file drops the POSIX locks that this process holds on it through SQLite.
[[nodiscard]] Result<> make_private_file(const std::string& path);

/// A lock between processes and threads, as long as it lives. It also ends with the process.
class FileLock {
 public:
  /// Waits for whoever has it. The file is made (0600) when missing and is never removed.
  [[nodiscard]] static Result<FileLock> wait_for(const std::string& path);
  /// Nothing when somebody has it. For loops, which must not wait.
  [[nodiscard]] static Result<std::optional<FileLock>> try_for(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace octroi
