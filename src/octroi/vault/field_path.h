// octroi/vault/field_path.h: how a configuration names a place in a request or an answer.
//
//   path   segment *( "." segment ), a segment being a name with any number of "[n]" or "[*]":
//          "order.line_items[*].price". "[*]" is every element.
//
// Thread   pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace octroi::vault {

inline constexpr std::string_view kEachElement = "[*]";

[[nodiscard]] inline bool is_element_number(std::string_view text) {
  return !text.empty() && text.size() <= 6 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The next name or bracket of a path, which is taken off it: "order", "[0]", "[*]".
[[nodiscard]] inline std::string_view take_path_step(std::string_view& path) {
  if (path.starts_with('.')) path.remove_prefix(1);
  const std::size_t end = path.starts_with('[') ? std::min(path.find(']'), path.size() - 1) + 1
                                                : std::min(path.find_first_of(".["), path.size());
  const std::string_view step = path.substr(0, end);
  path.remove_prefix(end);
  return step;
}

/// Whether a configuration may say so.
[[nodiscard]] inline bool is_field_path(std::string_view path) {
  bool name = false;
  if (path.empty() || path.ends_with('.')) return false;
  while (!path.empty()) {
    const bool dot = path.starts_with('.');
    const std::string_view step = take_path_step(path);
    if (step.starts_with('[')) {
      const bool number = step.size() > 2 && step.ends_with(']') &&
                          is_element_number(step.substr(1, step.size() - 2));
      if (dot || !name || (step != kEachElement && !number)) return false;
    } else {
      if (step.empty() || dot != name || step.find(']') != std::string_view::npos) return false;
      name = true;
    }
  }
  return true;
}

/// A path cut behind its last "[*]": where the elements are, and what of each is meant. One without
/// has no elements.
struct PathLines {
  std::string_view elements, rest;
};
[[nodiscard]] inline PathLines path_lines(std::string_view path) {
  const std::size_t at = path.rfind(kEachElement);
  if (at == std::string_view::npos) return {{}, path};
  std::string_view rest = path.substr(at + kEachElement.size());
  if (rest.starts_with('.')) rest.remove_prefix(1);
  return {path.substr(0, at + kEachElement.size()), rest};
}

}  // namespace octroi::vault
