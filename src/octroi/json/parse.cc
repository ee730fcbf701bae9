// The tokens come from Boost.JSON's event parser; the tree, the duplicate check and the numbers are
// ours: its own document keeps the last of two equal keys and rounds some doubles wrongly.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/core.h>

#include "octroi/base/secret.h"
#include "octroi/json/tree.h"
#include "octroi/json/writer.h"

namespace octroi::json {

namespace {

namespace bj = boost::json;
using detail::Node;
using detail::Tree;

// From this many members on, sorting beats comparing every pair.
constexpr std::size_t kPairwiseMembers = 8;
constexpr std::size_t kMaxText = 0x7fff'ffff;

/// Builds the Tree from the parser's events. A refusal of ours is left in `error` and stops it.
struct Builder {
  static constexpr std::size_t max_object_size = kMaxText;
  static constexpr std::size_t max_array_size = kMaxText;
  static constexpr std::size_t max_key_size = kMaxText;
  static constexpr std::size_t max_string_size = kMaxText;

  Tree* tree = nullptr;
  std::vector<std::uint32_t> open;        // the arrays and objects around the current place
  std::vector<std::uint32_t> last_child;  // of each, 0 for none yet
  std::string literal;                    // of a number that arrives in pieces
  std::uint32_t key_start = 0;
  std::uint32_t key_size = 0;
  std::uint32_t text_start = 0;
  std::optional<Error> error;

  template <class E>
  bool refuse(E code, std::string message, bj::error_code& ec) {
    error.emplace(code, std::move(message));
    ec = bj::make_error_code(bj::error::syntax);
    return false;
  }

  [[nodiscard]] std::uint32_t chars_size() const {
    return static_cast<std::uint32_t>(tree->chars.size());
  }

  std::uint32_t add(Kind kind) {
    const auto index = static_cast<std::uint32_t>(tree->nodes.size());
    Node& node = tree->nodes.emplace_back();
    node.kind = kind;
    if (open.empty()) return index;
    node.parent = open.back();
    if (tree->nodes[node.parent].kind == Kind::object) {
      node.key = key_start;
      node.key_size = key_size;
    }
    std::uint32_t& last = last_child.back();
    (last == 0 ? tree->nodes[node.parent].first : tree->nodes[last].next) = index;
    last = index;
    ++tree->nodes[node.parent].count;
    return index;
  }

  void begin(Kind kind) {
    const std::uint32_t index = add(kind);
    open.push_back(index);
    last_child.push_back(0);
  }
  void end() {
    open.pop_back();
    last_child.pop_back();
  }

  /// RFC 7493 section 2.3. rule: MPP-3
  [[nodiscard]] bool has_duplicates(const Node& object) const {
    std::vector<std::string_view> keys;
    keys.reserve(object.count);
    for (std::uint32_t n = object.first; n != 0; n = tree->at(n).next)
      keys.push_back(tree->key(tree->at(n)));
    if (keys.size() <= kPairwiseMembers) {
      for (std::size_t i = 1; i < keys.size(); ++i) {
        if (std::find(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(i), keys[i]) !=
            keys.begin() + static_cast<std::ptrdiff_t>(i)) {
          return true;
        }
      }
      return false;
    }
    std::sort(keys.begin(), keys.end());
    return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
  }

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) { return begin(Kind::object), true; }
  bool on_object_end(std::size_t, bj::error_code& ec) {
    if (has_duplicates(tree->at(open.back()))) {
      return refuse(Errc::duplicate_key, "an object names the same member twice", ec);
    }
    return end(), true;
  }
  bool on_array_begin(bj::error_code&) { return begin(Kind::array), true; }
  bool on_array_end(std::size_t, bj::error_code&) { return end(), true; }

  // The count that comes along covers the whole text so far, so the pieces need no counting here.
  bool on_key_part(bj::string_view s, std::size_t total, bj::error_code&) {
    if (total == s.size()) key_start = chars_size();
    tree->chars.append(s.data(), s.size());
    return true;
  }
  bool on_key(bj::string_view s, std::size_t total, bj::error_code&) {
    if (total == s.size()) key_start = chars_size();
    tree->chars.append(s.data(), s.size());
    key_size = static_cast<std::uint32_t>(total);
    return true;
  }
  bool on_string_part(bj::string_view s, std::size_t total, bj::error_code&) {
    if (total == s.size()) text_start = chars_size();
    tree->chars.append(s.data(), s.size());
    return true;
  }
  bool on_string(bj::string_view s, std::size_t total, bj::error_code&) {
    if (total == s.size()) text_start = chars_size();
    tree->chars.append(s.data(), s.size());
    Node& node = tree->nodes[add(Kind::string)];
    node.text = text_start;
    node.text_size = static_cast<std::uint32_t>(total);
    return true;
  }

  bool on_number_part(bj::string_view s, bj::error_code&) {
    literal.append(s.data(), s.size());
    return true;
  }
  bool on_int64(std::int64_t i, bj::string_view, bj::error_code&) {
    literal.clear();
    tree->nodes[add(Kind::integer)].integer = static_cast<std::uint64_t>(i);
    return true;
  }
  bool on_uint64(std::uint64_t u, bj::string_view, bj::error_code&) {
    literal.clear();
    tree->nodes[add(Kind::big_integer)].integer = u;
    return true;
  }
  bool on_double(double, bj::string_view s, bj::error_code& ec) {
    literal.append(s.data(), s.size());
    double value = 0;
    const auto [end, problem] =
        std::from_chars(literal.data(), literal.data() + literal.size(), value);
    // An underflow is reported like an overflow; it means zero (or a subnormal's neighbour), not
    // trouble.
    const bool underflow = problem == std::errc::result_out_of_range && !overflows(literal);
    if ((problem != std::errc() && !underflow) || end != literal.data() + literal.size()) {
      return refuse(Errc::number_range, "a number is too large for a double", ec);
    }
    Node& node = tree->nodes[add(Kind::real)];
    node.text = chars_size();
    node.text_size = static_cast<std::uint32_t>(literal.size());
    tree->chars += literal;
    literal.clear();
    return true;
  }
  bool on_bool(bool b, bj::error_code&) {
    tree->nodes[add(Kind::boolean)].integer = b ? 1 : 0;
    return true;
  }
  bool on_null(bj::error_code&) { return add(Kind::null), true; }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }

  /// Whether a literal that does not fit a double is too large rather than too small.
  static bool overflows(const std::string& text) {
    return std::isinf(std::strtod(text.c_str(), nullptr));
  }
};

/// Whether the escape of a leading surrogate ends at `end`.
bool leading_surrogate_before(std::string_view text, std::size_t end) {
  if (end < 6 || end > text.size()) return false;
  const std::string_view escape = text.substr(end - 6, 4);
  return escape.starts_with("\\u") && (escape[2] == 'd' || escape[2] == 'D') &&
         std::string_view("89abAB").find(escape[3]) != std::string_view::npos;
}

Error syntax_error(const bj::error_code& ec, std::string_view text, std::size_t offset) {
  const auto at = [&](std::string_view what) {
    return fmt::format("JSON: {} at byte {}", what, offset);
  };
  if (ec == bj::error::too_deep) return {Errc::too_deep, at("nested too deeply")};
  if (ec == bj::error::illegal_leading_surrogate || ec == bj::error::illegal_trailing_surrogate ||
      // The tokeniser's short cut calls a missing second half a syntax error, at its first
      // character or its second.
      leading_surrogate_before(text, offset) ||
      (offset > 0 && leading_surrogate_before(text, offset - 1))) {
    return {Errc::lone_surrogate, at("half of a surrogate pair")};
  }
  if (ec == bj::error::exponent_overflow)
    return {Errc::number_range, at("a number too large for a double")};
  if (ec == bj::error::incomplete) return {Errc::syntax, at("the text ends too early")};
  if (ec == bj::error::extra_data) return {Errc::syntax, at("text after the value")};
  return {Errc::syntax, at("unexpected character")};
}

}  // namespace

Result<Document> parse(std::string_view text, const ParseLimits& limits) {
  const std::size_t max_bytes = std::min(limits.max_bytes, kMaxText);
  if (text.size() > max_bytes)
    return fail(Errc::too_large, fmt::format("JSON: larger than {} bytes", max_bytes));
  if (!is_utf8(text)) return fail(Errc::invalid_utf8, "JSON: the text is not UTF-8");

  auto tree = std::make_unique<Tree>();
  tree->sensitive = limits.sensitive;
  // No string grows when unescaped, so nothing is ever moved and nothing secret is left behind.
  tree->chars.reserve(text.size());
  tree->nodes.reserve(text.size() / 16 + 1);

  bj::parse_options options;
  options.max_depth = limits.max_depth;
  bj::basic_parser<Builder> parser(options);
  parser.handler().tree = tree.get();
  bj::error_code ec;
  const std::size_t used = parser.write_some(/*more=*/false, text.data(), text.size(), ec);
  if (ec) {
    if (parser.handler().error) return fail(*std::move(parser.handler().error));
    return fail(syntax_error(ec, text, used));
  }
  if (used < text.size())
    return fail(syntax_error(bj::make_error_code(bj::error::extra_data), text, used));
  return Document(std::move(tree));
}

}  // namespace octroi::json
