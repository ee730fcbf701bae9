#include "octroi/config/print.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace octroi::config {
namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Plain where YAML reads it back as the same text, else in double quotes.
std::string yaml_scalar(std::string_view text, bool in_flow) {
  constexpr std::string_view kFirst = "-?:,[]{}#&*!|>'\"%@` ~";
  constexpr std::array<std::string_view, 6> kWords{"null", "Null", "NULL", "<<", "---", "..."};
  bool plain =
      !text.empty() && kFirst.find(text.front()) == std::string_view::npos && text.back() != ' ' &&
      text.back() != ':' && std::find(kWords.begin(), kWords.end(), text) == kWords.end() &&
      text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos;
  if (in_flow && text.find_first_of(",[]{}") != std::string_view::npos) plain = false;
  plain = plain && std::none_of(text.begin(), text.end(),
                                [](char c) { return static_cast<unsigned char>(c) < ' '; });
  return plain ? std::string(text) : json_string(text);
}

bool leaf(const Value& v) {
  return v.type != Type::section && v.type != Type::map && v.type != Type::list;
}

/// A header value without a reference may still be a credential; its name decides.
bool hides_value(const Value& v, std::string_view key) {
  if (v.type != Type::text || v.field == nullptr || !v.field->embedded || !v.reference.empty())
    return false;
  constexpr std::array<std::string_view, 6> kMarks{"auth",   "cookie", "token",
                                                   "secret", "key",    "password"};
  std::string name(key);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view m) { return name.find(m) != std::string::npos; });
}

class Printer {
 public:
  explicit Printer(const PrintOptions& options) : options_(options) {}

  bool shown(const Value& v) const {
    if (v.field == nullptr) return false;
    if (!v.given && !options_.defaults) return false;
    if (leaf(v)) return !v.text.empty();
    if (v.type == Type::section && v.field->optional && !v.given) return false;
    if (v.type == Type::section && v.given && v.children.empty()) return true;
    return std::any_of(v.children.begin(), v.children.end(),
                       [&](const Member& m) { return shown(m.value); }) ||
           (v.given && v.type != Type::section) || (v.type == Type::section && v.given);
  }

  std::string yaml_top(const Value& v) {
    if (leaf(v)) return yaml_scalar(v.text, false) + "\n";
    if (is_flow(v)) return flow(v) + "\n";
    yaml(v, 0);
    return out_;
  }
  std::string json_top(const Value& v, std::string_view key) { return json(v, key, 0) + "\n"; }

 private:
  static bool is_flow(const Value& v) {
    return v.type == Type::list && std::all_of(v.children.begin(), v.children.end(),
                                               [](const Member& m) { return leaf(m.value); });
  }
  static std::string flow(const Value& v) {
    std::string out = "[";
    for (std::size_t i = 0; i < v.children.size(); ++i)
      out += (i > 0 ? ", " : "") + yaml_scalar(v.children[i].value.text, true);
    return out + "]";
  }

  void yaml(const Value& v, std::size_t depth) {
    const std::string indent(depth * 2, ' ');
    for (const Member& m : v.children) {
      if (!shown(m.value)) continue;
      if (v.type == Type::list) {
        item(m.value, depth);
        continue;
      }
      out_ += indent + yaml_scalar(m.key, false) + ":";
      if (leaf(m.value)) {
        out_ += " " +
                yaml_scalar(hides_value(m.value, m.key) ? "(written in the file)" : m.value.text,
                            false) +
                "\n";
      } else if (is_flow(m.value)) {
        out_ += " " + flow(m.value) + "\n";
      } else if (std::none_of(m.value.children.begin(), m.value.children.end(),
                              [&](const Member& c) { return shown(c.value); })) {
        out_ += " {}\n";
      } else {
        out_ += "\n";
        yaml(m.value, depth + 1);
      }
    }
  }

  /// "- name: …" with the rest of the section aligned under its first key.
  void item(const Value& v, std::size_t depth) {
    const std::size_t start = out_.size();
    yaml(v, depth + 1);
    if (out_.size() > start) out_[start + depth * 2] = '-';
  }

  std::string json(const Value& v, std::string_view key, std::size_t depth) {
    if (leaf(v)) {
      if (v.type == Type::boolean && v.has_value()) return v.flag() ? "true" : "false";
      if (v.type == Type::integer && v.has_value()) return std::to_string(v.number());
      return json_string(hides_value(v, key) ? "(written in the file)" : v.text);
    }
    const bool list = v.type == Type::list;
    std::string out(1, list ? '[' : '{');
    const std::string indent(depth * 2 + 2, ' ');
    bool first = true;
    for (const Member& m : v.children) {
      if (!shown(m.value)) continue;
      out += first ? "\n" : ",\n";
      first = false;
      out += indent;
      if (!list) out += json_string(m.key) + ": ";
      out += json(m.value, m.key, depth + 1);
    }
    if (!first) out += "\n" + std::string(depth * 2, ' ');
    return out + (list ? ']' : '}');
  }

  const PrintOptions& options_;
  std::string out_;
};

/// "a.b[0].c", step by step.
const Value* find_path(const Value& root, std::string_view path) {
  const Value* at = &root;
  while (!path.empty()) {
    if (path.front() == '[') {
      const std::size_t close = path.find(']');
      if (close == std::string_view::npos) return nullptr;
      std::size_t index = 0;
      const auto [end, ec] = std::from_chars(path.data() + 1, path.data() + close, index);
      if (ec != std::errc{} || end != path.data() + close || index >= at->children.size())
        return nullptr;
      at = &at->children[index].value;
      path.remove_prefix(close + 1);
    } else {
      if (path.front() == '.') path.remove_prefix(1);
      const std::size_t n = std::min(path.find_first_of(".["), path.size());
      const std::string_view key = path.substr(0, n);
      const auto it = std::find_if(at->children.begin(), at->children.end(),
                                   [&](const Member& m) { return !key.empty() && m.key == key; });
      if (it == at->children.end()) return nullptr;
      at = &it->value;
      path.remove_prefix(n);
    }
  }
  return at;
}

}  // namespace

std::optional<std::string> print(const Value& root, const PrintOptions& options) {
  const Value* value = find_path(root, options.only);
  if (value == nullptr) return std::nullopt;
  Printer printer(options);
  const std::size_t dot = options.only.rfind('.');
  const std::string_view key = dot == std::string::npos
                                   ? std::string_view(options.only)
                                   : std::string_view(options.only).substr(dot + 1);
  if (hides_value(*value, key)) return "(written in the file)\n";
  return options.json ? printer.json_top(*value, key) : printer.yaml_top(*value);
}

}  // namespace octroi::config
