#include "octroi/app/service_desk.h"

#include <algorithm>
#include <set>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/config/print.h"
#include "octroi/json/canonical.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::app {

using admin::ServiceAnswer;
using admin::ServiceChange;
using admin::ServiceCondition;
using admin::ServiceEntry;
using admin::ServiceRefusal;

namespace {

tl::unexpected<ServiceRefusal> refuse(int status, std::string detail) {
  return tl::unexpected(ServiceRefusal{status, std::move(detail), {}});
}
tl::unexpected<ServiceRefusal> unavailable(const Error& error) {
  return refuse(503, std::string(error.message()));
}

const ledger::StoredService* find(const ledger::ServiceList& list, const std::string& name) {
  const auto it = std::find_if(list.services.begin(), list.services.end(),
                               [&](const auto& s) { return s.name == name; });
  return it == list.services.end() ? nullptr : &*it;
}

ServiceEntry entry_of(const ledger::StoredService& s, bool shadowed, bool with_document) {
  ServiceEntry e;
  e.name = s.name;
  e.state = !s.enabled ? "disabled" : shadowed ? "shadowed" : "served";
  if (with_document) e.document = s.document;
  e.auth_scheme = s.auth_scheme;
  e.enabled = s.enabled;
  e.version = s.version;
  e.created = s.created;
  e.updated = s.updated;
  return e;
}

/// What the service accepts, as its column tells it.
std::string auth_scheme_of(const json::Value& document) {
  bool l402 = false;
  bool payment = false;
  const auto word = [&](std::string_view text) {
    l402 = l402 || text == "l402" || text == "l402+mpp";
    payment = payment || text == "payment" || text == "mpp" || text == "l402+mpp";
  };
  if (const auto schemes = document.find("schemes")) {
    if (schemes->is_string()) word(schemes->as_string().value_or(""));
    for (const json::Value one : schemes->elements()) word(one.as_string().value_or(""));
  }
  return !payment ? "l402" : l402 ? "l402+payment" : "payment";
}

struct Document {
  std::string name;
  std::string text;  // canonical, with its name
  std::string auth_scheme;
};

/// The document as it is kept. Its name is the one in the path, where both are there.
ServiceAnswer<Document> document_of(const ServiceChange& change) {
  const auto doc = json::parse(change.document, {32, config::kMaxStoredBytes, false});
  if (!doc) return refuse(400, "service: " + std::string(doc.error().message()));
  const auto written = doc->root().find("name");
  Document out;
  out.name = change.name;
  if (written && written->is_string()) {
    const std::string own(written->as_string().value_or(""));
    if (!change.name.empty() && own != change.name) {
      ServiceRefusal r{422, "name: is not the one in the path", {}};
      r.errors.push_back({"name", "is not the one in the path",
                          "a service keeps its name; remove it and add another"});
      return tl::unexpected(std::move(r));
    }
    out.name = own;
  }
  if (out.name.empty()) {
    ServiceRefusal r{422, "name: is required", {}};
    r.errors.push_back({"name", "is required", "add `name:` with text"});
    return tl::unexpected(std::move(r));
  }
  json::Writer w;
  w.begin_object().field("name", out.name);
  for (const auto& [key, value] : doc->root().members()) {
    if (key != "name") w.key(key).raw(value.to_json());
  }
  w.end_object();
  auto canonical = json::canonicalize(std::move(w).take());
  if (!canonical) return refuse(400, "service: " + std::string(canonical.error().message()));
  out.text = *std::move(canonical);
  out.auth_scheme = auth_scheme_of(doc->root());
  return out;
}

std::optional<ServiceRefusal> unmet(const ServiceCondition& condition, const std::string& name,
                                    const ledger::StoredService* existing) {
  switch (condition.kind) {
    case ServiceCondition::Kind::none:
    case ServiceCondition::Kind::present:
      break;
    case ServiceCondition::Kind::absent:
      if (existing == nullptr) return std::nullopt;
      return ServiceRefusal{
          409,
          fmt::format("name: the store has a service \"{}\" already; replace it, or use another "
                      "name",
                      name),
          {}};
    case ServiceCondition::Kind::version:
      if (existing == nullptr || existing->version == condition.version) break;
      return ServiceRefusal{
          412,
          fmt::format("somebody else changed \"{}\": it is at version {}, not {}; read it again",
                      name, existing->version, condition.version),
          {}};
  }
  if (existing != nullptr) return std::nullopt;
  return ServiceRefusal{404, fmt::format("the store has no service \"{}\"", name), {}};
}

/// "paywall.services[3].prices[0].price" → "prices[0].price".
std::string field_of(std::string_view path) {
  constexpr std::string_view kList = "paywall.services[";
  if (!path.starts_with(kList)) return std::string(path);
  const auto close = path.find(']', kList.size());
  if (close == std::string_view::npos) return std::string(path);
  path.remove_prefix(close + 1);
  if (path.starts_with('.')) path.remove_prefix(1);
  return std::string(path);
}

/// What is wrong with the service; and where it is right, with the rest.
ServiceRefusal refusal_of(const config::Problems& problems, const std::string& name) {
  ServiceRefusal out;
  out.status = 422;
  const std::string origin = config::stored_origin(name);
  for (const config::Problem& p : problems) {
    if (p.severity != config::Severity::error || p.file != origin) continue;
    out.errors.push_back({field_of(p.path), p.message, p.fix});
    const auto& e = out.errors.back();
    out.detail += fmt::format("{}{}{}{}; {}", out.detail.empty() ? "" : "\n", e.field,
                              e.field.empty() ? "" : ": ", e.message, e.fix);
  }
  if (!out.errors.empty()) return out;
  out.status = 409;
  out.detail = "the configuration as it would be has errors:\n" + config::to_text(problems);
  return out;
}

bool in_file(const config::Loaded& loaded, const std::string& name) {
  const auto& all = loaded.values->at("paywall.services").children;
  return std::any_of(all.begin(), all.end(), [&](const config::Member& m) {
    return !config::from_store(m.value) && m.value.at("name").str() == name;
  });
}

tl::unexpected<ServiceRefusal> stands_in_file(const std::string& name) {
  return refuse(409, fmt::format("name: the configuration file has a service \"{}\", and what "
                                 "stands in the file counts; change it there",
                                 name));
}

/// Who may change what is sold leaves a line.
void log_change(const ServiceDesk::Judged& judged, const ServiceEntry& now) {
  const char* what = !judged.put                  ? "service removed"
                     : judged.before.version == 0 ? "service added"
                                                  : "service replaced";
  OCTROI_LOG(info, "app", what,
             {{"service", now.name},
              {"version", now.version},
              {"version_before", judged.before.version},
              {"enabled", now.enabled ? "yes" : "no"}});
}

}  // namespace

std::vector<config::StoredService> enabled_of(const ledger::ServiceList& list) {
  std::vector<config::StoredService> out;
  for (const auto& s : list.services) {
    if (s.enabled) out.push_back({s.name, s.document});
  }
  return out;
}

Task<ServiceAnswer<ServiceDesk::Judged>> ServiceDesk::judge(ServiceChange change) {
  const bool removal = change.document.empty();
  Document document;
  if (removal) {
    document.name = change.name;
  } else {
    auto read = document_of(change);
    if (!read) co_return tl::unexpected(std::move(read).error());
    document = *std::move(read);
  }
  auto list = co_await catalog_.list_services();
  if (!list) co_return unavailable(list.error());
  const std::string& name = document.name;
  const ledger::StoredService* existing = find(*list, name);
  Judged out;
  out.version = list->version;
  if (auto refusal = unmet(change.condition, name, existing)) {
    // A name of the file is not in the store, and another answer helps more.
    if (existing == nullptr) {
      const auto now = loader_({});
      if (now && in_file(*now, name)) co_return stands_in_file(name);
    }
    co_return tl::unexpected(*std::move(refusal));
  }
  if (existing != nullptr) {
    out.before = entry_of(*existing, false, true);
    out.unchanged =
        !removal && existing->document == document.text && existing->enabled == change.enabled;
    if (out.unchanged) co_return out;
  }
  auto after = *list;
  std::erase_if(after.services, [&](const auto& s) { return removal && s.name == name; });
  if (!removal) {
    auto place = std::find_if(after.services.begin(), after.services.end(),
                              [&](const auto& s) { return s.name == name; });
    if (place == after.services.end()) place = after.services.emplace(place);
    place->name = name;
    place->document = document.text;
    place->enabled = change.enabled;
    out.put = ledger::PutService{name,          document.text, change.enabled, document.auth_scheme,
                                 list->version, clock_.now()};
  }
  auto loaded = loader_(enabled_of(after));
  if (!loaded) {
    // What cannot be served must be possible to take away.
    if (removal || !change.enabled) co_return out;
    co_return tl::unexpected(refusal_of(loaded.error(), name));
  }
  if (!removal && in_file(*loaded, name)) co_return stands_in_file(name);
  out.loaded = *std::move(loaded);
  co_return out;
}

Task<ServiceAnswer<std::optional<ServiceEntry>>> ServiceDesk::commit(const Judged& judged) {
  if (judged.unchanged) co_return std::optional<ServiceEntry>(judged.before);
  auto version = judged.put ? co_await catalog_.put_service(*judged.put)
                            : co_await catalog_.remove_service(judged.before.name, judged.version);
  if (!version) co_return unavailable(version.error());
  if (!*version) co_return std::optional<ServiceEntry>{};
  ServiceEntry now = judged.before;
  if (judged.put) {
    const ledger::PutService& p = *judged.put;
    const UnixMillis created = judged.before.version > 0 ? judged.before.created : p.now;
    now = entry_of({p.name, p.document, p.enabled, p.auth_scheme, **version, created, p.now}, false,
                   true);
  }
  log_change(judged, now);
  co_return std::optional<ServiceEntry>(std::move(now));
}

Task<ServiceAnswer<std::vector<ServiceEntry>>> ServiceDesk::list(const config::Loaded& loaded) {
  auto stored = co_await catalog_.list_services();
  if (!stored) co_return unavailable(stored.error());
  std::vector<ServiceEntry> out;
  std::set<std::string> names;
  for (const config::Member& m : loaded.values->at("paywall.services").children) {
    if (config::from_store(m.value)) continue;
    ServiceEntry e;
    e.name = m.value.at("name").str();
    e.from_file = true;
    e.state = "served";
    names.insert(e.name);
    out.push_back(std::move(e));
  }
  for (const auto& s : stored->services) {
    out.push_back(entry_of(s, names.contains(s.name), false));
  }
  co_return out;
}

Task<ServiceAnswer<ServiceEntry>> ServiceDesk::show(const config::Loaded& loaded,
                                                    std::string name) {
  const auto& all = loaded.values->at("paywall.services").children;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (config::from_store(all[i].value) || all[i].value.at("name").str() != name) continue;
    ServiceEntry e;
    e.name = name;
    e.from_file = true;
    e.state = "served";
    config::PrintOptions options;
    options.json = true;
    options.defaults = false;
    options.only = fmt::format("paywall.services[{}]", i);
    e.document =
        json::canonicalize(config::print(*loaded.values, options).value_or("{}")).value_or("{}");
    co_return e;
  }
  auto stored = co_await catalog_.list_services();
  if (!stored) co_return unavailable(stored.error());
  const ledger::StoredService* one = find(*stored, name);
  if (one == nullptr) co_return refuse(404, fmt::format("there is no service \"{}\"", name));
  co_return entry_of(*one, false, true);
}

}  // namespace octroi::app
