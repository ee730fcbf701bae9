#include "octroi/config/yaml.h"

#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace octroi::config {
namespace {

Mark to_mark(const YAML::Mark& m) { return m.is_null() ? Mark{} : Mark{m.line + 1, m.column + 1}; }

/// Builds the tree and notes what the subset leaves out. yaml-cpp's own nodes would do neither:
/// they keep the last of two equal keys and expand aliases silently.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, Problems& problems) : file_(file), problems_(problems) {}

  Node root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark&, const std::string&) override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    Node node;
    node.mark = to_mark(mark);
    add(std::move(node), "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problem(to_mark(mark), "an alias (*name) is not supported",
            "write the value out where it is used");
    Node node;
    node.mark = to_mark(mark);
    add(std::move(node), "");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark);
    Node node;
    node.kind = Node::Kind::scalar;
    node.mark = to_mark(mark);
    node.quoted = tag == "!";
    node.text = value;
    add(std::move(node), value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    start(Node::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    start(Node::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    Node node;
    bool key_next = false;  // in a mapping: the next node is a key
    std::string key;
    Mark key_mark;
    bool drop_value = false;
  };

  void start(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
             YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark);
    if (open_.size() >= kMaxDepth) throw YAML::ParserException(mark, "nested too deeply");
    Open open;
    open.node.kind = kind;
    open.node.mark = to_mark(mark);
    open.key_next = kind == Node::Kind::mapping;
    open_.push_back(std::move(open));
  }

  void end() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node), "");
  }

  void add(Node node, const std::string& text) {
    if (open_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Node::Kind::sequence) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (parent.key_next) {
      take_key(parent, node, text);
      return;
    }
    parent.key_next = true;
    if (parent.drop_value) return;
    if (node.kind == Node::Kind::null) node.mark = parent.key_mark;
    parent.node.entries.push_back({parent.key, parent.key_mark, std::move(node)});
  }

  void take_key(Open& parent, const Node& node, const std::string& text) {
    parent.key_next = false;
    parent.key = text;
    parent.key_mark = node.mark;
    parent.drop_value = true;
    if (node.kind != Node::Kind::scalar) {
      problem(node.mark, "a key must be a plain word", "write `key: value`");
    } else if (text == "<<") {
      problem(node.mark, "merge keys (<<) are not supported",
              "write the keys out where they are used");
    } else if (const Entry* first = find_entry(parent.node, text)) {
      problem(
          node.mark,
          fmt::format("\"{}\" is given twice; the first one is on line {}", text, first->mark.line),
          "remove one of the two", path_to(text));
    } else {
      parent.drop_value = false;
    }
  }

  /// Where the mapping that is open stands: "paywall.services[0].price".
  std::string path_to(const std::string& key) const {
    std::string path;
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      if (open_[i].node.kind == Node::Kind::sequence) {
        path += fmt::format("[{}]", open_[i].node.items.size());
      } else {
        path += (path.empty() ? "" : ".") + open_[i].key;
      }
    }
    return path.empty() ? key : path + "." + key;
  }

  static const Entry* find_entry(const Node& node, std::string_view key) {
    for (const Entry& e : node.entries) {
      if (e.key == key) return &e;
    }
    return nullptr;
  }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) {
      problem(to_mark(mark), "an anchor (&name) is not supported",
              "remove it and write the value out where it is used");
    }
  }
  void refuse_tag(const YAML::Mark& mark) {
    problem(to_mark(mark), "a tag (!name) is not supported",
            "remove it; the type of each key is fixed");
  }
  void problem(Mark mark, std::string message, std::string fix, std::string path = {}) {
    problems_.push_back({std::string(file_), mark.line, mark.column, std::move(path),
                         std::move(message), std::move(fix), Severity::error});
  }

  std::string_view file_;
  Problems& problems_;
  std::vector<Open> open_;
};

/// Byte offset of the first byte that is not UTF-8, or npos.
std::size_t find_bad_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    std::size_t extra = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (c < 0x80) {
      if (c == 0) return i;
    } else if (c >= 0xC2 && c <= 0xDF) {
      extra = 1;
    } else if (c >= 0xE0 && c <= 0xEF) {
      extra = 2;
      if (c == 0xE0) low = 0xA0;   // overlong
      if (c == 0xED) high = 0x9F;  // surrogates
    } else if (c >= 0xF0 && c <= 0xF4) {
      extra = 3;
      if (c == 0xF0) low = 0x90;
      if (c == 0xF4) high = 0x8F;
    } else {
      return i;
    }
    if (i + extra >= s.size() && extra > 0) return i;
    for (std::size_t k = 1; k <= extra; ++k) {
      const auto d = static_cast<unsigned char>(s[i + k]);
      if (d < low || d > high) return i;
      low = 0x80;
      high = 0xBF;
    }
    i += extra + 1;
  }
  return std::string_view::npos;
}

Mark mark_at(std::string_view text, std::size_t offset) {
  Mark mark{1, 1};
  for (const char c : text.substr(0, offset)) {
    ++mark.column;
    if (c == '\n') mark = {mark.line + 1, 1};
  }
  return mark;
}

void check_bytes(std::string_view text, std::string_view file, Problems& problems) {
  const auto add = [&](Mark mark, std::string message, std::string fix) {
    problems.push_back({std::string(file), mark.line, mark.column, "", std::move(message),
                        std::move(fix), Severity::error});
  };
  if (text.size() > kMaxConfigBytes) {
    add({}, "the file is larger than 1 MiB",
        "move long values to files and refer to them with file://");
    return;
  }
  if (const std::size_t bad = find_bad_utf8(text); bad != std::string_view::npos) {
    add(mark_at(text, bad), "the file is not UTF-8 text here", "save it as UTF-8");
    return;
  }
  int line = 0;
  for (std::size_t start = 0; start < text.size();) {
    ++line;
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view content = text.substr(start, end - start);
    const std::size_t first = content.find_first_not_of(" \t\r");
    const std::size_t tab = content.find('\t');
    if (first != std::string_view::npos && tab != std::string_view::npos && tab < first) {
      add({line, static_cast<int>(tab) + 1}, "a tab in the indentation",
          "indent with spaces, two a level");
    }
    start = end + 1;
  }
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const Entry& e : entries) {
    if (e.key == key) return &e.value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) {
  for (Entry& e : entries) {
    if (e.key == key) return &e.value;
  }
  return nullptr;
}

std::optional<Node> parse_yaml(std::string_view text, std::string_view file, Problems& problems) {
  const std::size_t before = problems.size();
  check_bytes(text, file, problems);
  if (problems.size() != before) return std::nullopt;

  TreeBuilder builder(file, problems);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
    Node root = std::move(builder.root);
    TreeBuilder rest(file, problems);
    if (parser.HandleNextDocument(rest)) {
      const Mark mark = rest.root.mark;
      problems.push_back({std::string(file), mark.line, mark.column, "",
                          "a second document starts here", "keep one document; remove the line ---",
                          Severity::error});
    }
    return root;
  } catch (const YAML::Exception& e) {
    const Mark mark = to_mark(e.mark);
    problems.push_back({std::string(file), mark.line, mark.column, "", "not valid YAML: " + e.msg,
                        "check the indentation, colons and quotes on this line and the one before",
                        Severity::error});
    return std::nullopt;
  }
}

bool same_content(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same_content(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key != b.entries[i].key ||
        !same_content(a.entries[i].value, b.entries[i].value))
      return false;
  }
  return true;
}

}  // namespace octroi::config
