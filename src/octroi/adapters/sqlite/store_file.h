// octroi/adapters/sqlite/store_file.h: the database file as the file system sees it: its folder,
// its mode, and the lock that makes one process its only user.
//
// The lock is flock(2) on "<file>.lock" beside the database, which is never removed. The kernel
// drops it when the process ends, however it ends.
#pragma once

#include <string>
#include <utility>

#include "octroi/base/result.h"

namespace octroi::sqlite {

class StoreFile {
 public:
  /// Takes the lock, creates what is missing (folder 0700, file 0600) and tightens the file's mode.
  /// ledger::Errc::locked names the file and, when known, the process that holds it.
  [[nodiscard]] static Result<StoreFile> open(const std::string& path);
  StoreFile(StoreFile&& other) noexcept
      : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}
  StoreFile& operator=(StoreFile&&) = delete;
  StoreFile(const StoreFile&) = delete;
  ~StoreFile();

  /// Absolute, links resolved, so that two spellings of a path are one lock.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  StoreFile(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

}  // namespace octroi::sqlite
