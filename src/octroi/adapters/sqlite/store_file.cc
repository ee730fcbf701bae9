#include "octroi/adapters/sqlite/store_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

namespace fs = std::filesystem;
using ledger::Errc;

tl::unexpected<Error> refused(const std::string& path, std::string_view what) {
  return fail(Errc::unavailable, fmt::format("store {}: {}", path, what));
}

tl::unexpected<Error> refused_by_system(const std::string& path, std::string_view doing,
                                        int error) {
  return refused(path, fmt::format("{}: {}", doing, std::generic_category().message(error)));
}

Result<fs::path> resolve(const std::string& path) {
  if (path.empty()) return refused("path", "is empty: write sqlite:///folder/octroi.db");
  std::error_code error;
  const fs::path full = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error || full.filename().empty()) return refused(path, "is not the path of a file");
  return full;
}

Result<> check_folder(const fs::path& folder) {
  struct stat st{};
  if (::stat(folder.c_str(), &st) != 0) {
    if (errno != ENOENT) return refused_by_system(folder, "cannot look at the folder", errno);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return refused_by_system(folder, "cannot create the folder", errno);
    }
    return {};
  }
  if (!S_ISDIR(st.st_mode)) return refused(folder, "is not a folder");
  // Whoever may write the folder may replace the file; the sticky bit stops that for others' files.
  if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0) {
    return refused(folder, "everybody may write this folder: chmod o-w");
  }
  return {};
}

/// Creates the file 0600, or takes the rights of others from one that is there: SQLite gives its
/// log and index files the same mode.
Result<> claim_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return refused_by_system(path, "cannot open or create the file", errno);
  struct stat st{};
  int error = 0;
  if (::fstat(fd, &st) != 0) error = errno;
  if (error == 0 && (st.st_mode & 077) != 0 && ::fchmod(fd, 0600) != 0) error = errno;
  ::close(fd);
  if (error != 0) return refused_by_system(path, "cannot take the file from others", error);
  if (!S_ISREG(st.st_mode)) return refused(path, "is not a regular file");
  return {};
}

std::string holder_of(int lock) {
  char text[24] = {};
  const ssize_t n = ::pread(lock, text, sizeof text - 1, 0);
  std::string_view pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  pid = pid.substr(0, pid.find_first_not_of("0123456789"));
  return pid.empty() ? "another process" : fmt::format("process {}", pid);
}

Result<int> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) return refused_by_system(lock_path, "cannot open the lock file", errno);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string holder = holder_of(lock);
    ::close(lock);
    if (error != EWOULDBLOCK) return refused_by_system(lock_path, "cannot lock", error);
    return fail(Errc::locked,
                fmt::format("store {} is in use by {}: stop it, or speak to its admin.listen", path,
                            holder));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // Only for the message above; the lock holds whether or not it could be written.
  if (::ftruncate(lock, 0) == 0) {
    [[maybe_unused]] const ssize_t n = ::pwrite(lock, pid.data(), pid.size(), 0);
  }
  return lock;
}

}  // namespace

Result<StoreFile> StoreFile::open(const std::string& path) {
  OCTROI_TRY(const fs::path full, resolve(path));
  OCTROI_CHECK(check_folder(full.parent_path()));
  OCTROI_TRY(const int lock, take_lock(full));
  StoreFile file(full, lock);
  OCTROI_CHECK(claim_file(full));
  return file;
}

StoreFile::~StoreFile() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace octroi::sqlite
