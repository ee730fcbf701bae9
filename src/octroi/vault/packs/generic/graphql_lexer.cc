#include "octroi/vault/packs/generic/graphql_lexer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/errors.h"

namespace octroi::vault::generic {

namespace {

using Kind = GraphqlToken::Kind;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlockQuote = "\"\"\"";
constexpr std::string_view kPunctuators = "!$():=@[]{}";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

std::optional<unsigned> nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

/// The UTF-16 unit of four digits at the beginning of the text.
std::optional<unsigned> four_digits(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  unsigned unit = 0;
  for (const char c : text.substr(0, 4)) {
    const auto digit = nibble(c);
    if (!digit) return std::nullopt;
    unit = unit * 16 + *digit;
  }
  return unit;
}

bool is_leading_surrogate(unsigned unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_trailing_surrogate(unsigned unit) { return unit >= 0xdc00 && unit < 0xe000; }

void append_utf8(std::string& out, unsigned point) {
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80 | ((point >> shift) & 0x3f));
  };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    out.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  out.push_back(text);
  return out;
}

/// The spaces that all lines but the first begin with, lines of nothing else left out; npos when
/// there is no such line.
std::size_t common_indentation(const std::vector<std::string_view>& lines) {
  std::size_t common = std::string_view::npos;
  for (std::size_t i = 1; i < lines.size(); ++i)
    common = std::min(common, lines[i].find_first_not_of(' '));
  return common;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(' ') == std::string_view::npos;
}

// 2.9.4 BlockStringValue: the common indentation goes, then the blank lines at both ends. Nothing
// where older servers, which drop empty lines only and indent with spaces only, give another value.
std::optional<std::string> block_value(std::string_view raw) {
  std::vector<std::string_view> lines = lines_of(raw);
  for (const std::string_view line : lines) {
    const std::size_t text = line.find_first_not_of(' ');
    if (text != std::string_view::npos && line[text] == '\t') return std::nullopt;
  }
  const std::size_t common = common_indentation(lines);
  if (common != std::string_view::npos) {
    for (std::size_t i = 1; i < lines.size(); ++i)
      lines[i].remove_prefix(std::min(common, lines[i].size()));
  }
  const auto first = std::ranges::find_if_not(lines, is_blank);
  const auto last = std::find_if_not(lines.rbegin(), std::make_reverse_iterator(first), is_blank);
  const auto empty = [](std::string_view line) { return line.empty(); };
  if (!std::all_of(lines.begin(), first, empty) || !std::all_of(lines.rbegin(), last, empty))
    return std::nullopt;
  return fmt::format("{}", fmt::join(first, last.base(), "\n"));
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<GraphqlToken>> read() {
    OCTROI_CHECK(check_characters());
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    std::vector<GraphqlToken> out;
    for (skip_ignored(); at_ < text_.size(); skip_ignored()) {
      if (out.size() == kMostGraphqlTokens) return wrong("it is too long: send a shorter one");
      OCTROI_TRY(GraphqlToken token, next());
      out.push_back(std::move(token));
    }
    out.push_back({Kind::end, "", at_});
    return out;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view message) const {
    return graphql_error(text_, at_, message);
  }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  /// NUL, which is no character of a document, at its end.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  /// What is wrong wherever it stands.
  Result<> check_characters() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      const bool control = (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
      if (control) return wrong("it has a control character: leave it out, or escape it");
      if (c == '\r' && !rest().starts_with("\r\n"))
        return wrong("a carriage return without a line feed: send a line feed alone");
      for (const char* separator : {"\u0085", "\u2028", "\u2029"}) {
        if (c > 0x7f && rest().starts_with(separator))
          return wrong("it has a separator of lines beyond ASCII: leave it out, or escape it");
      }
    }
    at_ = 0;
    return {};
  }

  void skip_ignored() {
    constexpr std::string_view kIgnored = "\t\n\r ,";
    for (;;) {
      at_ = std::min(text_.find_first_not_of(kIgnored, at_), text_.size());
      if (peek() != '#') return;
      at_ = std::min(text_.find('\n', at_), text_.size());
    }
  }

  Result<GraphqlToken> next() {
    const char c = peek();
    if (rest().starts_with(kBlockQuote)) return block_string();
    if (c == '"') return quoted_string();
    if (is_digit(c) || c == '-') return number();
    if (is_name_start(c)) return name();
    const bool spread = rest().starts_with("...");
    if (!spread && kPunctuators.find(c) == std::string_view::npos)
      return wrong("it has a character that GraphQL has not in requests");
    at_ += spread ? 3 : 1;
    return token(Kind::punctuator, spread ? at_ - 3 : at_ - 1);
  }

  [[nodiscard]] GraphqlToken token(Kind kind, std::size_t begin) const {
    return {kind, std::string(text_.substr(begin, at_ - begin)), begin};
  }

  GraphqlToken name() {
    const std::size_t begin = at_;
    while (is_name(peek())) ++at_;
    return token(Kind::name, begin);
  }

  bool digits() {
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    return at_ > begin;
  }

  Result<GraphqlToken> number() {
    const std::size_t begin = at_;
    take('-');
    bool good = take('0') || digits();
    const bool fraction = good && take('.');
    if (fraction) good = digits();
    if (good && (take('e') || take('E'))) {
      if (!take('+')) take('-');
      good = digits() && fraction;
    }
    const char behind = peek();
    if (!good || is_name(behind) || behind == '.' || behind == '-')
      return wrong("a number that servers read differently: send it like 10 or 10.50");
    return token(Kind::number, begin);
  }

  Result<GraphqlToken> quoted_string() {
    GraphqlToken out{Kind::string, "", at_};
    ++at_;
    while (!take('"')) {
      const char c = peek();
      if (at_ == text_.size() || c == '\n' || c == '\r')
        return wrong("a string does not end on its line: close it, or escape the line's end");
      ++at_;
      if (c != '\\') {
        out.text += c;
      } else {
        OCTROI_CHECK(escape(out.text));
      }
    }
    return out;
  }

  /// What stands behind a backslash.
  Result<> escape(std::string& out) {
    if (take('u')) return unicode(out);
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t which = kEscapes.find(peek());
    if (which == std::string_view::npos) return wrong("a string has an escape that is none");
    ++at_;
    out += kMeanings[which];
    const bool again = kEscapes[which] == '\\' && peek() == 'u' &&
                       (four_digits(text_.substr(at_ + 1)) || rest().starts_with("u{"));
    if (again)
      return wrong("a backslash before an escape's letters: give the text in a variable instead");
    return {};
  }

  /// What stands behind `\u`: a character, or the first half of one with the other behind it.
  Result<> unicode(std::string& out) {
    auto unit = four_digits(rest());
    if (!unit) return wrong("a string's \\u needs four digits");
    at_ += 4;
    if (is_leading_surrogate(*unit) && rest().starts_with("\\u")) {
      const auto trailing = four_digits(rest().substr(2)).value_or(0);
      if (is_trailing_surrogate(trailing)) {
        at_ += 6;
        unit = 0x10000 + ((*unit - 0xd800) << 10) + (trailing - 0xdc00);
      }
    }
    if (*unit >= 0xd800 && *unit < 0xe000)
      return wrong("a string has half of a surrogate pair: send both, or the character itself");
    append_utf8(out, *unit);
    return {};
  }

  Result<GraphqlToken> block_string() {
    constexpr std::string_view kInstead = "send \"…\" with escapes instead";
    const std::size_t begin = at_ + kBlockQuote.size();
    const std::size_t end = text_.find(kBlockQuote, begin);
    if (end == std::string_view::npos) return wrong("a block string does not end: close it");
    const std::string_view raw = text_.substr(begin, end - begin);
    if (raw.find_first_of("\\\r") != std::string_view::npos)
      return wrong(fmt::format("a block string has a backslash or carriage return: {}", kInstead));
    auto value = block_value(raw);
    if (!value)
      return wrong(fmt::format("servers take a block string's blanks differently: {}", kInstead));
    GraphqlToken out{Kind::string, std::move(*value), at_};
    at_ = end + kBlockQuote.size();
    if (peek() == '"')
      return wrong(fmt::format("a quote behind the end of a block string: {}", kInstead));
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<GraphqlToken>> graphql_tokens(std::string_view document) {
  return Lexer(document).read();
}

bool GraphqlCursor::take(std::string_view punctuator) {
  if (!at(punctuator)) return false;
  ++next_;
  return true;
}

Result<> GraphqlCursor::expect(std::string_view punctuator) {
  if (!take(punctuator)) return wrong(fmt::format("expected {}", punctuator));
  return {};
}

Result<const GraphqlToken*> GraphqlCursor::name(std::string_view of) {
  if (peek().kind != GraphqlToken::Kind::name)
    return wrong(fmt::format("expected the name of {}", of));
  return &advance();
}

tl::unexpected<Error> graphql_error(std::string_view document, std::size_t at,
                                    std::string_view message) {
  const auto lines = std::ranges::count(document.substr(0, at), '\n');
  return fail(Errc::ambiguous, fmt::format("query, line {}: {}", lines + 1, message));
}

}  // namespace octroi::vault::generic
