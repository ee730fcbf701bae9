// octroi/config/yaml.h: YAML text as a tree in which every node knows its line and column.
//
// The subset that a configuration needs: one document of mappings, sequences and scalars. Anchors,
// aliases, merge keys and tags are refused, because a reader of the file could no longer see what a
// key is set to; so are keys that are given twice in one mapping, tabs in the indentation, text
// that is not UTF-8, files over 16 MiB and nesting over 64. yaml-cpp is seen only by yaml.cc.
// Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/config/problem.h"

namespace octroi::config {

/// From 1; line 0: not from a file.
struct Mark {
  int line = 0;
  int column = 0;
};

struct Entry;

struct Node {
  enum class Kind : std::uint8_t { null, scalar, sequence, mapping };
  Kind kind = Kind::null;
  Mark mark;
  bool quoted = false;         // scalar in quotes or a block
  std::string text;            // of a scalar
  std::vector<Node> items;     // of a sequence
  std::vector<Entry> entries;  // of a mapping, in file order
  std::string variable;        // the environment variable or stored service it came from,
                               // empty: the file

  [[nodiscard]] const Node* find(std::string_view key) const;
  [[nodiscard]] Node* find(std::string_view key);
};

struct Entry {
  std::string key;
  Mark mark;
  Node value;
};

/// Ten thousand services with a few keys each are two or three.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxDepth = 64;

/// Appends to `problems`; the tree is empty only when nothing could be read at all.
[[nodiscard]] std::optional<Node> parse_yaml(std::string_view text, std::string_view file,
                                             Problems& problems);

/// True when both hold the same keys, values and order; places are not compared.
[[nodiscard]] bool same_content(const Node& a, const Node& b);

}  // namespace octroi::config
