#include "octroi/base/file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/base/random.h"

namespace octroi {

ErrorInfo error_info(FileErrc e) {
  switch (e) {
    case FileErrc::not_found:
      return {"file.not_found", ErrorKind::not_found};
    case FileErrc::denied:
      return {"file.denied", ErrorKind::refused};
    case FileErrc::too_large:
      return {"file.too_large", ErrorKind::limit};
    case FileErrc::not_regular:
      return {"file.not_regular", ErrorKind::invalid};
    case FileErrc::bad_size:
      return {"file.bad_size", ErrorKind::invalid};
    case FileErrc::io:
      return {"file.io", ErrorKind::internal};
  }
  return {"file.unknown", ErrorKind::internal};
}

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

tl::unexpected<Error> system_error(std::string_view doing, const std::string& path, int code) {
  FileErrc which = FileErrc::io;
  if (code == ENOENT || code == ENOTDIR) which = FileErrc::not_found;
  if (code == EACCES || code == EPERM || code == EROFS) which = FileErrc::denied;
  return fail(which,
              fmt::format("cannot {} {}: {}", doing, path, std::generic_category().message(code)));
}

/// Removes a temporary file unless it was renamed into place.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<> sync_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder (EINVAL); the file itself is safe by then.
  if (!fd.valid() || (fsync(fd.get()) != 0 && errno != EINVAL)) {
    return system_error("sync the folder", folder, errno);
  }
  return {};
}

Result<> write_all(int fd, ByteView content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", path, errno);
    content = content.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

/// A new, complete and synced file beside `path`, under a name nobody else has.
Result<std::string> write_beside(const std::string& path, ByteView content, unsigned mode) {
  std::string temporary = fmt::format("{}.{}.tmp", path, to_hex(system_random().bytes<8>()));
  const Descriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid()) return system_error("create", temporary, errno);
  TemporaryFile guard(temporary);
  // The umask may have taken rights away that the caller asked for.
  if (fchmod(fd.get(), mode) != 0) return system_error("set the permissions of", temporary, errno);
  OCTROI_CHECK(write_all(fd.get(), content, temporary));
  if (fsync(fd.get()) != 0) return system_error("sync", temporary, errno);
  guard.keep();
  return temporary;
}

/// Opens without blocking on a pipe and gives the size of a regular file.
Result<std::size_t> regular_size(const Descriptor& fd, const std::string& path, std::size_t limit) {
  if (!fd.valid()) return system_error("open", path, errno);
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return system_error("stat", path, errno);
  if (!S_ISREG(info.st_mode)) return fail(FileErrc::not_regular, path + " is not a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size > limit) {
    return fail(FileErrc::too_large, fmt::format("{} is larger than {} bytes", path, limit));
  }
  return size;
}

int open_for_reading(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/// Up to limit + 1 bytes into `out`, which is as large; the number read.
Result<std::size_t> read_up_to(int fd, std::span<std::uint8_t> out, const std::string& path) {
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = read(fd, out.data() + have, out.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have;
}

/// Reads without leaving partial copies behind: the buffer never grows while it holds content.
Result<Bytes> read_regular(const std::string& path, std::size_t limit) {
  const Descriptor fd(open_for_reading(path));
  OCTROI_TRY(const std::size_t size, regular_size(fd, path, limit));
  // Files of /proc and the like say 0 and hold more, and a file may grow as it is read.
  for (std::size_t room = std::max<std::size_t>(size, 4096) + 1;; room = room * 2 + 1) {
    room = std::min(room, limit + 1);
    Bytes content(room);
    if (lseek(fd.get(), 0, SEEK_SET) < 0) return system_error("read", path, errno);
    const auto have = read_up_to(fd.get(), content, path);
    if (have && (*have < room)) {
      content.resize(*have);
      return content;
    }
    secure_wipe(content.data(), content.size());
    if (!have) return fail(have.error());
    if (room > limit) {
      return fail(FileErrc::too_large, fmt::format("{} is larger than {} bytes", path, limit));
    }
  }
}

Result<Secret> load_secret(const std::string& path, FileSize size) {
  auto loaded = read_secret_file(path, size.most);
  const bool wrong = loaded ? loaded->size() < size.least : loaded.error().is(FileErrc::too_large);
  if (!wrong) return loaded;
  const std::string wanted = size.least == size.most
                                 ? fmt::format("{} bytes", size.least)
                                 : fmt::format("{} to {} bytes", size.least, size.most);
  return fail(FileErrc::bad_size,
              fmt::format("{} exists but does not hold {}; it was left as it is: restore it from a "
                          "backup, or remove it to have a new one made",
                          path, wanted));
}

/// Gives a complete file its name only if nothing has that name: false when something has.
Result<bool> link_if_absent(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) return system_error("create", to, errno);
  // A file system without that flag: a hard link refuses an existing name as well.
  if (link(from.c_str(), to.c_str()) != 0) {
    if (errno == EEXIST) return false;
    return system_error("create", to, errno);
  }
  unlink(from.c_str());
  return true;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  OCTROI_TRY(const Bytes content, read_regular(path, limit));
  return std::string(as_text(content));
}

Result<Secret> read_secret_file(const std::string& path, std::size_t limit) {
  OCTROI_TRY(Bytes content, read_regular(path, limit));
  return Secret::take(std::move(content));
}

Result<> write_file_atomic(const std::string& path, ByteView content, unsigned mode) {
  OCTROI_TRY(std::string written, write_beside(path, content, mode));
  TemporaryFile temporary(std::move(written));
  if (std::rename(temporary.path().c_str(), path.c_str()) != 0) {
    return system_error("replace", path, errno);
  }
  temporary.keep();
  return sync_folder(path);
}

Result<Secret> load_or_create_secret_file(const std::string& path, FileSize size,
                                          UniqueFunction<Secret()> make) {
  auto existing = load_secret(path, size);
  if (existing || !existing.error().is(FileErrc::not_found)) return existing;
  Secret secret = make();
  if (secret.size() < size.least || secret.size() > size.most) {
    return fail(FileErrc::bad_size, "the new content of " + path + " has the wrong size");
  }
  OCTROI_TRY(std::string written, write_beside(path, secret.reveal(), 0600));
  TemporaryFile temporary(std::move(written));
  OCTROI_TRY(const bool created, link_if_absent(temporary.path(), path));
  if (!created) return load_secret(path, size);  // another process was first: its value counts
  temporary.keep();
  OCTROI_CHECK(sync_folder(path));
  return secret;
}

Result<> make_private_file(const std::string& path) {
  const Descriptor made(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made.valid() && errno != EEXIST) return system_error("make", path, errno);
  return {};
}

Result<FileLock> FileLock::wait_for(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_error("open the lock file", path, errno);
  FileLock lock(fd);
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return system_error("lock", path, errno);
  }
  return lock;
}

Result<std::optional<FileLock>> FileLock::try_for(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_error("open the lock file", path, errno);
  FileLock lock(fd);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::optional<FileLock>();
    if (errno != EINTR) return system_error("lock", path, errno);
  }
  return std::optional<FileLock>(std::move(lock));
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace octroi
