// What was judged is what a server reads: messages that we accept, as they are sent on, mean the
// same to readers that share nothing with ours: one that takes the first of a name, one that takes
// the last, and both without regard to case, as readers in some languages are.
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/vault/packs/mcp/mcp.h"
#include "octroi/vault/packs/mcp/message.h"
#include "octroi/vault/packs/mcp/pointer.h"

namespace {

void require(bool yes) {
  if (!yes) std::abort();
}

/// JSON as a reader without any scruples takes it. Strings keep their escapes resolved.
struct Node {
  char kind = 'n';  // n: null or word, #: number, s: text, a: array, o: object
  std::string text;
  std::vector<std::string> names;  // of members; of elements ""
  std::vector<Node> values;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  Node read() {
    Node out = value();
    require(at_ == text_.size());
    return out;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    require(at_ < text_.size());
    return text_[at_++];
  }
  Node value() {
    Node out;
    if (peek() == '{' || peek() == '[') return container();
    if (peek() == '"') {
      out.kind = 's';
      out.text = string();
      return out;
    }
    const std::size_t end = std::min(text_.find_first_of(",]}", at_), text_.size());
    out.text = text_.substr(at_, end - at_);
    out.kind = out.text.find_first_of("0123456789") == std::string::npos ? 'n' : '#';
    at_ = end;
    return out;
  }
  Node container() {
    Node out;
    const bool object = next() == '{';
    out.kind = object ? 'o' : 'a';
    const char close = object ? '}' : ']';
    if (peek() == close) {
      ++at_;
      return out;
    }
    for (;;) {
      std::string key;
      if (object) {
        key = string();
        require(next() == ':');
      }
      out.names.push_back(std::move(key));
      out.values.push_back(value());
      const char c = next();
      if (c == close) return out;
      require(c == ',');
    }
  }
  std::string string() {
    require(next() == '"');
    std::string out;
    for (;;) {
      const char c = next();
      if (c == '"') return out;
      if (c != '\\') {
        out += c;
        continue;
      }
      const char e = next();
      if (e != 'u') {
        constexpr std::string_view kFrom = "bfnrt";
        const std::size_t i = kFrom.find(e);
        out += i == std::string_view::npos ? e : "\b\f\n\r\t"[i];
        continue;
      }
      // The writer escapes nothing but control characters so.
      const std::string hex(text_.substr(at_, 4));
      at_ += 4;
      const unsigned long code = std::strtoul(hex.c_str(), nullptr, 16);
      require(code < 0x80);
      out += static_cast<char>(code);
    }
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

struct Way {
  bool last;
  bool any_case;
};
constexpr Way kWays[] = {{false, false}, {true, false}, {false, true}, {true, true}};

std::string lowered(std::string_view name) {
  std::string out;
  for (const char c : name) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

const Node* find(const Node& object, std::string_view name, Way way) {
  const Node* found = nullptr;
  for (std::size_t i = 0; i < object.names.size(); ++i) {
    const std::string& key = object.names[i];
    if (key != name && !(way.any_case && lowered(key) == lowered(name))) continue;
    found = &object.values[i];
    if (!way.last) return found;
  }
  return found;
}

const Node* below(const Node* at, std::string_view name, Way way) {
  return at != nullptr && at->kind == 'o' ? find(*at, name, way) : nullptr;
}

using octroi::vault::mcp::Message;

void compare(const Message& ours, const Node& theirs, Way way) {
  const Node* method = below(&theirs, "method", way);
  require((method == nullptr) == ours.method.empty());
  require(method == nullptr || (method->kind == 's' && method->text == ours.method));
  const Node* id = below(&theirs, "id", way);
  require((id == nullptr) == ours.id.empty());
  if (ours.method != octroi::vault::mcp::kToolCall) return;
  require(id != nullptr);
  const auto call = octroi::vault::mcp::read_tool_call(ours);
  if (!call) return;
  const Node* params = below(&theirs, "params", way);
  const Node* name = below(params, "name", way);
  require(name != nullptr && name->kind == 's' && name->text == call->tool);
  const Node* arguments = below(params, "arguments", way);
  require((arguments == nullptr) == !call->arguments.has_value());
  if (!call->arguments) return;
  for (const char* field : {"amount", "customer"}) {
    const auto read =
        octroi::vault::mcp::scalar_at_pointer(*call->arguments, std::string("/") + field);
    if (!read) continue;
    const Node* said = below(arguments, field, way);
    const bool scalar =
        said != nullptr &&
        (said->kind == 's' || ((said->kind == '#' || said->kind == 'n') && said->text != "null"));
    require(*read ? scalar && said->text == **read : !scalar);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = octroi::json::parse(text);
  if (!document) return 0;
  const auto ours = octroi::vault::mcp::read_messages(document->root());
  if (!ours) return 0;
  // What is sent is what was read, written anew.
  const std::string sent = document->root().to_json();
  const Node theirs = Reader(sent).read();
  require((theirs.kind == 'a') == ours->batch);
  require(!ours->all.empty());
  for (std::size_t i = 0; i < ours->all.size(); ++i) {
    const Node& one = ours->batch ? theirs.values.at(i) : theirs;
    for (const Way way : kWays) compare(ours->all[i], one, way);
  }
  const auto again = octroi::json::parse(sent);
  require(again.has_value());
  const auto reread = octroi::vault::mcp::read_messages(again->root());
  require(reread && reread->all.size() == ours->all.size() && again->root().to_json() == sent);
  return 0;
}
