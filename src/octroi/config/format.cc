// `octroi config fmt`: the same content, tidily indented. Works on lines, because a tree would lose
// the comments; the result is parsed again and must hold the same content.

#include <algorithm>
#include <map>

#include "octroi/config/print.h"

namespace octroi::config {
namespace {

/// What the tree says about one line: how deep its first key or dash is.
using Depths = std::map<int, std::size_t>;

void note(Depths& depths, Mark mark, std::size_t depth) {
  if (mark.line > 0) depths.emplace(mark.line, depth);
}

/// Sequences stand one level deeper than their key; an item's keys one deeper than its dash.
void collect(const Node& node, std::size_t depth, Depths& depths) {
  for (const Entry& e : node.entries) {
    note(depths, e.mark, depth);
    collect(e.value, depth + 1, depths);
  }
  for (const Node& item : node.items) {
    note(depths, item.mark, depth);
    collect(item, depth + 1, depths);
  }
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t'))
      line.pop_back();
    out.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::size_t indent_of(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}
bool is_comment(const std::string& line) {
  return indent_of(line) < line.size() && line[indent_of(line)] == '#';
}

/// Comments wait for the next line, whose indentation they take; those that stand deeper belong to
/// what came before them and take the indentation that lines of their depth got there.
class Comments {
 public:
  void add(std::size_t index, std::size_t indent) { waiting_.push_back({index, indent}); }

  void settle(std::size_t before, std::size_t after, std::vector<std::string>& out) {
    for (const auto& [index, indent] : waiting_) {
      const auto seen = moved_.find(indent);
      const bool belongs_above = indent > before && seen != moved_.end();
      out[index].insert(0, belongs_above ? seen->second : after, ' ');
    }
    waiting_.clear();
    moved_[before] = after;
  }

 private:
  std::vector<std::pair<std::size_t, std::size_t>> waiting_;  // index in the output, indentation
  std::map<std::size_t, std::size_t> moved_;  // indentation before and after, latest
};

}  // namespace

tl::expected<std::string, Problems> format_yaml(std::string_view text, std::string_view file) {
  Problems problems;
  const auto tree = parse_yaml(text, file, problems);
  if (!tree || !problems.empty()) return tl::unexpected(std::move(problems));

  Depths depths;
  collect(*tree, 0, depths);
  const std::vector<std::string> lines = lines_of(text);
  std::vector<std::string> out;
  std::ptrdiff_t shift = 0;  // of the last line that the tree knows; its continuation moves along
  Comments comments;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.empty()) {
      if (!out.empty() && !out.back().empty()) out.emplace_back();
      continue;
    }
    const auto known = depths.find(static_cast<int>(i) + 1);
    const std::size_t before = indent_of(line);
    if (is_comment(line) && known == depths.end()) {
      comments.add(out.size(), before);
      out.push_back(line.substr(before));
      continue;
    }
    if (known != depths.end()) {
      shift = static_cast<std::ptrdiff_t>(known->second * 2) - static_cast<std::ptrdiff_t>(before);
    }
    const auto after = static_cast<std::size_t>(
        std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(before) + shift));
    comments.settle(before, after, out);
    out.push_back(std::string(after, ' ') + line.substr(before));
  }
  comments.settle(0, 0, out);
  while (!out.empty() && out.back().empty()) out.pop_back();
  std::string result;
  for (const std::string& line : out) result += line + "\n";

  Problems again;
  const auto check = parse_yaml(result, file, again);
  if (!check || !again.empty() || !same_content(*tree, *check)) {
    Problem p;
    p.file = std::string(file);
    p.message = "cannot be tidied without changing what it says";
    p.fix = "write long texts and nested lists in a simpler form";
    return tl::unexpected(Problems{std::move(p)});
  }
  return result;
}

}  // namespace octroi::config
