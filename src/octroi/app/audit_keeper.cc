#include "octroi/app/audit_keeper.h"

#include <utility>

#include "octroi/audit/checkpoint_file.h"
#include "octroi/audit/export.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/base/random.h"
#include "octroi/config/load.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "audit";
constexpr Millis kEvery{1'000};

Task<Result<Secret>> seed_of(const config::Config* config, ledger::Store* store) {
  const auto make = [] { return system_random().secret(32); };
  if (config::is_postgres(*config)) {
    co_return co_await store->get_or_put_secret("audit.checkpoint_key", make());
  }
  co_return load_or_create_secret_file(config::sqlite_path(*config) + ".audit-key", {32, 32}, make);
}

}  // namespace

AuditKeeper::AuditKeeper(audit::Journal& journal, audit::Signer signer, std::string file)
    : journal_(journal),
      file_(std::move(file)),
      checkpointer_(journal, std::move(signer), system_clock(),
                    file_.empty()
                        ? audit::Checkpointer::Outside()
                        : audit::Checkpointer::Outside([this](std::string_view line) {
                            return audit::append_checkpoint(file_, line, audit::Sync::now);
                          })) {}

Task<Result<std::unique_ptr<AuditKeeper>>> AuditKeeper::open(const config::Config* config,
                                                             ledger::Store* store) {
  audit::Journal* const journal = store->journal();
  if (journal == nullptr) co_return std::unique_ptr<AuditKeeper>();
  OCTROI_CO_TRY(const Secret seed, co_await seed_of(config, store));
  std::string file = config->audit_checkpoints;
  if (file.empty() && !config::is_postgres(*config)) {
    file = config::sqlite_path(*config) + ".checkpoints";
  }
  co_return over(*journal, seed, std::move(file));
}

Result<std::unique_ptr<AuditKeeper>> AuditKeeper::over(audit::Journal& journal, const Secret& seed,
                                                       std::string file) {
  OCTROI_TRY(auto signer, audit::Signer::from_seed(seed));
  redactor().add(seed);
  return std::unique_ptr<AuditKeeper>(new AuditKeeper(journal, std::move(signer), std::move(file)));
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
    OCTROI_CO_TRY(const auto outside, audit::read_checkpoints(file_));
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

Task<void> AuditKeeper::sign_last() {
  if (const auto last = co_await checkpoint(); !last) {
    OCTROI_LOG(error, kModule, "no last checkpoint", {{"error", last.error().message()}});
  }
}

admin::AuditActions AuditKeeper::actions() {
  return {[this] { return checkpoint(); }, [this] { return verify(); }};
}

}  // namespace octroi::app
