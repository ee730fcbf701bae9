#include "octroi/vault/packs/generic/fields.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/field_path.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault::generic {

namespace {

using json::Value;

constexpr std::size_t kDeepest = 32;

/// A form's fields by their brackets.
struct Node {
  std::string name, text;
  std::vector<Node> below;

  /// An empty name is the next element.
  Node& at(std::string_view wanted, bool last) {
    const std::string key =
        !wanted.empty() ? std::string(wanted) : std::to_string(last ? below.size() : 0);
    const auto found = std::ranges::find(below, key, &Node::name);
    if (found != below.end()) return *found;
    below.push_back({key, {}, {}});
    return below.back();
  }
  [[nodiscard]] bool is_list() const {
    std::size_t next = 0;
    return !below.empty() && std::ranges::all_of(below, [&](const Node& n) {
      return n.name == std::to_string(next++);
    });
  }
  void write(json::Writer& w) const {
    if (below.empty()) {
      w.string(text);
    } else if (is_list()) {
      w.begin_array();
      for (const Node& n : below) n.write(w);
      w.end_array();
    } else {
      w.begin_object();
      for (const Node& n : below) {
        w.key(n.name);
        n.write(w);
      }
      w.end_object();
    }
  }
};

/// "order[items][]" as its words; as it is where it is not written so.
std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> out = {name.substr(0, name.find('['))};
  std::string_view rest = name.substr(out[0].size());
  while (!rest.empty()) {
    const std::size_t end = rest.find(']');
    if (!rest.starts_with('[') || end == std::string_view::npos) return {name};
    out.push_back(rest.substr(1, end - 1));
    rest.remove_prefix(end + 1);
  }
  return out.size() > kDeepest ? std::vector{name} : out;
}

/// The elements of a list, also of one whose places are names ({"0": …}).
std::vector<Value> elements_of(const Value& value) {
  std::vector<Value> out;
  if (value.is_array()) {
    for (const Value v : value.elements()) out.push_back(v);
    return out;
  }
  for (const auto& [key, member] : value.members()) {
    if (!is_element_number(key)) return {value};
    out.push_back(member);
  }
  if (!value.is_object()) out.push_back(value);
  return out;
}

Result<std::optional<Value>> member_of(const Value& value, std::string_view name) {
  std::optional<Value> found;
  const std::string wanted = folded(name);
  for (const auto& [key, member] : value.members()) {
    if (key == name) {
      found = member;
    } else if (folded(key) == wanted) {
      return fail(Errc::ambiguous,
                  fmt::format("write the field {} in exactly these letters", name));
    }
  }
  return found;
}

std::optional<Value> element_at(const Value& value, std::string_view number) {
  std::size_t index = 0;
  std::from_chars(number.data(), number.data() + number.size(), index);
  const std::vector<Value> all = elements_of(value);
  return index < all.size() ? std::optional(all[index]) : std::nullopt;
}

}  // namespace

std::string as_form_name(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::string_view step = take_path_step(path);
    out += out.empty() || step.starts_with('[') ? std::string(step) : fmt::format("[{}]", step);
  }
  return out;
}

Result<json::Document> tree_of(const Form& form) {
  Node root;
  for (const auto& [name, value] : form.fields()) {
    Node* at = &root;
    const auto words = words_of(name);
    for (std::size_t i = 0; i < words.size(); ++i) at = &at->at(words[i], i + 1 == words.size());
    at->text = value;
  }
  json::Writer w;
  if (root.below.empty() || root.is_list()) {
    w.begin_object();
    for (const Node& n : root.below) {
      w.key(n.name);
      n.write(w);
    }
    w.end_object();
  } else {
    root.write(w);
  }
  const std::string text = std::move(w).take();
  auto tree = json::parse(text, {kDeepest + 2, text.size() + 1, false});
  if (!tree) return fail(Errc::ambiguous, "the fields are no tree");
  return std::move(*tree);
}

std::optional<std::string> Found::text() const {
  return all.size() == 1 ? scalar_at(all[0], "") : std::nullopt;
}

Result<Found> find_all(const Value& root, std::string_view path) {
  Found out;
  out.all.push_back(root);
  while (!path.empty()) {
    const std::string_view step = take_path_step(path);
    std::vector<Value> next;
    for (const Value& v : out.all) {
      if (step == kEachElement) {
        std::ranges::copy(elements_of(v), std::back_inserter(next));
        continue;
      }
      std::optional<Value> one;
      if (step.starts_with('[')) {
        one = element_at(v, step.substr(1, step.size() - 2));
      } else {
        OCTROI_TRY(one, member_of(v, step));
      }
      if (one) {
        next.push_back(*one);
      } else {
        out.missing = true;
      }
    }
    out.all = std::move(next);
  }
  out.missing = out.missing || out.all.empty();
  return out;
}

}  // namespace octroi::vault::generic
