// Commands about services in the store: service list, show, add, set, remove.
//
// A running server makes the change, so that it serves by it at once; when none listens the change
// is judged and written here, under the store's lock.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/app/service_desk.h"
#include "octroi/cli/config_file.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

/// How often a change of some keys is made anew, because the service was changed in between.
constexpr int kTries = 10;

/// The store, when no server has it.
struct Desk {
  std::unique_ptr<ledger::Store> store;
  std::unique_ptr<ServiceDesk> desk;
  config::Loaded file;
};

Result<Desk> open_desk(Call* call) {
  Desk out;
  OCTROI_TRY(out.store, open_store(call->config));
  if (out.store->services() == nullptr)
    return fail(StateErrc::not_found, "this store keeps no services");
  const std::string file = call->config.file;
  const cli::Invocation& invocation = call->common.call;
  ConfigLoader loader = [file, &invocation](std::vector<config::StoredService> stored) {
    return cli::try_load_config(invocation, file, true, std::move(stored));
  };
  auto loaded = loader({});
  if (!loaded) return fail(config::Errc::invalid_config, config::to_text(loaded.error()));
  out.file = std::move(*loaded);
  out.desk =
      std::make_unique<ServiceDesk>(*out.store->services(), std::move(loader), system_clock());
  return out;
}

tl::unexpected<Error> said(const admin::ServiceRefusal& refusal) {
  return fail(refusal.status == 404 ? StateErrc::not_found : StateErrc::admin_said_no,
              refusal.detail);
}

std::string path_of(const std::string& name) {
  return std::string(admin::kServices) + "/" + percent_encode(name);
}

Task<Result<std::string>> list_all(Call* call) {
  auto answer =
      co_await ask_admin(&call->loop, &call->config, "GET", std::string(admin::kServices));
  if (!nobody_listens(answer)) co_return answer;
  OCTROI_CO_TRY(auto here, open_desk(call));
  const auto all = co_await here.desk->list(here.file);
  if (!all) co_return said(all.error());
  co_return admin::services_json(*all);
}

Task<Result<std::string>> show_one(Call* call, std::string name) {
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", path_of(name));
  if (!nobody_listens(answer)) co_return answer;
  OCTROI_CO_TRY(auto here, open_desk(call));
  const auto one = co_await here.desk->show(here.file, std::move(name));
  if (!one) co_return said(one.error());
  co_return admin::service_json(*one);
}

Task<Result<std::string>> change_here(Call* call, admin::ServiceChange change) {
  OCTROI_CO_TRY(auto here, open_desk(call));
  for (int i = 0; i < kTries; ++i) {
    const auto judged = co_await here.desk->judge(change);
    if (!judged) co_return said(judged.error());
    const auto done = co_await here.desk->commit(*judged);
    if (!done) co_return said(done.error());
    if (*done) co_return admin::service_json(**done);
  }
  co_return fail(StateErrc::admin_said_no, "others change the services all the time; try again");
}

std::string body_of(const admin::ServiceChange& change) {
  json::Writer w;
  w.begin_object().field("enabled", change.enabled).key("service").raw(change.document);
  w.end_object();
  return std::move(w).take();
}

Task<Result<std::string>> change_service(Call* call, admin::ServiceChange change) {
  AdminAsk ask;
  ask.target = path_of(change.name);
  if (change.document.empty()) {
    ask.method = "DELETE";
  } else if (change.condition.kind == admin::ServiceCondition::Kind::absent) {
    ask.method = "POST";
    ask.target = std::string(admin::kServices);
    ask.body = body_of(change);
  } else {
    ask.method = "PUT";
    ask.body = body_of(change);
  }
  if (change.condition.kind == admin::ServiceCondition::Kind::version)
    ask.if_match = fmt::format("\"{}\"", change.condition.version);
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (!nobody_listens(answer)) co_return answer;
  co_return co_await change_here(call, std::move(change));
}

// --- what is written

Result<std::string> read_input(const std::string& file) {
  std::stringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream in(file, std::ios::binary);
    text << in.rdbuf();
    if (!in) return fail(StateErrc::bad_argument, "--file: " + file + " cannot be read");
  }
  auto document = config::service_to_json(text.str(), file);
  if (!document) return fail(StateErrc::bad_argument, config::to_text(document.error()));
  return *std::move(document);
}

/// `from` (a document, or nothing) with the file and the keys that were given.
Result<std::string> edited(std::string from, const ServiceEdit& edit) {
  if (!edit.file.empty()) {
    OCTROI_TRY(from, read_input(edit.file));
  }
  if (from.empty()) from = "{}";
  auto out = config::edit_service(from, edit.set, edit.unset);
  if (!out) return fail(StateErrc::bad_argument, out.error());
  return *std::move(out);
}

void print_service(const json::Value& root) {
  for (const char* name : {"name", "source", "state", "auth_scheme", "updated_at"}) {
    if (const auto text = root.string(name))
      std::printf("%-12s %s\n", name, std::string(*text).c_str());
  }
  if (const auto version = root.int64("version"))
    std::printf("%-12s %lld\n", "version", static_cast<long long>(*version));
  if (const auto service = root.find("service"))
    std::printf("%-12s %s\n", "service", service->to_json().c_str());
}

// --- the commands

Task<void> list(Call* call) {
  finish(call, co_await list_all(call), [](const json::Value& root) {
    const auto rows = root.array("services");
    if (!rows) return;
    std::printf("%-24s %-6s %-9s %-13s %8s\n", "NAME", "SOURCE", "STATE", "AUTH SCHEME", "VERSION");
    for (const json::Value row : rows->elements()) {
      const auto text = [&](const char* name) {
        return std::string(row.string(name).value_or("-"));
      };
      const auto version = row.int64("version");
      std::printf("%-24s %-6s %-9s %-13s %8s\n", text("name").c_str(), text("source").c_str(),
                  text("state").c_str(), text("auth_scheme").c_str(),
                  version ? std::to_string(*version).c_str() : "-");
    }
  });
}

Task<void> show(Call* call, std::string name) {
  finish(call, co_await show_one(call, std::move(name)), print_service);
}

Task<void> add(Call* call, ServiceEdit edit) {
  auto document = edited({}, edit);
  if (document && !edit.name.empty()) {
    auto named = config::edit_service(*document, {"name=" + edit.name}, {});
    document = named ? Result<std::string>(*std::move(named))
                     : Result<std::string>(fail(StateErrc::bad_argument, named.error()));
  }
  if (!document) {
    tell(call, document.error());
    co_return;
  }
  admin::ServiceChange change;
  change.name = edit.name;
  change.document = *std::move(document);
  change.enabled = edit.enabled != "off";
  change.condition.kind = admin::ServiceCondition::Kind::absent;
  finish(call, co_await change_service(call, std::move(change)), print_service);
}

/// The change, resting on the version that was read; nothing when that is not the one asked for.
Result<admin::ServiceChange> change_of(const std::string& shown, const ServiceEdit& edit) {
  OCTROI_TRY(const auto doc, json::parse(shown, {64, 64U << 20, false}));
  const json::Value root = doc.root();
  admin::ServiceChange change;
  change.name = edit.name;
  if (root.string("source").value_or("") != "store") {
    return fail(StateErrc::admin_said_no,
                edit.name + " stands in the configuration file; change it there");
  }
  OCTROI_TRY(const auto service, root.object("service"));
  OCTROI_TRY(change.document, edited(service.to_json(), edit));
  change.enabled =
      edit.enabled.empty() ? root.boolean("enabled").value_or(true) : edit.enabled == "on";
  change.condition.kind = admin::ServiceCondition::Kind::version;
  change.condition.version =
      edit.if_version > 0 ? edit.if_version : root.int64("version").value_or(0);
  return change;
}

Task<Result<std::string>> set_keys(Call* call, ServiceEdit edit) {
  Result<std::string> answer;
  for (int i = 0; i < kTries; ++i) {
    OCTROI_CO_TRY(const std::string shown, co_await show_one(call, edit.name));
    OCTROI_CO_TRY(auto change, change_of(shown, edit));
    answer = co_await change_service(call, std::move(change));
    const bool moved = !answer && answer.error().is(StateErrc::admin_said_no) &&
                       answer.error().message().find("somebody else changed") != std::string::npos;
    if (!moved || edit.if_version > 0) break;
  }
  co_return answer;
}

Task<void> set(Call* call, ServiceEdit edit) {
  finish(call, co_await set_keys(call, std::move(edit)), print_service);
}

Task<void> remove(Call* call, ServiceEdit edit) {
  admin::ServiceChange change;
  change.name = edit.name;
  if (edit.if_version > 0) {
    change.condition = {admin::ServiceCondition::Kind::version, edit.if_version};
  }
  finish(call, co_await change_service(call, std::move(change)), [](const json::Value& root) {
    std::printf("removed %s\n", std::string(root.string("name").value_or("")).c_str());
  });
}

}  // namespace

int service_list_command(const Common& common) {
  return with_config(common, [](Call* call) { return list(call); });
}
int service_show_command(const Common& common, const std::string& name) {
  return with_config(common, [&](Call* call) { return show(call, name); });
}
int service_add_command(const Common& common, const ServiceEdit& edit) {
  return with_config(common, [&](Call* call) { return add(call, edit); });
}
int service_set_command(const Common& common, const ServiceEdit& edit) {
  return with_config(common, [&](Call* call) { return set(call, edit); });
}
int service_remove_command(const Common& common, const ServiceEdit& edit) {
  return with_config(common, [&](Call* call) { return remove(call, edit); });
}

}  // namespace octroi::app
