#include "octroi/config/stored.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "octroi/config/check.h"
#include "octroi/json/canonical.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::config {
namespace {

constexpr std::string_view kOrigin = "service ";
constexpr std::string_view kOriginEnd = " in the store";

Node node_of(const json::Value& value, const std::string& origin) {
  Node node;
  node.variable = origin;
  switch (value.kind()) {
    case json::Kind::null:
      break;
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      node.kind = Node::Kind::scalar;
      node.text = value.to_json();
      break;
    case json::Kind::string:
      node.kind = Node::Kind::scalar;
      node.quoted = true;
      node.text = std::string(value.as_string().value_or(""));
      break;
    case json::Kind::array:
      node.kind = Node::Kind::sequence;
      for (const json::Value item : value.elements()) node.items.push_back(node_of(item, origin));
      break;
    case json::Kind::object:
      node.kind = Node::Kind::mapping;
      for (const auto& [key, member] : value.members())
        node.entries.push_back({std::string(key), {}, node_of(member, origin)});
      break;
  }
  return node;
}

std::string text_of(const Node* node) {
  return node != nullptr && node->kind == Node::Kind::scalar ? node->text : std::string();
}

std::vector<std::string> texts_of(const Node* node) {
  std::vector<std::string> out;
  if (node == nullptr) return out;
  if (node->kind == Node::Kind::scalar && !node->text.empty()) out.push_back(node->text);
  for (const Node& item : node->items) out.push_back(text_of(&item));
  return out;
}

class Merger {
 public:
  Merger(Node& paywall, Context& context)
      : context_(context), allowed_(texts_of(paywall.find("store_references"))) {
    services_ = paywall.find("services");
    if (services_ == nullptr) {
      paywall.entries.push_back({"services", {}, {}});
      services_ = &paywall.entries.back().value;
    }
    make_sequence();
    for (const Node& item : services_->items) taken_.insert(text_of(item.find("name")));
  }

  /// False: the file has that name.
  bool add(const StoredService& stored) {
    if (taken_.contains(stored.name)) return false;
    Node node = read(stored);
    references(node, path(), stored.name);
    services_->items.push_back(std::move(node));
    return true;
  }

 private:
  /// `services: {name: …}` is a list of one.
  void make_sequence() {
    if (services_->kind == Node::Kind::sequence) return;
    Node list;
    list.kind = Node::Kind::sequence;
    list.mark = services_->mark;
    if (services_->kind == Node::Kind::mapping) list.items.push_back(*services_);
    *services_ = std::move(list);
  }

  [[nodiscard]] std::string path() const {
    return fmt::format("paywall.services[{}]", services_->items.size());
  }

  Node read(const StoredService& stored) {
    const std::string origin = stored_origin(stored.name);
    const auto doc = json::parse(stored.document, {32, kMaxStoredBytes, false});
    Node node;
    node.kind = Node::Kind::mapping;
    node.variable = origin;
    if (!doc) {
      error(stored.name, path(), std::string(doc.error().message()),
            "write the service as a JSON object");
    } else if (!doc->root().is_object()) {
      error(stored.name, path(), "is not a JSON object", "write the service as a JSON object");
    } else {
      node = node_of(doc->root(), origin);
    }
    if (node.find("name") == nullptr) {
      Node name;
      name.kind = Node::Kind::scalar;
      name.variable = origin;
      name.text = stored.name;
      node.entries.insert(node.entries.begin(), {"name", {}, std::move(name)});
    } else if (text_of(node.find("name")) != stored.name) {
      error(stored.name, path() + ".name", "is not the name under which the service is stored",
            fmt::format("write {}, or leave it out", stored.name));
    }
    return node;
  }

  /// Every reference in it must begin with something that is allowed.
  void references(const Node& node, const std::string& where, const std::string& name) {
    if (node.kind == Node::Kind::scalar) {
      if (is_reference(node.text)) return reference(node.text, where, name);
      for (std::size_t at = node.text.find("${"); at != std::string::npos;
           at = node.text.find("${", at + 2)) {
        const std::size_t close = node.text.find('}', at);
        if (close == std::string::npos) return;  // reported by whoever reads it
        const std::string inner = node.text.substr(at + 2, close - at - 2);
        if (is_reference(inner)) reference(inner, where, name);
      }
    }
    for (std::size_t i = 0; i < node.items.size(); ++i)
      references(node.items[i], fmt::format("{}[{}]", where, i), name);
    for (const Entry& entry : node.entries) references(entry.value, where + "." + entry.key, name);
  }

  void reference(const std::string& text, const std::string& where, const std::string& name) {
    const bool climbs = text.find("/../") != std::string::npos || text.ends_with("/..");
    const bool allowed =
        !climbs && std::any_of(allowed_.begin(), allowed_.end(), [&](const std::string& prefix) {
          return !prefix.empty() && text.starts_with(prefix);
        });
    if (allowed) return;
    error(name, where, "refers to a secret that services in the store may not use",
          "list what such references may begin with in paywall.store_references, or write the "
          "service into the file");
  }

  void error(const std::string& name, std::string where, std::string message, std::string fix) {
    Value at;
    at.variable = stored_origin(name);
    context_.error(at, std::move(where), std::move(message), std::move(fix));
  }

  Context& context_;
  std::vector<std::string> allowed_;
  std::set<std::string> taken_;
  Node* services_ = nullptr;
};

void write(const Node& node, json::Writer& w) {
  switch (node.kind) {
    case Node::Kind::null:
      w.null();
      break;
    case Node::Kind::scalar:
      w.string(node.text);
      break;
    case Node::Kind::sequence:
      w.begin_array();
      for (const Node& item : node.items) write(item, w);
      w.end_array();
      break;
    case Node::Kind::mapping:
      w.begin_object();
      for (const Entry& entry : node.entries) {
        w.key(entry.key);
        write(entry.value, w);
      }
      w.end_object();
      break;
  }
}

}  // namespace

std::string stored_origin(std::string_view name) {
  return fmt::format("{}{}{}", kOrigin, name, kOriginEnd);
}

bool from_store(const Value& value) {
  return value.variable.starts_with(kOrigin) && value.variable.ends_with(kOriginEnd);
}

std::vector<std::string> merge_stored(Node& root, const std::vector<StoredService>& stored,
                                      Context& context) {
  std::vector<std::string> shadowed;
  Node* paywall = root.find("paywall");
  if (stored.empty() || paywall == nullptr || paywall->kind != Node::Kind::mapping) return shadowed;
  Merger merger(*paywall, context);
  for (const StoredService& service : stored) {
    if (!merger.add(service)) shadowed.push_back(service.name);
  }
  return shadowed;
}

std::string to_json(const Node& node) {
  json::Writer w;
  write(node, w);
  return json::canonicalize(std::move(w).take(), {64, 4 * kMaxStoredBytes, false}).value_or("{}");
}

tl::expected<std::string, Problems> service_to_json(std::string_view text, std::string_view file) {
  Problems problems;
  auto tree = parse_yaml(text, file, problems);
  if (tree && problems.empty() && tree->kind != Node::Kind::mapping) {
    Problem p;
    p.file = std::string(file);
    p.message = "must be a section, not a list or a single value";
    p.fix = "write the keys of one service: name, upstream, price …";
    problems.push_back(std::move(p));
  }
  if (!tree || !problems.empty()) return tl::unexpected(std::move(problems));
  return to_json(*tree);
}

namespace {

/// Steps into `path`, making sections on the way. Null: it goes through something that has no keys.
Node* step_into(Node& root, const std::string& path, bool make) {
  Node* at = &root;
  std::string field_path = "paywall.services";
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t dot = std::min(path.find('.', from), path.size());
    const std::string key = path.substr(from, dot - from);
    from = dot + 1;
    const Field* field = find_field(field_path);
    field_path += "." + key;
    if (at->kind == Node::Kind::scalar && field != nullptr && !field->shorthand.empty()) {
      // `upstream: URL` is short for `upstream: {url: URL}`.
      Node section;
      section.kind = Node::Kind::mapping;
      section.entries.push_back({std::string(field->shorthand), {}, std::move(*at)});
      *at = std::move(section);
    }
    if (at->kind == Node::Kind::null && make) at->kind = Node::Kind::mapping;
    if (at->kind != Node::Kind::mapping || key.empty()) return nullptr;
    Node* next = at->find(key);
    if (next == nullptr) {
      if (!make) return nullptr;
      at->entries.push_back({key, {}, {}});
      next = &at->entries.back().value;
    }
    at = next;
  }
  return at;
}

}  // namespace

tl::expected<std::string, std::string> edit_service(std::string_view document,
                                                    const std::vector<std::string>& set,
                                                    const std::vector<std::string>& unset) {
  const auto doc = json::parse(document, {32, kMaxStoredBytes, false});
  if (!doc) return tl::unexpected(std::string(doc.error().message()));
  Node root = node_of(doc->root(), {});
  if (root.kind != Node::Kind::mapping) return tl::unexpected<std::string>("is not a JSON object");
  for (const std::string& path : unset) {
    const std::size_t dot = path.rfind('.');
    Node* parent =
        dot == std::string::npos ? &root : step_into(root, path.substr(0, dot), /*make=*/false);
    const std::string key = dot == std::string::npos ? path : path.substr(dot + 1);
    if (parent == nullptr ||
        std::erase_if(parent->entries, [&](const Entry& e) { return e.key == key; }) == 0)
      return tl::unexpected(path + ": is not there");
  }
  for (const std::string& change : set) {
    const std::size_t equals = change.find('=');
    if (equals == std::string::npos || equals == 0)
      return tl::unexpected(change + ": write key=value, such as price='10 sat'");
    const std::string path = change.substr(0, equals);
    const std::string value = change.substr(equals + 1);
    Node made;
    made.kind = Node::Kind::scalar;
    made.text = value;
    if (value.starts_with('[') || value.starts_with('{')) {
      Problems problems;
      auto tree = parse_yaml(value, path, problems);
      if (!tree || !problems.empty())
        return tl::unexpected(path + ": is not a list or mapping; write [a, b] or {key: value}");
      made = *std::move(tree);
    }
    Node* at = step_into(root, path, /*make=*/true);
    if (at == nullptr)
      return tl::unexpected(path + ": goes through a list or a single value; use --file");
    *at = std::move(made);
  }
  return to_json(root);
}

}  // namespace octroi::config
