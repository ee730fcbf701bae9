// octroi/app/context.h: what commands share: finding and loading the configuration, running one
// task on a loop, opening the wallet's node and journal, and telling errors.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "octroi/app/commands.h"
#include "octroi/app/lightning_stack.h"
#include "octroi/config/load.h"
#include "octroi/http/client.h"
#include "octroi/ledger/spend_journal.h"
#include "octroi/net/loop.h"
#include "octroi/wallet/session_manager.h"

namespace octroi::app {

// Exit codes that scripts rely on (architecture 3.2).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kPaymentFailed = 3;
inline constexpr int kNetwork = 4;
inline constexpr int kRefusedAfterPay = 5;
inline constexpr int kRateLimited = 6;
inline constexpr int kPolicyRefused = 7;
inline constexpr int kOutcomeUnknown = 9;
inline constexpr int kWouldPay = 10;
inline constexpr int kWouldNotPay = 11;
inline constexpr int kBlocked = 12;
inline constexpr int kHttpError = 22;

/// Whether there is a configuration to load.
[[nodiscard]] bool has_config(const Common& common);
/// Which secrets of the configuration a command has to have.
enum class Needs : std::uint8_t {
  all,
  store,  // what opens the admin API and the store; others may be out of this shell's reach
};
/// Loads, prints every problem to stderr, and applies the log settings. Empty after errors.
[[nodiscard]] std::optional<config::Loaded> load_config(const Common& common,
                                                        Needs needs = Needs::all);

/// "octroi: message" on stderr, or {"error":{"code","message"}} with --json. Returns `code`.
int tell_error(const Common& common, const Error& error, int code);
int exit_code_of(const Error& error);

/// Runs the task to its end on a loop of its own.
void run_on_loop(net::Loop& loop, Task<void> task);

/// REQUIRES a wallet section.
[[nodiscard]] std::string wallet_journal_file(const config::Config& config);

/// The payer's node and journal, opened when first needed.
class WalletMeans {
 public:
  WalletMeans(net::Loop& loop, const config::Config& config) : loop_(loop), config_(config) {}
  Task<Result<lightning::Node*>> node();
  Result<ledger::SpendJournal*> journal();
  Result<wallet::SessionBook*> sessions();

 private:
  net::Loop& loop_;
  const config::Config& config_;
  std::optional<OpenedNode> node_;
  std::unique_ptr<ledger::SpendJournal> journal_;
  std::unique_ptr<wallet::SessionBook> sessions_;
};

}  // namespace octroi::app
