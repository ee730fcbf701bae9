#include "octroi/app/audit_keeper.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "octroi/audit/export.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/base/random.h"
#include "octroi/config/load.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "audit";
constexpr Millis kEvery{1'000};
constexpr std::size_t kMostCheckpoints = 1U << 30;  // bytes of the file

tl::unexpected<Error> refused(const std::string& path, int error) {
  return fail(audit::Errc::unavailable,
              fmt::format("audit checkpoints {}: {}", path, std::strerror(error)));
}

/// Appends a line, durably, or leaves the file as it was.
Result<> append_line(const std::string& path, std::string_view line) {
  const int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refused(path, errno);
  const off_t before = ::lseek(fd, 0, SEEK_END);
  // A line that was not finished when the power went stays by itself.
  char last = '\n';
  if (before > 0 && ::pread(fd, &last, 1, before - 1) != 1) last = '\0';
  const std::string text = (last == '\n' ? "" : "\n") + std::string(line) + "\n";
  const ssize_t wrote = ::write(fd, text.data(), text.size());
  const bool whole = wrote == static_cast<ssize_t>(text.size());
  const bool good = whole && ::fdatasync(fd) == 0;
  const int error = good ? 0 : (whole || wrote < 0 ? errno : ENOSPC);
  if (!good && before >= 0 && ::ftruncate(fd, before) != 0) {
    OCTROI_LOG(error, kModule, "a line of checkpoints is not whole", {{"file", path}});
  }
  ::close(fd);
  if (!good) return refused(path, error);
  return {};
}

Task<Result<Secret>> seed_of(const config::Config* config, ledger::Store* store) {
  const auto make = [] { return system_random().secret(32); };
  if (config::is_postgres(*config)) {
    co_return co_await store->get_or_put_secret("audit.checkpoint_key", make());
  }
  co_return load_or_create_secret_file(config::sqlite_path(*config) + ".audit-key", {32, 32}, make);
}

}  // namespace

Result<std::vector<audit::Checkpoint>> read_checkpoints(const std::string& path) {
  auto text = read_file(path, kMostCheckpoints);
  if (!text) {
    if (text.error().is(FileErrc::not_found)) return std::vector<audit::Checkpoint>{};
    return fail(std::move(text).error());
  }
  std::vector<audit::Checkpoint> out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // the process ended while it wrote
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.empty()) continue;
    if (auto c = audit::parse_checkpoint(line)) {
      out.push_back(*std::move(c));
    } else {
      OCTROI_LOG(warn, kModule, "a line is no checkpoint", {{"file", path}});
    }
  }
  return out;
}

AuditKeeper::AuditKeeper(audit::Journal& journal, audit::Signer signer, std::string file)
    : journal_(journal),
      file_(std::move(file)),
      checkpointer_(journal, std::move(signer), system_clock(),
                    file_.empty() ? audit::Checkpointer::Outside()
                                  : audit::Checkpointer::Outside([this](std::string_view line) {
                                      return append_line(file_, line);
                                    })) {}

Task<Result<std::unique_ptr<AuditKeeper>>> AuditKeeper::open(const config::Config* config,
                                                             ledger::Store* store) {
  audit::Journal* const journal = store->journal();
  if (journal == nullptr) co_return std::unique_ptr<AuditKeeper>();
  OCTROI_CO_TRY(const Secret seed, co_await seed_of(config, store));
  OCTROI_CO_TRY(auto signer, audit::Signer::from_seed(seed));
  redactor().add(seed);
  std::string file = config->audit_checkpoints;
  if (file.empty() && !config::is_postgres(*config)) {
    file = config::sqlite_path(*config) + ".checkpoints";
  }
  co_return std::unique_ptr<AuditKeeper>(
      new AuditKeeper(*journal, std::move(signer), std::move(file)));
}

std::string AuditKeeper::public_key() const { return to_hex(checkpointer_.public_key()); }

Task<Result<std::string>> AuditKeeper::checkpoint() {
  co_await turn_.acquire();
  const Semaphore::Permit turn(turn_);
  OCTROI_CO_CHECK(co_await checkpointer_.run_once());
  co_return public_key();
}

Task<Result<audit::Report>> AuditKeeper::verify() {
  audit::Verifier verifier({checkpointer_.public_key()});
  if (!file_.empty()) {
    OCTROI_CO_TRY(const auto outside, read_checkpoints(file_));
    for (const audit::Checkpoint& c : outside) verifier.add_checkpoint(c);
  }
  OCTROI_CO_CHECK(co_await audit::verify_store(journal_, verifier));
  co_return std::move(verifier).finish();
}

Task<void> AuditKeeper::run(net::Loop& loop) {
  bool failing = false;
  while (true) {
    const auto done = co_await checkpoint();
    if (!done && !failing) {
      OCTROI_LOG(error, kModule, "no checkpoint", {{"error", done.error().message()}});
    }
    failing = !done;
    co_await loop.sleep(kEvery);
  }
}

admin::AuditActions AuditKeeper::actions() {
  return {[this] { return checkpoint(); }, [this] { return verify(); }};
}

}  // namespace octroi::app
