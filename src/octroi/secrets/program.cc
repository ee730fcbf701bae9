#include "octroi/secrets/program.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace octroi::secrets {
namespace {

using Moment = std::chrono::steady_clock::time_point;
constexpr int kFirstInherited = 3;
constexpr Millis kLookAgain{5};

int left_until(Moment end) {
  const auto left = std::chrono::ceil<Millis>(end - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<Millis::rep>(left.count(), 0, 60'000));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

/// What a program is started with: streams, a process group of its own, no signal held back.
class Settings {
 public:
  explicit Settings(int output) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&files_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&files_, kFirstInherited);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;
  ~Settings() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* files() const { return &files_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

/// A started program; whoever lets go of it kills its whole group.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  /// Its status as waitpid tells it; nothing when it still runs at `end`.
  std::optional<int> ended_by(Moment end) {
    for (;;) {
      int status = 0;
      const pid_t got = ::waitpid(pid_, &status, WNOHANG);
      if (got == pid_) {
        // What it left behind would hold its secrets as long as it likes.
        ::kill(-std::exchange(pid_, -1), SIGKILL);
        return status;
      }
      const int left = left_until(end);
      if (left == 0) return std::nullopt;
      ::poll(nullptr, 0, std::min(left, static_cast<int>(kLookAgain.count())));
    }
  }

 private:
  pid_t pid_;
};

tl::unexpected<Error> refused(Errc why, const Program& program, std::string_view what) {
  return fail(why, fmt::format("{}: {}", program.path, what));
}

Result<> check_file(const Program& program) {
  struct stat st{};
  if (::stat(program.path.c_str(), &st) != 0)
    return refused(Errc::not_set, program, "there is no such program");
  if (!S_ISREG(st.st_mode) || ::access(program.path.c_str(), X_OK) != 0)
    return refused(Errc::unreadable, program, "is not a program that may be run here");
  if ((st.st_mode & S_IWOTH) != 0)
    return refused(Errc::unreadable, program, "everybody may write it: chmod o-w");
  return {};
}

/// The buffer that is read into is wiped by whoever gets it.
Result<std::string> read_all(const Program& program, int from, Moment end) {
  std::string out;
  out.reserve(kMostProgramOutput + 1);  // never moved, so that no copy stays behind
  const auto give_up = [&](Errc why, std::string_view what) {
    secure_wipe(out.data(), out.size());
    return refused(why, program, what);
  };
  for (;;) {
    pollfd wait{from, POLLIN, 0};
    const int left = left_until(end);
    const int ready = ::poll(&wait, 1, left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && left_until(end) > 0) continue;
    if (ready == 0) {
      return give_up(Errc::timeout,
                     fmt::format("did not end within {} ms", program.timeout.count()));
    }
    std::array<char, 4096> chunk;
    const ssize_t got = ::read(from, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return give_up(Errc::unreadable, "what it prints cannot be read");
    if (got == 0) return out;
    const auto size = static_cast<std::size_t>(got);
    const bool fits = out.size() + size <= kMostProgramOutput + 1;
    if (fits) out.append(chunk.data(), size);
    secure_wipe(chunk.data(), size);
    if (!fits) {
      return give_up(Errc::too_large,
                     fmt::format("printed more than {} bytes", kMostProgramOutput));
    }
  }
}

Result<> check_status(const Program& program, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const std::string how = WIFSIGNALED(status)
                              ? fmt::format("was ended by signal {}", WTERMSIG(status))
                              : fmt::format("ended with status {}", WEXITSTATUS(status));
  return refused(Errc::unreadable, program,
                 how + ": run it by hand as octroi's user to see what it says");
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// The process; its output comes from the other end of `output`.
Result<pid_t> start(const Program& program, int output) {
  std::vector<std::string> words{program.path};
  words.insert(words.end(), program.arguments.begin(), program.arguments.end());
  std::vector<std::string> variables;
  for (const auto& [name, value] : program.environment) variables.push_back(name + "=" + value);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  const Settings settings(output);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.path.c_str(), settings.files(),
                                  settings.attributes(), argv.data(), envp.data());
  for (std::string& variable : variables) secure_wipe(variable.data(), variable.size());
  if (error != 0)
    return refused(Errc::unreadable, program,
                   fmt::format("cannot be started: {}", std::strerror(error)));
  return pid;
}

}  // namespace

Result<Secret> output_of(const Program& program) {
  OCTROI_CHECK(check_file(program));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return refused(Errc::unreadable, program, "there is no pipe for it");
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  const Moment end = std::chrono::steady_clock::now() + program.timeout;
  OCTROI_TRY(const pid_t pid, start(program, to.get()));
  Child child(pid);
  to.close();
  OCTROI_TRY(std::string printed, read_all(program, from.get(), end));
  const bool has_newline = printed.ends_with('\n');
  const std::size_t size = printed.size() - (has_newline ? 1 : 0);
  Secret value(std::string_view(printed).substr(0, size));
  secure_wipe(printed.data(), printed.size());
  const auto status = child.ended_by(end);
  if (!status) {
    return refused(Errc::timeout, program,
                   fmt::format("did not end within {} ms", program.timeout.count()));
  }
  OCTROI_CHECK(check_status(program, *status));
  if (size > kMostProgramOutput)
    return refused(Errc::too_large, program,
                   fmt::format("printed more than {} bytes", kMostProgramOutput));
  if (value.empty()) return refused(Errc::empty, program, "printed nothing");
  return value;
}

std::string find_program(const std::string& name, const Variables& environment) {
  const auto path = environment.find("PATH");
  if (path == environment.end()) return {};
  std::string_view rest = path->second;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    if (!folder.starts_with('/')) continue;
    std::string candidate = fmt::format("{}/{}", folder, name);
    struct stat st{};
    if (::stat(candidate.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
        ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
  }
  return {};
}

Variables plain_environment(const Variables& all, const std::vector<std::string_view>& prefixes) {
  constexpr std::array<std::string_view, 8> kNames = {"PATH",   "HOME", "USER", "LOGNAME",
                                                      "LC_ALL", "LANG", "TZ",   "TMPDIR"};
  Variables out;
  for (const auto& [name, value] : all) {
    const bool wanted =
        std::ranges::find(kNames, name) != kNames.end() || name.starts_with("XDG_") ||
        std::ranges::any_of(prefixes, [&](std::string_view p) { return name.starts_with(p); });
    if (wanted) out.emplace(name, value);
  }
  return out;
}

}  // namespace octroi::secrets
