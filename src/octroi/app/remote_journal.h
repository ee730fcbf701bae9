// octroi/app/remote_journal.h: the audit of a running server, read over its admin listener.
//
// Errors   those of ask_admin; Errc::bad_row when the server sends something else. It cannot be
//          written to: append() and keep_checkpoint() answer Errc::unavailable.
// Thread   the loop's.
#pragma once

#include <string>
#include <vector>

#include "octroi/app/server_state.h"
#include "octroi/audit/journal.h"
#include "octroi/audit/verify.h"

namespace octroi::app {

class RemoteJournal final : public audit::Journal {
 public:
  /// Both must outlive it.
  RemoteJournal(net::Loop& loop, const config::Config& config) : loop_(loop), config_(config) {}
  /// Asks for the public key, which signs a checkpoint first. no_admin: no server runs.
  Task<Result<std::string>> connect();
  /// The server verifies its own store.
  Task<Result<audit::Report>> verify_there();

  [[nodiscard]] std::string writer() const override { return writer_; }
  Task<Result<audit::RowId>> append(audit::Event event) override;
  Task<Result<audit::Page>> query(audit::Filter filter) override;
  Task<Result<std::vector<audit::StoredRow>>> rows(std::string writer, std::int64_t from,
                                                   int limit) override;
  Task<Result<std::vector<audit::Head>>> heads() override;
  Task<Result<>> keep_checkpoint(audit::Checkpoint checkpoint) override;
  Task<Result<std::vector<audit::Checkpoint>>> checkpoints(std::string writer, std::int64_t after,
                                                           int limit) override;

 private:
  Task<Result<std::string>> ask(std::string target);

  net::Loop& loop_;
  const config::Config& config_;
  std::string writer_;
};

}  // namespace octroi::app
