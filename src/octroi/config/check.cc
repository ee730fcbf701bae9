#include "octroi/config/check.h"

#include <algorithm>

#include <fmt/format.h>

namespace octroi::config {
namespace {

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

/// "a, b or c".
std::string words(const std::vector<std::string_view>& list) {
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += i + 1 == list.size() ? " or " : ", ";
    out += list[i];
  }
  return out;
}

std::string_view kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::mapping:
      return "a mapping";
  }
  return "something else";
}

class Checker {
 public:
  explicit Checker(Context& context) : context_(context) {}

  Value value(const Field& field, Type type, const Node* node, Mark key_mark,
              const std::string& path, bool active) {
    Value out;
    out.field = &field;
    out.type = type;
    out.key_mark = key_mark;
    if (node != nullptr) {
      out.given = true;
      out.mark = node->mark;
      out.variable = node->variable;
    } else {
      out.variable = origin_;
    }
    // What a stored service leaves out is missing there, not in the file.
    const std::string before = origin_;
    if (from_store(out)) origin_ = out.variable;
    switch (shape_of(type)) {
      case Shape::section:
        section(out, field, node, path, active);
        break;
      case Shape::map:
        map(out, field, node, path, active);
        break;
      case Shape::list:
        list(out, field, node, path, active);
        break;
      case Shape::leaf:
        leaf(out, node, path);
        break;
    }
    origin_ = before;
    return out;
  }

 private:
  /// `active`: the section exists, so its required keys are required.
  void section(Value& out, const Field& field, const Node* node, const std::string& path,
               bool active) {
    Node holder;
    if (node != nullptr && node->kind == Node::Kind::scalar && !field.shorthand.empty()) {
      holder.kind = Node::Kind::mapping;
      holder.mark = node->mark;
      holder.variable = node->variable;
      holder.entries.push_back({std::string(field.shorthand), node->mark, *node});
      node = &holder;
    }
    if (node != nullptr &&
        (node->kind == Node::Kind::scalar || node->kind == Node::Kind::sequence)) {
      wrong_kind(out, path, node->kind, "a section",
                 fmt::format("write keys below it: {}", words(keys_of(field))));
      node = nullptr;
      active = false;
    }
    if (node == nullptr && (field.optional || field.required)) active = false;
    if (node != nullptr) unknown_keys(field, *node, path);
    for (const Field& child : field.fields) {
      const Entry* entry = node == nullptr ? nullptr : entry_of(*node, child.key);
      Value made = value(child, child.type, entry == nullptr ? nullptr : &entry->value,
                         entry == nullptr ? Mark{} : entry->mark, join(path, child.key), active);
      if (active && child.required && !made.given) missing(out, child, path);
      out.children.push_back({std::string(child.key), std::move(made)});
    }
  }

  void map(Value& out, const Field& field, const Node* node, const std::string& path, bool active) {
    if (node == nullptr || node->kind == Node::Kind::null) return;
    if (node->kind != Node::Kind::mapping) {
      wrong_kind(out, path, node->kind, "a mapping of names to values",
                 "write `name: value`, one a line");
      return;
    }
    for (const Entry& entry : node->entries) {
      Value made =
          value(field, field.item, &entry.value, entry.mark, join(path, entry.key), active);
      out.children.push_back({entry.key, std::move(made)});
    }
  }

  void list(Value& out, const Field& field, const Node* node, const std::string& path,
            bool active) {
    Node holder;
    bool alone = false;
    if (node == nullptr) {
      holder = default_list(field);
      node = &holder;
    } else if (node->kind == Node::Kind::scalar && node->text.empty() &&
               field.item != Type::secret) {
      return;
    } else if (node->kind == Node::Kind::scalar ||
               (node->kind == Node::Kind::mapping && field.item == Type::section)) {
      holder.kind = Node::Kind::sequence;
      holder.items.push_back(*node);
      node = &holder;
      alone = true;
    } else if (node->kind != Node::Kind::sequence) {
      wrong_kind(out, path, node->kind, "a list", "write [a, b], or one `- item` a line");
      return;
    }
    const bool given = out.given;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      Value made = value(field, field.item, &node->items[i], node->items[i].mark,
                         alone ? path : fmt::format("{}[{}]", path, i), active);
      made.given = given;
      out.children.push_back({"", std::move(made)});
    }
    if (given && field.required && out.children.empty()) {
      context_.error(out, path, "is empty", "give at least one");
      out.valid = false;
    }
  }

  static Node default_list(const Field& field) {
    Node node;
    node.kind = Node::Kind::sequence;
    std::string_view rest = field.fallback;
    while (!rest.empty()) {
      const std::size_t comma = rest.find(", ");
      Node item;
      item.kind = Node::Kind::scalar;
      item.text = rest.substr(0, comma);
      node.items.push_back(std::move(item));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 2);
    }
    return node;
  }

  void leaf(Value& out, const Node* node, const std::string& path) {
    if (node == nullptr) {
      if (!out.field->fallback.empty() && out.type == out.field->type)
        parse_leaf(out, std::string(out.field->fallback), path, context_);
      return;
    }
    if (node->kind == Node::Kind::null) {
      out.valid = false;
      context_.error(out, path, "has no value",
                     fmt::format("write {}, or remove the line", wanted(out)));
      return;
    }
    if (node->kind != Node::Kind::scalar) {
      wrong_kind(out, path, node->kind, wanted(out), fmt::format("write {}", wanted(out)));
      return;
    }
    if (node->text.empty() && may_be_empty(out)) {
      out.given = false;
      out.text.clear();
      return;
    }
    parse_leaf(out, node->text, path, context_);
  }

  static std::string wanted(const Value& v) {
    return v.type == Type::choice ? words(v.field->choices) : std::string(describe(v.type));
  }

  /// `file: ""` says that there is none.
  static bool may_be_empty(const Value& v) {
    if (v.field->required || v.type != v.field->type || !v.field->fallback.empty()) return false;
    return v.type == Type::text || v.type == Type::url || v.type == Type::path ||
           v.type == Type::regex;
  }

  void unknown_keys(const Field& field, const Node& node, const std::string& path) {
    const std::vector<std::string_view> known = keys_of(field);
    for (const Entry& entry : node.entries) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      Value at;
      at.mark = entry.mark;
      at.variable = entry.value.variable;
      const std::string_view close = nearest(entry.key, known);
      const std::string where = path.empty() ? "at the top level" : "here";
      context_.error(at, join(path, entry.key), fmt::format("is not a key that is known {}", where),
                     close.empty() ? fmt::format("remove it; known are {}", words(known))
                                   : fmt::format("did you mean \"{}\"?", close));
    }
  }

  void missing(const Value& section, const Field& child, const std::string& path) {
    context_.error(section, join(path, child.key), "is required",
                   fmt::format("add `{}:` with {}", child.key, wanted_by(child)));
  }

  static std::string wanted_by(const Field& f) {
    if (f.type == Type::choice) return words(f.choices);
    for (const Field& inner : f.fields) {
      if (!f.shorthand.empty() && inner.key == f.shorthand)
        return std::string(describe(inner.type));
    }
    return std::string(describe(f.type));
  }

  void wrong_kind(Value& out, const std::string& path, Node::Kind kind, std::string_view wanted,
                  std::string fix) {
    out.valid = false;
    context_.error(out, path, fmt::format("must be {}, not {}", wanted, kind_name(kind)),
                   std::move(fix));
  }

  static const Entry* entry_of(const Node& node, std::string_view key) {
    for (const Entry& e : node.entries) {
      if (e.key == key) return &e;
    }
    return nullptr;
  }

  Context& context_;
  std::string origin_;  // of the stored service that is being read; empty: none
};

}  // namespace

void Context::report(Severity severity, const Value& at, std::string path, std::string message,
                     std::string fix) {
  Problem p;
  p.severity = severity;
  p.path = std::move(path);
  p.message = std::move(message);
  p.fix = std::move(fix);
  if (at.variable.empty()) {
    const Mark mark = at.mark.line > 0 ? at.mark : at.key_mark;
    p.file = file;
    p.line = mark.line;
    p.column = mark.column;
  } else {
    p.file = from_store(at) ? at.variable : "environment variable " + at.variable;
  }
  problems.push_back(std::move(p));
}

bool Context::has_errors() const {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& p) { return p.severity == Severity::error; });
}

Result<std::shared_ptr<const Secret>> Context::fetch(std::string_view reference) {
  if (const auto it = resolved.find(reference); it != resolved.end()) return it->second;
  OCTROI_TRY(Secret secret, options.resolve(reference));
  auto shared = std::make_shared<const Secret>(std::move(secret));
  resolved.emplace(reference, shared);
  return shared;
}

Value check_tree(const Node& root, Context& context) {
  return Checker(context).value(schema(), Type::section, &root, {}, "", true);
}

}  // namespace octroi::config
