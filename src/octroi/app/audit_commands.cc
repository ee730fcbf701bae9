// Commands about the audit: audit tail, query, export, verify, key.
//
// Whoever runs them asks a running server for rows, and reads the store itself when none runs; both
// are a Journal here, and so is the wallet's (--wallet). A file is verified without any.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "octroi/adapters/sqlite/spend_audit.h"
#include "octroi/admin/audit_json.h"
#include "octroi/app/audit_keeper.h"
#include "octroi/app/commands.h"
#include "octroi/app/remote_journal.h"
#include "octroi/app/server_state.h"
#include "octroi/audit/checkpoint_file.h"
#include "octroi/audit/export.h"
#include "octroi/audit/filter.h"
#include "octroi/base/bytes.h"
#include "octroi/cli/output.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

using cli::ExitCode;
using cli::Invocation;
using cli::OptionSet;

/// The audit of the running server, or that of the store while none runs; or that of the wallet.
struct Source {
  std::unique_ptr<ledger::Store> store;
  std::unique_ptr<audit::Journal> wallet;
  std::unique_ptr<AuditKeeper> keeper;
  std::unique_ptr<RemoteJournal> remote;
  audit::Journal* journal = nullptr;
  std::string public_key;
};

/// Where nothing but a wallet is configured there is no other audit.
bool only_wallet(const config::Config& c) {
  return c.wallet && !c.paywall && !c.vault && !c.admin.listen;
}

Result<Source> open_wallet(const config::Config& config) {
  if (!config.wallet) {
    return fail(StateErrc::not_found,
                "--wallet: the configuration has no wallet section; see examples/octroi.yaml");
  }
  const std::string file = wallet_journal_file(config);
  Source out;
  OCTROI_TRY(out.wallet, sqlite::open_spend_audit(file, system_clock()));
  OCTROI_TRY(const Secret seed, sqlite::spend_audit_seed(file));
  OCTROI_TRY(out.keeper, AuditKeeper::over(*out.wallet, seed, sqlite::spend_checkpoint_file(file)));
  out.journal = out.wallet.get();
  out.public_key = out.keeper->public_key();
  return out;
}

Task<Result<Source>> open_source(Call* call, bool wallet) {
  if (wallet || only_wallet(call->config)) co_return open_wallet(call->config);
  Source out;
  out.remote = std::make_unique<RemoteJournal>(call->loop, call->config);
  auto key = co_await out.remote->connect();
  if (key) {
    out.journal = out.remote.get();
    out.public_key = *std::move(key);
    co_return out;
  }
  if (!key.error().is(StateErrc::no_admin)) co_return fail(std::move(key).error());
  OCTROI_CO_TRY(out.store, open_store(call->config));
  OCTROI_CO_TRY(out.keeper, co_await AuditKeeper::open(&call->config, out.store.get()));
  if (!out.keeper) co_return fail(StateErrc::not_found, "this store keeps no audit");
  out.journal = out.store->journal();
  out.public_key = out.keeper->public_key();
  co_return out;
}

// --- printing

void print_line(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

/// A column.
std::string shown(std::string_view text, std::size_t width) {
  std::string out = cli::without_controls(text).substr(0, width);
  out.resize(width, ' ');
  return out;
}

std::string amount_of(const audit::Event& e) {
  if (!e.amount) return "-";
  return fmt::format("{} {}", *e.amount, e.currency);
}

std::string row_line(const audit::Row& row) {
  const audit::Event& e = row.event;
  const std::string verdict(e.verdict ? to_string(*e.verdict) : "-");
  const std::string what = e.operation.empty() ? e.method + " " + e.path : e.operation;
  return fmt::format("{}  {} {} {} {} {} {} {}", to_rfc3339(row.at), shown(e.kind, 13),
                     shown(verdict, 9), shown(e.run, 16), shown(e.vendor, 8), shown(what, 28),
                     shown(amount_of(e), 12), shown(e.reason, e.reason.size()));
}

std::string row_json(const audit::Row& row) {
  return audit::export_line({row.id, row.text, row.prev_hash, row.row_hash, true});
}

// --- query and tail

struct Narrowing {
  std::map<std::string, std::string> given;  // by the name of the parameter
  std::int64_t limit = 50;
  bool wallet = false;
};

Result<audit::Filter> filter_of(const Narrowing& n) {
  audit::Filter filter;
  for (const auto& [name, value] : n.given) {
    if (value.empty()) continue;
    if (auto set = admin::set_audit_filter(filter, name, value); !set) {
      return fail(StateErrc::bad_argument, "--" + std::string(set.error().message()));
    }
  }
  if (n.limit < 1 || n.limit > 1000) {
    return fail(StateErrc::bad_argument, "--limit: from 1 to 1000");
  }
  filter.limit = static_cast<int>(n.limit);
  return filter;
}

Task<Result<>> query(Call* call, Narrowing narrowing) {
  OCTROI_CO_TRY(auto filter, filter_of(narrowing));
  OCTROI_CO_TRY(const auto source, co_await open_source(call, narrowing.wallet));
  OCTROI_CO_TRY(const audit::Page page, co_await source.journal->query(std::move(filter)));
  if (call->common.json) {
    print_line(admin::audit_page_json(page));
  } else {
    for (const audit::Row& row : page.rows) print_line(row_line(row));
    if (!page.next.empty()) std::fprintf(stderr, "more: --cursor %s\n", page.next.c_str());
  }
  co_return Result<>{};
}

struct Tail {
  Narrowing narrowing;
  bool follow = false;
};

void print_row(const Call* call, const audit::Row& row) {
  print_line(call->common.json ? row_json(row) : row_line(row));
}

/// Rows of all chains since `seen`, oldest chain first.
Task<Result<>> follow(Call* call, audit::Journal* journal, audit::Filter filter,
                      std::map<std::string, std::int64_t> seen) {
  while (true) {
    OCTROI_CO_TRY(const auto heads, co_await journal->heads());
    for (const audit::Head& head : heads) {
      for (std::int64_t& at = seen[head.writer]; at < head.seq;) {
        OCTROI_CO_TRY(const auto rows, co_await journal->rows(head.writer, at + 1, 1000));
        if (rows.empty()) break;
        for (const audit::StoredRow& stored : rows) {
          at = stored.id.seq;
          OCTROI_CO_TRY(const audit::Row row, audit::read_row(stored));
          if (audit::matches(filter, row)) print_row(call, row);
        }
      }
    }
    std::fflush(stdout);
    co_await call->loop.sleep(Millis(500));
  }
}

Task<Result<>> tail(Call* call, Tail t) {
  OCTROI_CO_TRY(auto filter, filter_of(t.narrowing));
  OCTROI_CO_TRY(const auto source, co_await open_source(call, t.narrowing.wallet));
  std::map<std::string, std::int64_t> seen;
  OCTROI_CO_TRY(const auto heads, co_await source.journal->heads());
  for (const audit::Head& head : heads) seen[head.writer] = head.seq;
  OCTROI_CO_TRY(const audit::Page page, co_await source.journal->query(filter));
  for (auto row = page.rows.rbegin(); row != page.rows.rend(); ++row) {
    // What came since the heads were read is printed by what follows.
    if (!t.follow || row->id.seq <= seen[row->id.writer]) print_row(call, *row);
  }
  if (!t.follow) co_return Result<>{};
  co_return co_await follow(call, source.journal, filter, std::move(seen));
}

// --- export

struct Export {
  Narrowing narrowing;
  bool csv = false;
  bool proof = false;
};

Task<Result<>> export_rows(Call* call, Export e) {
  OCTROI_CO_TRY(auto filter, filter_of(e.narrowing));
  if (e.proof && (e.csv || filter.run.empty())) {
    co_return fail(StateErrc::bad_argument, "--proof: of one run, as JSON Lines: add --run ID");
  }
  OCTROI_CO_TRY(auto source, co_await open_source(call, e.narrowing.wallet));
  // So that the last row of now has a signature behind it.
  if (source.keeper) OCTROI_CO_CHECK(co_await source.keeper->checkpoint());
  audit::LineSink sink = [](std::string_view line) -> Result<> {
    print_line(line);
    if (std::ferror(stdout) == 0) return {};
    return fail(audit::Errc::unavailable, "the output cannot be written");
  };
  if (e.proof) {
    OCTROI_CO_CHECK(co_await audit::export_proof(*source.journal, filter.run, sink));
  } else {
    const auto form = e.csv ? audit::Form::csv : audit::Form::json_lines;
    OCTROI_CO_CHECK(co_await audit::export_audit(*source.journal, filter, form, sink));
  }
  if (std::fflush(stdout) != 0) {
    co_return fail(audit::Errc::unavailable, "the output cannot be written");
  }
  co_return Result<>{};
}

// --- verify

struct Verify {
  std::string file;
  bool store = false;
  bool wallet = false;
  std::vector<std::string> keys;
  std::string checkpoints;
};

void print_report(const Common& common, const audit::Report& r) {
  if (common.json) return print_line(admin::audit_report_json(r));
  if (r.first_bad) {
    const audit::Finding& f = *r.first_bad;
    print_line(fmt::format("NOT valid: row {} of writer {} is {}: {}", f.row.seq, f.row.writer,
                           to_string(f.fault), shown(f.message, f.message.size())));
  } else {
    print_line(fmt::format("valid: {} rows of {} writers, {} checkpoints, {} rows after the last",
                           r.rows, r.writers, r.checkpoints, r.unsigned_rows));
  }
  if (!r.trusted_key) {
    print_line("the key of the checkpoints is the one that the file names: give yours, --key HEX");
  }
}

/// Whoever names a file of checkpoints counts on them: none is no answer.
Result<std::vector<audit::Checkpoint>> outside_of(const std::string& file) {
  OCTROI_TRY(auto out, audit::read_checkpoints(file));
  if (out.empty()) {
    return fail(StateErrc::bad_argument,
                fmt::format("--checkpoints: {}: is not there, or holds no checkpoint", file));
  }
  return out;
}

Result<audit::Report> verify_file(const Verify& v) {
  std::vector<audit::PublicKey> keys;
  for (const std::string& text : v.keys) {
    OCTROI_TRY(const auto key, audit::parse_public_key(text));
    keys.push_back(key);
  }
  const bool trusted = !keys.empty();
  audit::Verifier verifier(std::move(keys));
  if (trusted) verifier.demand_checkpoint();
  if (!v.checkpoints.empty()) {
    OCTROI_TRY(const auto outside, outside_of(v.checkpoints));
    for (const audit::Checkpoint& c : outside) verifier.add_checkpoint(c);
  }
  std::ifstream file;
  if (v.file != "-") {
    file.open(v.file, std::ios::binary);
    if (!file) return fail(StateErrc::not_found, v.file + ": cannot be read");
  }
  std::istream& in = v.file == "-" ? std::cin : file;
  for (std::string line; std::getline(in, line);) verifier.add_line(line);
  if (in.bad()) return fail(StateErrc::not_found, v.file + ": cannot be read");
  return std::move(verifier).finish();
}

ExitCode tell_report(const Common& common, const Result<audit::Report>& report) {
  if (!report) {
    const bool usage = report.error().kind() == ErrorKind::invalid;
    return static_cast<ExitCode>(tell_error(common, report.error(), usage ? kUsage : kFailed));
  }
  print_report(common, *report);
  return report->valid() ? ExitCode::done : ExitCode::failed;
}

Task<void> verify_store_of(Call* call, bool wallet) {
  auto source = co_await open_source(call, wallet);
  if (!source) {
    tell(call, source.error());
    co_return;
  }
  auto report =
      source->keeper ? co_await source->keeper->verify() : co_await source->remote->verify_there();
  call->code = static_cast<int>(tell_report(call->common, report));
}

Task<Result<>> show_key(Call* call, bool wallet) {
  OCTROI_CO_TRY(const auto source, co_await open_source(call, wallet));
  if (call->common.json) {
    json::Writer w;
    w.begin_object().field("public_key", source.public_key).end_object();
    print_line(std::move(w).take());
  } else {
    print_line(source.public_key);
  }
  co_return Result<>{};
}

// --- words

template <class Work>
ExitCode with_source(const Invocation& invocation, Work work) {
  const Common common{invocation, invocation.json};
  struct Steps {
    static Task<void> run(Call* call, Work w) {
      const auto done = co_await w(call);
      if (done) {
        call->code = kDone;
      } else {
        tell(call, done.error());
      }
    }
  };
  return static_cast<ExitCode>(
      with_server(common, [&](Call* call) { return Steps::run(call, work); }));
}

constexpr const char* kWalletHelp = "The wallet's audit: what `octroi fetch` and `wallet` paid.";

void add_filters(OptionSet& set, Narrowing& n) {
  auto& g = n.given;
  set.option("--run", g["run"], "Only this run.");
  set.option("--agent", g["agent"], "Only this agent.");
  set.option("--key", g["key"], "Only this vault key, by its id.");
  set.option("--vendor", g["vendor"], "Only this vendor.");
  set.option("--operation", g["operation"], "Only this operation: charges.create.");
  set.option("--policy", g["policy"], "Only this policy.");
  set.option("--kind", g["kind"], "Only this kind: call.intent, call.outcome, admin.change, …");
  set.option("--call", g["call"], "Only this call, by its id.");
  set.choice("--verdict", g["verdict"],
             {"allowed", "denied", "failed", "unknown", "revoked_inflight"}, "Only this verdict.");
  set.option("--from", g["from"], "Not before: 2026-11-21T00:00:00Z.");
  set.option("--to", g["to"], "Before: 2026-11-22T00:00:00Z.");
  set.flag("--wallet", n.wallet, kWalletHelp);
}

void add_query(cli::CommandLine& line) {
  auto n = std::make_shared<Narrowing>();
  line.add({.name = "audit query",
            .summary = "Shows rows of the audit, newest first: calls that were allowed, denied and "
                       "failed, payments, and what administrators changed.",
            .examples = {{"octroi audit query --run R", "what this run of an agent did"},
                         {"octroi audit query --verdict denied --vendor stripe", "refused calls"}},
            .options =
                [n](OptionSet& set) {
                  add_filters(set, *n);
                  set.option("--limit", n->limit, "How many, at most 1000.");
                  set.option("--cursor", n->given["cursor"], "Where the page before ended.");
                },
            .run =
                [n](const Invocation& call) {
                  return with_source(call, [n](Call* c) { return query(c, *n); });
                },
            .json_when_piped = true});
}

void add_tail(cli::CommandLine& line) {
  auto t = std::make_shared<Tail>();
  t->narrowing.limit = 10;
  line.add({.name = "audit tail",
            .summary = "Shows the newest rows of the audit, oldest of them first.",
            .examples = {{"octroi audit tail --follow", "and those that come, until Ctrl-C"}},
            .options =
                [t](OptionSet& set) {
                  add_filters(set, t->narrowing);
                  set.option("-n,--limit", t->narrowing.limit, "How many, at most 1000.");
                  set.flag("-f,--follow", t->follow, "Goes on with what comes.");
                },
            .run =
                [t](const Invocation& call) {
                  return with_source(call, [t](Call* c) { return tail(c, *t); });
                },
            .json_when_piped = true});
}

void add_export(cli::CommandLine& line) {
  auto e = std::make_shared<Export>();
  line.add({.name = "audit export",
            .summary = "Writes the audit to standard output: JSON Lines with signed checkpoints, "
                       "which can be verified elsewhere, or CSV.",
            .examples = {{"octroi audit export > audit.jsonl", "all of it"},
                         {"octroi audit export --run R --proof > run.jsonl",
                          "one run, and the proof that it stands in the audit"},
                         {"octroi audit export --csv --from 2026-11-01T00:00:00Z > november.csv",
                          "for a spreadsheet"}},
            .options =
                [e](OptionSet& set) {
                  add_filters(set, e->narrowing);
                  set.flag("--csv", e->csv, "CSV, which cannot be verified.");
                  set.flag("--proof", e->proof,
                           "With --run: also what leads from each row to a checkpoint.");
                },
            .run =
                [e](const Invocation& call) {
                  return with_source(call, [e](Call* c) { return export_rows(c, *e); });
                }});
}

ExitCode run_verify(const Invocation& call, const Verify& v) {
  const Common common{call, call.json};
  const bool own = v.store || v.wallet;
  if (own == !v.file.empty() || (v.store && v.wallet)) {
    call.err() << "octroi: audit verify: name a file that audit export wrote, or say --store or "
                  "--wallet\n";
    return ExitCode::usage;
  }
  if (own && !(v.keys.empty() && v.checkpoints.empty())) {
    call.err() << "octroi: audit verify: --key and --checkpoints go with a file; --store and "
                  "--wallet have their own\n";
    return ExitCode::usage;
  }
  if (own) {
    return static_cast<ExitCode>(
        with_server(common, [&](Call* c) { return verify_store_of(c, v.wallet); }));
  }
  return tell_report(common, verify_file(v));
}

void add_verify(cli::CommandLine& line) {
  auto v = std::make_shared<Verify>();
  line.add(
      {.name = "audit verify",
       .summary = "Checks that no row was changed, removed, added, moved or cut off, and names "
                  "the first that was; exit 1 when one was.",
       .examples = {{"octroi audit verify audit.jsonl --key HEX", "an export, offline"},
                    {"octroi audit verify --store", "what the store holds"},
                    {"octroi audit verify --wallet", "what the wallet paid"}},
       .options =
           [v](OptionSet& set) {
             set.positional("FILE", v->file, "An export or a proof; - for standard input.", false);
             set.flag("--store", v->store, "The store, with the checkpoints beside it.");
             set.flag("--wallet", v->wallet, "The wallet's journal, with those beside it.");
             set.repeated("--key", v->keys,
                          "A public key whose checkpoints count (octroi audit key).");
             set.option("--checkpoints", v->checkpoints,
                        "Checkpoints from elsewhere, which must fit too.");
           },
       .run = [v](const Invocation& call) { return run_verify(call, *v); },
       .json_when_piped = true});
}

void add_key(cli::CommandLine& line) {
  auto wallet = std::make_shared<bool>(false);
  line.add({.name = "audit key",
            .summary = "Shows the public key of the checkpoints: keep it where the server's "
                       "administrators cannot change it.",
            .examples = {{"octroi audit key > audit.pub", "for audit verify --key"}},
            .options = [wallet](OptionSet& set) { set.flag("--wallet", *wallet, kWalletHelp); },
            .run =
                [wallet](const Invocation& call) {
                  return with_source(call, [wallet](Call* c) { return show_key(c, *wallet); });
                }});
}

}  // namespace

void add_audit_commands(cli::CommandLine& line) {
  line.describe_group("audit", "Who did what with whose money.");
  add_tail(line);
  add_query(line);
  add_export(line);
  add_verify(line);
  add_key(line);
}

}  // namespace octroi::app
