#include "octroi/config/load.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "octroi/config/check.h"

namespace octroi::config {
namespace {

UnixMillis now_of(const LoadOptions& options) {
  return options.clock != nullptr ? options.clock->now() : system_clock().now();
}

Problems whole_file(const std::string& path, std::string message, std::string fix) {
  Problem p;
  p.file = path;
  p.message = std::move(message);
  p.fix = std::move(fix);
  return {std::move(p)};
}

/// What a path is when its leaf is a secret: compared by value, so that a rotated file is a change.
bool same_leaf(const Value& a, const Value& b) {
  if (a.text != b.text) return false;
  if (!a.secret || !b.secret) return a.secret == b.secret;
  return a.secret->equals(*b.secret);
}

void compare(const Value& a, const Value& b, const std::string& path, bool restart,
             std::vector<Change>& out) {
  const Field* field = a.field != nullptr ? a.field : b.field;
  restart = restart || (field != nullptr && field->restart);
  const bool optional = field != nullptr && field->optional && a.type == Type::section;
  if (optional && a.given != b.given) {
    // A door or a node that appears or goes away is built at start.
    out.push_back({path, !restart && !field->built});
    return;
  }
  if (optional && !a.given) return;
  if (a.type == Type::section) {
    for (const auto& [key, child] : a.children) {
      compare(child, b.at(key), path.empty() ? key : path + "." + key, restart, out);
    }
    return;
  }
  if (a.type == Type::list || a.type == Type::map) {
    const std::size_t n = std::max(a.children.size(), b.children.size());
    if (a.type == Type::map || a.field->item != Type::section ||
        a.children.size() != b.children.size()) {
      bool same = a.children.size() == b.children.size();
      std::vector<Change> inner;
      for (std::size_t i = 0; same && i < n; ++i) {
        same = a.children[i].key == b.children[i].key;
        if (same) compare(a.children[i].value, b.children[i].value, path, restart, inner);
      }
      if (!same || !inner.empty()) out.push_back({path, !restart});
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      compare(a.children[i].value, b.children[i].value, path + "[" + std::to_string(i) + "]",
              restart, out);
    }
    return;
  }
  if (!same_leaf(a, b)) out.push_back({path, !restart});
}

}  // namespace

LoadResult load(std::string_view text, std::string_view file, const LoadOptions& options) {
  Context context{std::string(file), options, now_of(options), {}, {}};
  auto tree = parse_yaml(text, file, context.problems);
  if (!tree) {
    sort_by_place(context.problems);
    return tl::unexpected(std::move(context.problems));
  }
  apply_environment(*tree, context);
  auto shadowed = merge_stored(*tree, options.stored, context);
  auto root = std::make_shared<Value>(check_tree(*tree, context));
  resolve_secrets(*root, context);
  cross_check(*root, context);
  sort_by_place(context.problems);
  if (context.has_errors()) return tl::unexpected(std::move(context.problems));

  Loaded out;
  out.config = bind(*root, context);
  out.values = std::move(root);
  out.warnings = std::move(context.problems);
  out.shadowed = std::move(shadowed);
  return out;
}

LoadResult load_file(const std::string& path, const LoadOptions& options) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return tl::unexpected(whole_file(
        path, "cannot be read",
        "create it (examples/octroi.yaml shows every key), or name another with --config"));
  }
  std::string text;
  char buffer[8192];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxConfigBytes) break;
  }
  if (in.bad())
    return tl::unexpected(
        whole_file(path, "cannot be read", "name a file rather than a directory"));
  return load(text, path, options);
}

std::vector<Change> diff(const Loaded& before, const Loaded& after) {
  std::vector<Change> out;
  compare(*before.values, *after.values, "", false, out);
  return out;
}

std::string sqlite_path(const Config& config) {
  constexpr std::string_view kScheme = "sqlite://";
  return config.store.starts_with(kScheme) ? config.store.substr(kScheme.size()) : std::string();
}

bool is_postgres(const Config& config) { return config.store.starts_with("postgresql://"); }

}  // namespace octroi::config
