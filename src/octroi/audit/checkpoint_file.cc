#include "octroi/audit/checkpoint_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "octroi/base/file.h"
#include "octroi/base/log.h"

namespace octroi::audit {

namespace {

constexpr std::string_view kModule = "audit";
constexpr std::size_t kMostCheckpoints = 1U << 30;  // bytes of the file

tl::unexpected<Error> refused(const std::string& path, int error) {
  return fail(Errc::unavailable,
              fmt::format("audit checkpoints {}: {}", path, std::strerror(error)));
}

}  // namespace

Result<> append_checkpoint(const std::string& path, std::string_view line, Sync sync) {
  const int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refused(path, errno);
  const off_t before = ::lseek(fd, 0, SEEK_END);
  // A line that was not finished when the power went stays by itself.
  char last = '\n';
  if (before > 0 && ::pread(fd, &last, 1, before - 1) != 1) last = '\0';
  const std::string text = (last == '\n' ? "" : "\n") + std::string(line) + "\n";
  const ssize_t wrote = ::write(fd, text.data(), text.size());
  const bool whole = wrote == static_cast<ssize_t>(text.size());
  const bool good = whole && (sync == Sync::later || ::fdatasync(fd) == 0);
  const int error = good ? 0 : (whole || wrote < 0 ? errno : ENOSPC);
  if (!good && before >= 0 && ::ftruncate(fd, before) != 0) {
    OCTROI_LOG(error, kModule, "a line of checkpoints is not whole", {{"file", path}});
  }
  ::close(fd);
  if (!good) return refused(path, error);
  return {};
}

Result<std::vector<Checkpoint>> read_checkpoints(const std::string& path) {
  auto text = read_file(path, kMostCheckpoints);
  if (!text) {
    if (text.error().is(FileErrc::not_found)) return std::vector<Checkpoint>{};
    return fail(std::move(text).error());
  }
  std::vector<Checkpoint> out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // the process ended while it wrote
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.empty()) continue;
    if (auto c = parse_checkpoint(line)) {
      out.push_back(*std::move(c));
    } else {
      OCTROI_LOG(warn, kModule, "a line is no checkpoint", {{"file", path}});
    }
  }
  return out;
}

}  // namespace octroi::audit
