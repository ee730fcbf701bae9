// Environment overrides: OCTROI_PAYWALL__SERVICES__WEATHER__PRICE="20 sat" and the like.

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "octroi/config/check.h"

namespace octroi::config {
namespace {

constexpr std::string_view kPrefix = "OCTROI_";

/// Read by other parts of octroi or by its tests, not by the configuration.
bool belongs_elsewhere(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames{"OCTROI_CONFIG", "OCTROI_TESTDATA",
                                                   "OCTROI_SOURCE", "OCTROI_BINARY"};
  return name.starts_with("OCTROI_TEST_") || name.starts_with("OCTROI_BENCH_") ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// "Support-Bot.v2" → "support_bot_v2": how a name is written in a variable.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    out += upper ? static_cast<char>(c - 'A' + 'a') : keep ? c : '_';
  }
  return out;
}

std::vector<std::string> split_levels(std::string_view name) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = name.find("__");
    parts.push_back(folded(name.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    name.remove_prefix(at + 2);
  }
}

class Override {
 public:
  Override(const std::string& name, const std::string& value, Context& context)
      : name_(name),
        value_(value),
        context_(context),
        parts_(split_levels(std::string_view(name).substr(kPrefix.size()))) {}

  /// All or nothing: a variable that names no key must not leave half a section behind.
  void apply(Node& root) {
    Node copy = root;
    descend(copy, schema(), schema().type, 0);
    if (assigned_) root = std::move(copy);
  }

 private:
  void descend(Node& node, const Field& field, Type type, std::size_t depth) {
    if (depth == parts_.size()) {
      assign(node, field, type);
      return;
    }
    switch (shape_of(type)) {
      case Shape::section:
        into_section(node, field, depth);
        break;
      case Shape::list:
        into_list(node, field, depth);
        break;
      case Shape::map:
        into_map(node, field, depth);
        break;
      case Shape::leaf:
        report(Severity::warning, fmt::format("\"{}\" has no keys below it", parts_[depth - 1]),
               "remove the last part of the name");
        break;
    }
  }

  void into_section(Node& node, const Field& field, std::size_t depth) {
    const std::string& part = parts_[depth];
    for (const Field& child : field.fields) {
      if (child.key != part) continue;
      make_mapping(node, field.shorthand);
      descend(child_of(node, part), child, child.type, depth + 1);
      return;
    }
    std::string fix = "unset it";
    if (const std::string_view close = nearest(part, keys_of(field)); !close.empty()) {
      fix = fmt::format("did you mean {}?", spelled(depth, close));
    } else if (const std::string guess = one_underscore(); !guess.empty()) {
      fix = fmt::format("did you mean {}? Levels are separated by two underscores", guess);
    }
    report(Severity::warning, "no such key in the configuration; the variable has no effect",
           std::move(fix));
  }

  void into_list(Node& node, const Field& field, std::size_t depth) {
    const std::string& part = parts_[depth];
    make_sequence(node);
    std::size_t index = 0;
    const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number = ec == std::errc{} && end == part.data() + part.size();
    if (!number) {
      const auto named = std::find_if(node.items.begin(), node.items.end(), [&](const Node& item) {
        const Node* name = item.find("name");
        return name != nullptr && folded(name->text) == part;
      });
      if (named == node.items.end()) {
        report(Severity::error, fmt::format("no item is named \"{}\"", part),
               "use an item's name, or its number from 0");
        return;
      }
      index = static_cast<std::size_t>(named - node.items.begin());
    }
    if (index > node.items.size()) {
      report(Severity::error,
             fmt::format("there is no item {}; the list has {}", index, node.items.size()),
             "numbers begin at 0 and leave no gap");
      return;
    }
    if (index == node.items.size()) {
      Node added;
      added.variable = name_;
      node.items.push_back(std::move(added));
    }
    descend(node.items[index], field, field.item, depth + 1);
  }

  void into_map(Node& node, const Field& field, std::size_t depth) {
    const std::string& part = parts_[depth];
    make_mapping(node, {});
    for (Entry& entry : node.entries) {
      if (folded(entry.key) != part) continue;
      descend(entry.value, field, field.item, depth + 1);
      return;
    }
    descend(child_of(node, part), field, field.item, depth + 1);
  }

  /// The end of the path: the variable's value becomes the node.
  void assign(Node& node, const Field& field, Type type) {
    const bool structured = type == Type::list || type == Type::map || type == Type::section;
    const bool flow = value_.starts_with('[') || value_.starts_with('{');
    Node made;
    if (structured && flow) {
      Problems ignored;
      const auto parsed = parse_yaml(value_, name_, ignored);
      if (!parsed || !ignored.empty()) {
        report(Severity::error, "its value is not a YAML list or mapping",
               "write [a, b] or {key: value}");
        return;
      }
      made = *parsed;
    } else if (type == Type::list) {
      made.kind = Node::Kind::sequence;
      for (std::size_t at = 0; at <= value_.size() && !value_.empty();) {
        const std::size_t comma = std::min(value_.find(',', at), value_.size());
        Node item;
        item.kind = Node::Kind::scalar;
        item.text = trimmed(std::string_view(value_).substr(at, comma - at));
        made.items.push_back(std::move(item));
        at = comma + 1;
      }
    } else if (type == Type::map || (type == Type::section && field.shorthand.empty())) {
      report(Severity::error, "is a section, not a single value",
             "write {key: value}, or name the key after two underscores");
      return;
    } else {
      made.kind = Node::Kind::scalar;
      made.text = value_;
    }
    stamp(made);
    node = std::move(made);
    assigned_ = true;
  }

  static std::string trimmed(std::string_view s) {
    const std::size_t first = s.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return std::string(s.substr(first, s.find_last_not_of(' ') - first + 1));
  }

  void stamp(Node& node) const {
    node.variable = name_;
    node.mark = {};
    for (Node& item : node.items) stamp(item);
    for (Entry& entry : node.entries) stamp(entry.value);
  }

  void make_mapping(Node& node, std::string_view shorthand) const {
    if (node.kind == Node::Kind::mapping) return;
    Node mapping;
    mapping.kind = Node::Kind::mapping;
    mapping.mark = node.mark;
    mapping.variable = node.kind == Node::Kind::null && node.mark.line == 0 ? name_ : node.variable;
    if (node.kind == Node::Kind::scalar && !shorthand.empty()) {
      mapping.entries.push_back({std::string(shorthand), node.mark, node});
    }
    node = std::move(mapping);
  }
  void make_sequence(Node& node) const {
    if (node.kind == Node::Kind::sequence) return;
    Node sequence;
    sequence.kind = Node::Kind::sequence;
    sequence.mark = node.mark;
    sequence.variable = node.kind == Node::Kind::null ? name_ : node.variable;
    if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::mapping)
      sequence.items.push_back(node);
    node = std::move(sequence);
  }
  Node& child_of(Node& mapping, const std::string& key) const {
    if (Node* found = mapping.find(key)) return *found;
    Node child;
    child.variable = name_;
    mapping.entries.push_back({key, {}, std::move(child)});
    return mapping.entries.back().value;
  }

  std::string spelled(std::size_t depth, std::string_view key) const {
    std::string out(kPrefix);
    for (std::size_t i = 0; i <= depth; ++i) {
      if (i > 0) out += "__";
      const std::string_view part = i == depth ? key : std::string_view(parts_[i]);
      for (const char c : part) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    for (std::size_t i = depth + 1; i < parts_.size(); ++i) {
      out += "__";
      for (const char c : parts_[i])
        out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return out;
  }

  /// OCTROI_LOG_LEVEL was meant as OCTROI_LOG__LEVEL: the first underscore that makes a section.
  std::string one_underscore() const {
    const std::string_view rest = std::string_view(name_).substr(kPrefix.size());
    for (std::size_t at = rest.find('_'); at != std::string_view::npos;
         at = rest.find('_', at + 1)) {
      const Field* section = find_field(folded(rest.substr(0, at)));
      if (section == nullptr || section->type != Type::section) continue;
      const std::vector<std::string_view> keys = keys_of(*section);
      if (std::find(keys.begin(), keys.end(), folded(rest.substr(at + 1))) == keys.end()) continue;
      return fmt::format("{}{}__{}", kPrefix, rest.substr(0, at), rest.substr(at + 1));
    }
    return {};
  }

  void report(Severity severity, std::string message, std::string fix) {
    Value at;
    at.variable = name_;
    context_.report(severity, at, "", std::move(message), std::move(fix));
  }

  const std::string& name_;
  const std::string& value_;
  Context& context_;
  std::vector<std::string> parts_;
  bool assigned_ = false;
};

}  // namespace

void apply_environment(Node& root, Context& context) {
  for (const auto& [name, value] : context.options.env) {
    if (!name.starts_with(kPrefix) || name.size() == kPrefix.size() || belongs_elsewhere(name))
      continue;
    Override(name, value, context).apply(root);
  }
}

}  // namespace octroi::config
