#include "octroi/paywall/pattern.h"

#include <utility>

#include <re2/re2.h>

namespace octroi::paywall {

ErrorInfo error_info(PatternErrc e) {
  switch (e) {
    case PatternErrc::bad_pattern:
      return {"paywall.bad-pattern", ErrorKind::invalid};
  }
  return {"paywall.unknown", ErrorKind::internal};
}

struct Pattern::Compiled {
  explicit Compiled(const std::string& text) : re(text, options()) {}
  static re2::RE2::Options options() {
    re2::RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(1 << 20);
    return o;
  }
  re2::RE2 re;
};

namespace {

constexpr std::string_view kMeta = R"(\.+*?()|[]{}^$)";

struct Literal {
  std::string prefix;
  bool whole = true;
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The longest literal every match must begin with. Conservative: an alternation anywhere, or a
/// quantifier behind a character, ends what can be promised.
Literal literal_of(std::string_view expression) {
  Literal out;
  if (expression.find('|') != std::string_view::npos || expression.starts_with("(?"))
    return {"", false};
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    std::size_t begin = i;
    std::size_t width = 1;
    if (c == '\\') {
      // An escaped punctuation mark is itself; \d, \x41 and the like are left to RE2.
      if (i + 1 >= expression.size() || kMeta.find(expression[i + 1]) == std::string_view::npos) {
        if (i + 1 >= expression.size() || (expression[i + 1] != '/' && expression[i + 1] != '-'))
          return {out.prefix, false};
      }
      begin = i + 1;
    } else if (kMeta.find(c) != std::string_view::npos) {
      return {out.prefix, false};
    }
    // A quantifier counts for the whole letter, which in UTF-8 may be several bytes.
    while (begin + width < expression.size() && is_continuation(expression[begin + width])) ++width;
    const std::string_view letter = expression.substr(begin, width);
    const std::size_t next = begin + width;
    if (next < expression.size() && (expression[next] == '*' || expression[next] == '?' ||
                                     expression[next] == '{' || expression[next] == '+')) {
      if (expression[next] == '+') out.prefix += letter;
      return {out.prefix, false};
    }
    out.prefix += letter;
    i = next - 1;
  }
  return out;
}

/// What such an expression leaves open stays open: the segment is already over, or all is welcome.
bool ends_openly(std::string_view expression) {
  return expression.ends_with('/') || (expression.ends_with(".*") && !expression.ends_with("\\.*"));
}

}  // namespace

Pattern::Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view expression, Anchor anchor) {
  Pattern p;
  if (anchor == Anchor::segment && ends_openly(expression)) anchor = Anchor::start;
  p.anchor_ = anchor;
  auto compiled = std::make_unique<Compiled>(std::string(expression));
  if (!compiled->re.ok()) {
    return fail(PatternErrc::bad_pattern,
                fmt::format("'{}': {}", expression, compiled->re.error()));
  }
  std::string_view body = expression;
  if (body.starts_with('^')) body.remove_prefix(1);
  // ".*" at the end of a start-anchored pattern says nothing.
  std::string_view core = body;
  if (anchor == Anchor::start && core.ends_with(".*") && !core.ends_with("\\.*"))
    core.remove_suffix(2);
  Literal literal = literal_of(core);
  p.prefix_ = std::move(literal.prefix);
  p.literal_ = literal.whole;
  if (p.literal_) return p;
  if (anchor == Anchor::segment) {
    compiled = std::make_unique<Compiled>("(?:" + std::string(expression) + R"()(?:/|\z))");
  }
  p.compiled_ = std::move(compiled);
  return p;
}

bool Pattern::matches(std::string_view text) const {
  if (!text.starts_with(prefix_)) return false;
  if (literal_) {
    return anchor_ == Anchor::start || text.size() == prefix_.size() ||
           (anchor_ == Anchor::segment && (prefix_.empty() || text[prefix_.size()] == '/'));
  }
  const auto how = anchor_ == Anchor::both ? re2::RE2::ANCHOR_BOTH : re2::RE2::ANCHOR_START;
  return compiled_->re.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), how,
                             nullptr, 0);
}

}  // namespace octroi::paywall
