#include "octroi/vault/scrub.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "octroi/base/bytes.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kShortest = 6;
constexpr std::size_t kShortestBase64 = 8;  // characters that are the secret's alone
constexpr std::size_t kLongestEntity = 24;  // leading zeros are allowed in them
constexpr std::size_t kMostBreaks = 4;      // between two characters of base64

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char raise(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::optional<unsigned> nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

/// The ASCII characters that have names in HTML.
struct Entity {
  std::string_view name;  // with its semicolon
  char is;
};
constexpr std::array<Entity, 44> kEntities = {
    {{"lowbar;", '_'}, {"UnderBar;", '_'}, {"period;", '.'},   {"sol;", '/'},
     {"plus;", '+'},   {"equals;", '='},   {"colon;", ':'},    {"amp;", '&'},
     {"AMP;", '&'},    {"quot;", '"'},     {"QUOT;", '"'},     {"apos;", '\''},
     {"commat;", '@'}, {"num;", '#'},      {"dollar;", '$'},   {"percnt;", '%'},
     {"excl;", '!'},   {"ast;", '*'},      {"midast;", '*'},   {"quest;", '?'},
     {"comma;", ','},  {"semi;", ';'},     {"lpar;", '('},     {"rpar;", ')'},
     {"lsqb;", '['},   {"lbrack;", '['},   {"rsqb;", ']'},     {"rbrack;", ']'},
     {"lcub;", '{'},   {"lbrace;", '{'},   {"rcub;", '}'},     {"rbrace;", '}'},
     {"verbar;", '|'}, {"vert;", '|'},     {"bsol;", '\\'},    {"Hat;", '^'},
     {"grave;", '`'},  {"lt;", '<'},       {"LT;", '<'},       {"gt;", '>'},
     {"GT;", '>'},     {"Tab;", '\t'},     {"NewLine;", '\n'}, {"VerticalLine;", '|'}}};

/// One character written in some other way.
struct Written {
  enum class Is : std::uint8_t { nothing, cut, character } is = Is::nothing;
  char character = 0;
  std::size_t size = 0;
};
constexpr Written kNothing{};
constexpr Written kCut{Written::Is::cut, 0, 0};

/// `digits` hexadecimal digits at `from`.
Written hex_digits(std::string_view text, std::size_t at, std::size_t from, std::size_t digits) {
  unsigned value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (from + i >= text.size()) return kCut;
    const auto n = nibble(text[from + i]);
    if (!n) return kNothing;
    value = value * 16 + *n;
  }
  if (value > 0x7f) return kNothing;
  return {Written::Is::character, static_cast<char>(value), from + digits - at};
}

Written backslash(std::string_view text, std::size_t at) {
  if (at + 1 >= text.size()) return kCut;
  switch (text[at + 1]) {
    case 'u':
      return hex_digits(text, at, at + 2, 4);
    case 'x':
      return hex_digits(text, at, at + 2, 2);
    case 'n':
      return {Written::Is::character, '\n', 2};
    case 'r':
      return {Written::Is::character, '\r', 2};
    default:
      return {Written::Is::character, text[at + 1], 2};
  }
}

Written numeric_entity(std::string_view text, std::size_t at, bool whole) {
  std::size_t i = at + 2;
  if (i >= text.size()) return kCut;
  const bool hex = text[i] == 'x' || text[i] == 'X';
  if (hex) ++i;
  const std::size_t digits = i;
  unsigned value = 0;
  for (; i < text.size() && i - at < kLongestEntity; ++i) {
    const auto n = nibble(text[i]);
    if (!n || (!hex && *n > 9)) break;
    value = std::min(value * (hex ? 16 : 10) + *n, 0xffffU);
  }
  if (i == text.size() && i - at < kLongestEntity && !whole) return kCut;
  if (i == digits || value > 0x7f) return kNothing;
  if (i < text.size() && text[i] == ';') ++i;  // browsers do without it
  return {Written::Is::character, static_cast<char>(value), i - at};
}

Written entity(std::string_view text, std::size_t at, bool whole) {
  if (at + 1 >= text.size()) return kCut;
  if (text[at + 1] == '#') return numeric_entity(text, at, whole);
  const std::string_view rest = text.substr(at + 1);
  for (const Entity& e : kEntities) {
    if (rest.starts_with(e.name)) return {Written::Is::character, e.is, 1 + e.name.size()};
  }
  const bool cut = std::any_of(kEntities.begin(), kEntities.end(),
                               [&](const Entity& e) { return e.name.starts_with(rest); });
  return cut ? kCut : kNothing;
}

/// What the escape at `at` stands for.
Written escape(std::string_view text, std::size_t at, bool whole) {
  switch (text[at]) {
    case '%':
      return hex_digits(text, at, at + 1, 2);
    case '\\':
      return backslash(text, at);
    case '&':
      return entity(text, at, whole);
    default:
      return kNothing;
  }
}

bool is_escape(char c) { return c == '%' || c == '\\' || c == '&'; }

/// The characters of base64 over `secret` at this alignment that no neighbour has a part in.
std::string base64_core(std::string_view secret, std::size_t alignment) {
  std::string padded(alignment, '\0');
  padded += secret;
  std::string text = to_base64(as_bytes(padded));
  while (text.ends_with('=')) text.pop_back();
  const std::size_t first = (alignment * 8 + 5) / 6;
  const std::size_t last = padded.size() * 8 / 6;  // beyond the last whole one
  secure_wipe(padded.data(), padded.size());
  return text.substr(first, last - first);
}

template <class Change>
std::string changed(std::string_view text, Change change) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), change);
  return out;
}

}  // namespace

bool Needles::same(char a, char wanted, Case letters) {
  switch (letters) {
    case Case::folded:
      return fold(a) == fold(wanted);
    case Case::base64:
      return a == wanted || (a == '-' && wanted == '+') || (a == '_' && wanted == '/');
  }
  return false;
}

void Needles::add_pattern(std::string text, Case letters, std::size_t replacement) {
  // Two keys of one account have parts in common.
  for (const Pattern& p : patterns_) {
    if (p.letters == letters && p.text.reveal_text() == text) {
      secure_wipe(text.data(), text.size());
      return;
    }
  }
  const auto number = static_cast<std::uint16_t>(patterns_.size());
  for (unsigned c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    if (!same(byte, text[0], letters) && !is_escape(byte)) continue;
    begins_[c] = true;
    first_[c].push_back(number);
    if (is_escape(byte)) {
      second_[c].set();
      continue;
    }
    for (unsigned d = 0; d < 256; ++d) {
      const char next = static_cast<char>(d);
      const bool line_break = letters == Case::base64 && (next == '\n' || next == '\r');
      if (same(next, text[1], letters) || is_escape(next) || line_break) second_[c].set(d);
    }
  }
  patterns_.push_back({Secret::take(std::move(text)), letters, replacement});
}

void Needles::add(const Secret& secret, std::string replacement) {
  if (secret.size() < kShortest) return;
  const std::size_t at = replacements_.size();
  replacements_.push_back(std::move(replacement));
  const std::string_view text = secret.reveal_text();
  add_pattern(std::string(text), Case::folded, at);
  std::array<std::string, 3> cases = {std::string(text), changed(text, fold), changed(text, raise)};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const bool seen = std::find(cases.begin(), cases.begin() + static_cast<std::ptrdiff_t>(i),
                                cases[i]) != cases.begin() + static_cast<std::ptrdiff_t>(i);
    if (seen) continue;
    add_pattern(to_hex(as_bytes(cases[i])), Case::folded, at);
    for (std::size_t alignment = 0; alignment < 3; ++alignment) {
      std::string core = base64_core(cases[i], alignment);
      if (core.size() >= kShortestBase64) add_pattern(std::move(core), Case::base64, at);
    }
  }
  for (std::string& c : cases) secure_wipe(c.data(), c.size());
}

Needles::Look Needles::match(const Pattern& p, std::string_view text, std::size_t at,
                             std::size_t next, bool whole) const {
  const std::string_view wanted = p.text.reveal_text();
  const std::size_t began = at;
  std::size_t breaks = 0;
  for (std::size_t i = next; i < wanted.size();) {
    if (at >= text.size()) return {whole ? Look::Found::no : Look::Found::perhaps, 0, nullptr};
    const char c = text[at];
    const bool plain = same(c, wanted[i], p.letters);
    const Written other = is_escape(c) ? escape(text, at, whole) : kNothing;
    if (other.is == Written::Is::cut && !whole && !plain) {
      return {Look::Found::perhaps, 0, nullptr};
    }
    const bool escaped =
        other.is == Written::Is::character && same(other.character, wanted[i], p.letters);
    const bool is_break = p.letters == Case::base64 && i > 0 &&
                          (c == '\n' || c == '\r' ||
                           (other.is == Written::Is::character &&
                            (other.character == '\n' || other.character == '\r')));
    if (plain && (escaped || other.is == Written::Is::cut)) {
      // A key that has the escape's own character in it: both readings are followed.
      Look as_is = match(p, text, at + 1, i + 1, whole);
      if (as_is.found != Look::Found::no || other.is == Written::Is::cut) {
        as_is.size += at + 1 - began;
        if (other.is == Written::Is::cut && as_is.found == Look::Found::no && !whole)
          as_is.found = Look::Found::perhaps;
        return as_is;
      }
    }
    if (escaped || plain) {
      at += escaped ? other.size : 1;
      ++i;
      breaks = 0;
    } else if (is_break && ++breaks <= kMostBreaks) {
      at += other.is == Written::Is::character ? other.size : 1;
    } else {
      return {};
    }
  }
  return {Look::Found::yes, at - began, &replacements_[p.replacement]};
}

Needles::Look Needles::look(std::string_view text, std::size_t at, bool whole) const {
  bool perhaps = false;
  for (const std::uint16_t i : first_[static_cast<unsigned char>(text[at])]) {
    const Look look = match(patterns_[i], text, at, 0, whole);
    if (look.found == Look::Found::yes) return look;
    perhaps = perhaps || look.found == Look::Found::perhaps;
  }
  return {perhaps ? Look::Found::perhaps : Look::Found::no, 0, nullptr};
}

namespace {

/// What of the text can be told by now, clean.
struct Cleaned {
  std::string text;
  std::size_t read = 0;     // of the input
  std::uint64_t found = 0;  // needles
};
Cleaned cleaned(const Needles& needles, std::string_view text, bool whole) {
  Cleaned out;
  out.text.reserve(text.size());
  while (out.read < text.size()) {
    const std::size_t begins = needles.next(text, out.read);
    out.text += text.substr(out.read, begins - out.read);
    if ((out.read = begins) == text.size()) break;
    const Needles::Look look = needles.look(text, out.read, whole);
    if (look.found == Needles::Look::Found::perhaps) break;
    if (look.found == Needles::Look::Found::yes) {
      out.text += *look.replacement;
      out.read += look.size;
      ++out.found;
    } else {
      out.text += text[out.read++];
    }
  }
  return out;
}

}  // namespace

std::string Scrubber::run(bool whole) {
  Cleaned now = cleaned(*needles_, held_, whole);
  held_.erase(0, now.read);
  found_ += now.found;
  return std::move(now.text);
}

std::string Scrubber::feed(std::string_view piece) {
  if (needles_ == nullptr || needles_->empty()) return std::string(piece);
  held_ += piece;
  return run(false);
}

std::string Scrubber::finish() {
  if (needles_ == nullptr || needles_->empty()) return {};
  return run(true);
}

std::string scrub(const Needles& needles, std::string_view text) {
  return cleaned(needles, text, true).text;
}

void scrub(const Needles& needles, http::Headers& headers) {
  if (needles.empty()) return;
  const auto is_clean = [&needles](std::string_view text) {
    for (std::size_t at = 0; (at = needles.next(text, at)) < text.size(); ++at) {
      if (needles.look(text, at, true).found != Needles::Look::Found::no) return false;
    }
    return true;
  };
  bool touched = false;
  for (const http::Field f : headers) touched = touched || !is_clean(f.name) || !is_clean(f.value);
  if (!touched) return;
  http::Headers clean;
  for (const http::Field f : headers) {
    if (is_clean(f.name)) clean.add(f.name, scrub(needles, f.value));
  }
  headers = std::move(clean);
}

}  // namespace octroi::vault
