// Commands about the store as a whole: store backup, store restore, migrate; and their words.

#include <cstdio>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/server_state.h"
#include "octroi/app/stores.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

using cli::ExitCode;
using cli::Invocation;
using cli::OptionSet;

ExitCode as_exit(int code) { return static_cast<ExitCode>(code); }

int tell_done(const Common& common, std::string_view key, std::string_view word,
              const std::string& path) {
  if (common.json) {
    json::Writer w;
    w.begin_object().field(key, path).end_object();
    std::printf("%s\n", std::move(w).take().c_str());
  } else {
    std::printf("%s\n", fmt::format("{} {}", word, path).c_str());
  }
  return kDone;
}

int backup(const Common& common, const std::string& to) {
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (auto made = backup_store(loaded->config, to); !made)
    return tell_error(common, made.error(), kFailed);
  return tell_done(common, "backup", "wrote", to);
}

int restore(const Common& common, const std::string& from) {
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (auto made = restore_store(loaded->config, from); !made)
    return tell_error(common, made.error(), kFailed);
  return tell_done(common, "restored", "restored", from);
}

Task<Result<ledger::PruneReport>> prune_store(const config::Config* config) {
  OCTROI_CO_TRY(auto store, open_store(*config));
  const config::RetentionSettings& keep = config->retention;
  co_return co_await store->prune(system_clock().now(),
                                  {keep.transactions, keep.sessions, keep.expired, keep.approvals});
}

Task<void> prune_and_tell(Call* call) {
  const auto report = co_await prune_store(&call->config);
  if (!report) {
    tell(call, report.error());
    co_return;
  }
  call->code = kDone;
  json::Writer w;
  w.begin_object()
      .field("transactions", report->settled)
      .field("sessions", report->sessions)
      .field("unpaid", report->transactions)
      .field("invoices", report->invoices)
      .field("proofs", report->consumed)
      .field("approvals", report->approvals)
      .end_object();
  if (call->common.json) {
    std::printf("%s\n", std::move(w).take().c_str());
    co_return;
  }
  std::printf("%s\n", fmt::format("removed {} settled transactions, {} sessions, {} unpaid "
                                  "challenges, {} invoices, {} proofs and {} approvals",
                                  report->settled, report->sessions, report->transactions,
                                  report->invoices, report->consumed, report->approvals)
                          .c_str());
}

struct Migrate {
  std::string direction = "status";
  std::string engine = "sqlite";
  std::int64_t to = -1;
};

int print_schema(const Common& common, const std::string& engine) {
  auto text = schema_of(sql::engine_from_string(engine).value_or(sql::Engine::sqlite));
  if (!text) return tell_error(common, text.error(), kFailed);
  std::fputs(text->c_str(), stdout);
  return kDone;
}

void print_status(const Common& common, const std::vector<sql::MigrationStatus>& status) {
  json::Writer w;
  w.begin_object().key("migrations").begin_array();
  for (const auto& m : status) {
    if (!common.json)
      std::printf("%03lld %-24s %s\n", static_cast<long long>(m.version), m.name.c_str(),
                  m.applied ? to_rfc3339(*m.applied).c_str() : "not applied");
    w.begin_object().field("version", m.version).field("name", m.name).key("applied_at");
    if (m.applied)
      w.string(to_rfc3339(*m.applied));
    else
      w.null();
    w.end_object();
  }
  w.end_array().end_object();
  if (common.json) std::printf("%s\n", std::move(w).take().c_str());
}

int migrate(const Common& common, const Migrate& m) {
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (m.direction != "status") {
    auto steps = migrate_store(loaded->config, m.to);
    if (!steps) return tell_error(common, steps.error(), kFailed);
    if (!common.json) std::printf("%d step%s\n", *steps, *steps == 1 ? "" : "s");
  }
  auto status = store_status(loaded->config);
  if (!status) return tell_error(common, status.error(), kFailed);
  print_status(common, *status);
  return kDone;
}

ExitCode run_migrate(const Migrate& m, const Invocation& call) {
  const Common common{call, call.json};
  if (m.direction == "schema") return as_exit(print_schema(common, m.engine));
  if (m.direction != "up" && m.direction != "down" && m.direction != "status") {
    call.err() << "octroi: migrate: say up, down, status or schema\n";
    return ExitCode::usage;
  }
  if (m.direction == "down" && m.to < 0) {
    call.err() << "octroi: migrate down: say where to stop, --to VERSION\n";
    return ExitCode::usage;
  }
  return as_exit(migrate(common, m));
}

}  // namespace

void add_store_commands(cli::CommandLine& line) {
  auto to = std::make_shared<std::string>();
  line.add({.name = "store backup",
            .summary = "Writes a copy of the store to a new file, also while a server runs on it.",
            .examples = {{"octroi store backup /backup/octroi.db", "a file that is not there yet"}},
            .options = [to](OptionSet& set) { set.positional("FILE", *to, "Must not exist."); },
            .run = [to](const Invocation& call) { return as_exit(backup({call, call.json}, *to)); },
            .json_when_piped = true});
  auto from = std::make_shared<std::string>();
  line.add(
      {.name = "store restore",
       .summary = "Puts a backup in the place of a store that is not there any more.",
       .examples = {{"octroi store restore /backup/octroi.db", "checked first, as a whole"}},
       .options = [from](OptionSet& set) { set.positional("FILE", *from, "The backup."); },
       .run = [from](const Invocation& call) { return as_exit(restore({call, call.json}, *from)); },
       .json_when_piped = true});
  line.add({.name = "store prune",
            .summary = "Removes what retention lets go, as the server does once a minute; SQLite's "
                       "store while no server runs.",
            .examples = {{"octroi store prune", "how many rows went"}},
            .options = {},
            .run =
                [](const Invocation& call) {
                  return as_exit(with_config({call, call.json}, prune_and_tell));
                },
            .json_when_piped = true});
  auto m = std::make_shared<Migrate>();
  line.add({.name = "migrate",
            .summary = "Shows or changes the schema of the store; SQLite's while no server runs.",
            .examples = {{"octroi migrate status", "what is applied"},
                         {"octroi migrate up", "to the newest"},
                         {"octroi migrate down --to 1", "back to a version"},
                         {"octroi migrate schema --engine postgresql", "the newest, as SQL"}},
            .options =
                [m](OptionSet& set) {
                  set.positional("up|down|status|schema", m->direction, "What to do.", false);
                  set.option("--to", m->to, "The version to stop at.");
                  set.choice("--engine", m->engine, {"sqlite", "postgresql"},
                             "Whose schema to print.");
                },
            .run = [m](const Invocation& call) { return run_migrate(*m, call); }});
}

}  // namespace octroi::app
