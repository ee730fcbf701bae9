// Starting a program and standing in for it: signals go through, its end is ours.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/app/run_plan.h"

namespace octroi::app {

namespace {

constexpr int kNotFound = 127;
constexpr int kNotRunnable = 126;
constexpr int kBySignal = 128;
constexpr std::array kPassedOn = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

sigset_t held() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : kPassedOn) sigaddset(&set, s);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

struct Told {
  int error = 0;
};

/// In the child, where nothing but plain system calls is safe.
[[noreturn]] void become(char* const* words, char* const* environment, pid_t parent, int tell) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kNotRunnable);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(words[0], words, environment);
  const Told told{errno};
  std::ignore = ::write(tell, &told, sizeof told);
  ::_exit(told.error == ENOENT ? kNotFound : kNotRunnable);
}

int end_of(int status) {
  return WIFSIGNALED(status) ? kBySignal + WTERMSIG(status) : WEXITSTATUS(status);
}

/// A signal of the terminal has reached the whole foreground group, the child included.
bool by_terminal(const siginfo_t& info) {
  return info.si_code == SI_KERNEL &&
         (info.si_signo == SIGINT || info.si_signo == SIGQUIT || info.si_signo == SIGWINCH);
}

int wait_for(pid_t child) {
  const sigset_t set = held();
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return end_of(status);
    if (ended < 0 && errno != EINTR) return kNotRunnable;
    siginfo_t info{};
    if (::sigwaitinfo(&set, &info) < 0 || info.si_signo == SIGCHLD) continue;
    if (!by_terminal(info)) ::kill(child, info.si_signo);
  }
}

}  // namespace

void hold_signals() {
  const sigset_t set = held();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int run_child(const std::vector<std::string>& words, const Environment& environment) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(variables);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    std::fprintf(stderr, "octroi: %s\n", std::strerror(errno));
    return kNotRunnable;
  }
  hold_signals();
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(argv.data(), envp.data(), self, ends[1]);
  ::close(ends[1]);
  Told told;
  const bool failed = child < 0 || ::read(ends[0], &told, sizeof told) == sizeof told;
  if (child < 0) told.error = errno;
  ::close(ends[0]);
  if (failed) std::fprintf(stderr, "octroi: %s: %s\n", words[0].c_str(), std::strerror(told.error));
  for (std::string& variable : variables) secure_wipe(variable.data(), variable.size());
  return child < 0 ? kNotRunnable : wait_for(child);
}

}  // namespace octroi::app
