// octroi/app/commands.h: what the commands do, apart from how their words are parsed.
//
// Each returns the exit code of architecture 3.2. Results go to stdout, everything else to stderr.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/cli/command.h"
#include "octroi/cli/command_line.h"
#include "octroi/ledger/spend_journal.h"

namespace octroi::app {

/// What every command gets: the call, and whether to print JSON.
struct Common {
  const cli::Invocation& call;
  bool json = false;
};

struct ServeOptions {
  std::string only;  // --only paywall|vault
};
int serve_command(const Common& common, const ServeOptions& options);

int price_server_command(const Common& common);

struct DemoOptions {
  bool keep = false;
};
int demo_command(const Common& common, const DemoOptions& options);

struct FetchFlags {
  std::string url;
  std::string method;                // -X
  std::vector<std::string> headers;  // -H "Name: value"
  std::optional<std::string> data;   // -d, "@file" or "@-"
  std::string output;                // -o; "-" or empty: stdout
  bool remote_name = false;          // -O
  bool head = false;                 // -I
  bool include = false;              // -i
  bool follow = false;               // -L
  bool fail = false;                 // -f
  bool silent = false;               // -s
  bool verbose = false;              // -v
  int max_redirects = 10;
  int max_time = 60;  // -m, seconds
  int payment_timeout = 60;
  std::string max_cost = "1000 sat";  // or digits (sat)
  std::string max_fee;
  std::string max_size = "64MiB";
  std::string prefer;        // l402 | payment
  bool session = false;      // --session
  bool close_after = false;  // --close-after
  bool no_pay = false;
  bool dry_run = false;
  std::string cacert;                // --cacert, a PEM file
  std::vector<std::string> resolve;  // host:port:address[,address]
  ledger::Spender by;                // --run, --agent, --name: for the audit
};
int fetch_command(const Common& common, const FetchFlags& flags);

struct WalletPay {
  std::string invoice;
  std::string max_fee;
  int timeout = 60;    // seconds
  ledger::Spender by;  // for the audit
};
int wallet_pay_command(const Common& common, const WalletPay& pay);
int wallet_invoice_command(const Common& common, const std::string& amount, const std::string& memo,
                           const std::string& expiry);
int wallet_balance_command(const Common& common);
int wallet_reconcile_command(const Common& common);
struct SessionsQuery {
  std::string action = "list";  // list | close
  std::string id;               // or its first digits
  bool all = false;             // close --all
  int max_time = 60;            // seconds an HTTP exchange may take
  std::string cacert;           // --cacert, a PEM file
};
int wallet_sessions_command(const Common& common, const SessionsQuery& query);

struct TransactionQuery {
  std::string service, scheme, state;
  int limit = 50;
};
int transaction_list_command(const Common& common, const TransactionQuery& query);
int token_revoke_command(const Common& common, const std::string& id);

struct SessionQuery {
  std::string service, state, refund, before;
  int limit = 50;
};
int session_list_command(const Common& common, const SessionQuery& query);
int session_totals_command(const Common& common);
enum class SessionAction : std::uint8_t { show, close, retry_refund };
int session_command(const Common& common, SessionAction action, const std::string& id);

struct RevenueQuery {
  std::string service, from, to;
};
int transaction_totals_command(const Common& common, const RevenueQuery& query);

struct ServiceEdit {
  std::string name;
  std::string file;                // --file: the whole service; "-": standard input
  std::vector<std::string> set;    // key=value
  std::vector<std::string> unset;  // --unset
  std::string enabled;             // --enabled on|off; empty: as it is
  std::int64_t if_version = 0;     // --if-version; 0: whatever is there
};
int service_list_command(const Common& common);
int service_show_command(const Common& common, const std::string& name);
int service_add_command(const Common& common, const ServiceEdit& edit);
int service_set_command(const Common& common, const ServiceEdit& edit);
int service_remove_command(const Common& common, const ServiceEdit& edit);
void add_service_commands(cli::CommandLine& line);

void add_store_commands(cli::CommandLine& line);

void add_session_commands(cli::CommandLine& line);
void add_vault_commands(cli::CommandLine& line);
void add_vault_reconcile(cli::CommandLine& line);
void add_vault_rekey(cli::CommandLine& line);
void add_vault_rotation(cli::CommandLine& line);
void add_run_commands(cli::CommandLine& line);
void add_audit_commands(cli::CommandLine& line);
/// All of them, with the words they take.
void add_commands(cli::CommandLine& line);

}  // namespace octroi::app
