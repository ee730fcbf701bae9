// octroi/json/tree.h: how a Document lies in memory. Internal to octroi/json.
//
// One vector of nodes in the order of the text and one buffer of unescaped characters. Node 0 is
// the root, so 0 also says "no sibling" and "no child".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/json/value.h"

namespace octroi::json::detail {

struct Node {
  Kind kind = Kind::null;
  std::uint32_t parent = 0;
  std::uint32_t next = 0;   // following sibling
  std::uint32_t first = 0;  // first child
  std::uint32_t count = 0;  // children
  std::uint32_t key = 0;    // offset and size of the member's name
  std::uint32_t key_size = 0;
  std::uint32_t text = 0;  // string: characters; real: the literal
  std::uint32_t text_size = 0;
  std::uint64_t integer = 0;  // boolean, integer (two's complement), big_integer
};

struct Tree {
  std::vector<Node> nodes;
  std::string chars;
  bool sensitive = false;

  Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree();

  [[nodiscard]] const Node& at(std::uint32_t index) const { return nodes[index]; }
  [[nodiscard]] std::string_view key(const Node& node) const {
    return {chars.data() + node.key, node.key_size};
  }
  [[nodiscard]] std::string_view text(const Node& node) const {
    return {chars.data() + node.text, node.text_size};
  }
};

}  // namespace octroi::json::detail
