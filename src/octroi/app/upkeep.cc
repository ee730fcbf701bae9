#include "octroi/app/upkeep.h"

#include <utility>

#include <sys/stat.h>

#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "app";
constexpr Millis kPruneEvery{60'000};
constexpr Millis kLookEvery{2'000};

/// A value that changes whenever the file does; 0 when it cannot be read.
std::int64_t file_stamp(const std::string& path) {
  struct stat info{};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * 1'000'000'007 + info.st_mtim.tv_nsec + info.st_size;
}

}  // namespace

Task<void> keep_retention(net::Loop* loop, ledger::Store* store, const config::Config* config) {
  while (true) {
    const config::RetentionSettings& keep = config->retention;
    auto pruned = co_await store->prune(
        system_clock().now(), {keep.transactions, keep.sessions, keep.expired, keep.approvals});
    if (!pruned) {
      OCTROI_LOG(warn, kModule, "not pruned", {{"error", pruned.error().message()}});
    } else if (pruned->settled + pruned->sessions + pruned->approvals > 0) {
      OCTROI_LOG(info, kModule, "pruned by retention",
                 {{"transactions", pruned->settled},
                  {"sessions", pruned->sessions},
                  {"approvals", pruned->approvals}});
    }
    co_await loop->sleep(kPruneEvery);
  }
}

Task<void> watch_file(net::Loop* loop, const config::Config* config,
                      std::function<Task<Result<std::string>>()> reload) {
  std::int64_t seen = file_stamp(config->file);
  while (true) {
    co_await loop->sleep(kLookEvery);
    const std::int64_t now = file_stamp(config->file);
    if (now == seen || now == 0) continue;
    seen = now;
    auto report = co_await reload();
    if (!report)
      OCTROI_LOG(error, kModule, "configuration not reloaded",
                 {{"error", report.error().message()}});
  }
}

std::string tell_changes(std::span<const config::Change> changes) {
  json::Writer w;
  w.begin_object().key("changed").begin_array();
  for (const config::Change& change : changes) {
    w.begin_object().field("path", change.path).field("applied", change.reloadable).end_object();
    if (!change.reloadable)
      OCTROI_LOG(warn, kModule, "takes effect after a restart", {{"path", change.path}});
  }
  w.end_array().end_object();
  OCTROI_LOG(info, kModule, "configuration reloaded", {{"changes", changes.size()}});
  return std::move(w).take();
}

}  // namespace octroi::app
