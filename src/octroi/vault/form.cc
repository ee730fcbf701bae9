#include "octroi/vault/form.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "octroi/json/writer.h"

namespace octroi::vault {

namespace {

std::optional<unsigned> nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

/// The byte of the escape at `at`, which is a '%'.
std::optional<unsigned char> escaped(std::string_view text, std::size_t at) {
  if (at + 2 >= text.size()) return std::nullopt;
  const auto high = nibble(text[at + 1]);
  const auto low = nibble(text[at + 2]);
  if (!high || !low) return std::nullopt;
  return static_cast<unsigned char>(*high * 16 + *low);
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
/// What a path segment may hold as it is (RFC 3986 pchar, without ';').
bool is_plain_in_path(char c) {
  return is_word(c) || std::string_view("-.~:@!$&'()*+,=").find(c) != std::string_view::npos;
}
bool is_plain_in_form(char c) { return is_word(c) || c == '-' || c == '.' || c == '*'; }

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto b = static_cast<unsigned char>(c);
    return (b < 0x20 && b != '\n' && b != '\r' && b != '\t') || b == 0x7f;
  });
}

void append_escape(std::string& out, char c) {
  fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
}

tl::unexpected<Error> ambiguous(std::string message) {
  return fail(Errc::ambiguous, std::move(message));
}

/// `word([key])*`, as the frameworks behind such APIs read it without surprises.
bool is_plain_name(std::string_view name) {
  std::size_t at = 0;
  while (at < name.size() && (is_word(name[at]) || name[at] == '-')) ++at;
  if (at == 0) return false;
  while (at < name.size()) {
    if (name[at] != '[') return false;
    const std::size_t end = name.find(']', at);
    if (end == std::string_view::npos) return false;
    if (name.substr(at + 1, end - at - 1).find('[') != std::string_view::npos) return false;
    at = end + 1;
  }
  return true;
}

/// '+' is a space, escapes are bytes; nothing when an escape is broken.
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto byte = escaped(text, i);
      if (!byte) return std::nullopt;
      out += static_cast<char>(*byte);
      i += 2;
    }
  }
  return out;
}

void append_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (is_plain_in_form(c)) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      append_escape(out, c);
    }
  }
}

/// Names as messages may show them.
std::string shown(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 60)) out += c > 0x20 && c < 0x7f ? c : '?';
  return out;
}

/// The name of a list's element: "a[]", "a[0]".
bool is_element(std::string_view name, std::string_view of) {
  if (!name.starts_with(of) || name.size() < of.size() + 2 || name[of.size()] != '[') return false;
  const std::string_view index = name.substr(of.size() + 1, name.size() - of.size() - 2);
  return name.back() == ']' &&
         std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<std::string> canonical_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return ambiguous("the path must begin with /");
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '/') {
      out += c;
      continue;
    }
    char byte = c;
    if (c == '%') {
      const auto b = escaped(path, i);
      if (!b) return ambiguous("the path has a broken percent-escape");
      byte = static_cast<char>(*b);
      i += 2;
      if (byte == '/' || byte == '\\' || byte == '%' || byte == ';' || *b < 0x20 || *b == 0x7f)
        return ambiguous("the path has an escape that hides a separator");
    } else if (!is_plain_in_path(c)) {
      return ambiguous("the path has a character that servers read differently");
    }
    if (is_plain_in_path(byte)) {
      out += byte;
    } else {
      append_escape(out, byte);
    }
  }
  std::size_t at = 1;
  while (at <= out.size()) {
    std::size_t end = out.find('/', at);
    if (end == std::string::npos) end = out.size();
    const std::string_view segment = std::string_view(out).substr(at, end - at);
    if (segment == "." || segment == "..") return ambiguous("the path has dot segments");
    if (segment.empty() && end != out.size()) return ambiguous("the path has an empty segment");
    at = end + 1;
  }
  return out;
}

Result<Form> Form::parse(std::string_view text, const Rules& rules) {
  Form form;
  std::set<std::string, std::less<>> seen;
  // By name, what stands in it: elements that are pushed ("a[]"), or ones with a name ("a[0]").
  struct Inside {
    bool pushed = false, named = false;
  };
  std::map<std::string, Inside, std::less<>> containers;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.empty()) return ambiguous("the form has an empty field");
    if (form.fields_.size() == rules.max_fields) return ambiguous("the form has too many fields");
    const std::size_t equals = std::min(piece.find('='), piece.size());
    auto name = decode(piece.substr(0, equals));
    auto value = decode(piece.substr(std::min(equals + 1, piece.size())));
    if (!name || !value) return ambiguous("the form has a broken percent-escape");
    if (!json::is_utf8(*name) || !json::is_utf8(*value))
      return ambiguous(fmt::format("the form field {} is not UTF-8", shown(*name)));
    if (has_control(*name) || value->find('\0') != std::string::npos)
      return ambiguous(fmt::format("the form field {} has a control character", shown(*name)));
    if (!rules.free_names && !is_plain_name(*name))
      return ambiguous(fmt::format("the form field {} has an unusual name", shown(*name)));
    const bool repeatable = (!rules.free_names && name->ends_with("[]")) ||
                            std::find(rules.repeatable.begin(), rules.repeatable.end(), *name) !=
                                rules.repeatable.end();
    if (!seen.insert(*name).second && !repeatable)
      return ambiguous(fmt::format("the form field {} stands there twice", shown(*name)));
    if (!rules.free_names) {
      for (std::size_t at = name->find('['); at != std::string::npos; at = name->find('[', at + 1))
        (name->compare(at, 2, "[]") == 0 ? containers[name->substr(0, at)].pushed
                                         : containers[name->substr(0, at)].named) = true;
    }
    form.fields_.emplace_back(std::move(*name), std::move(*value));
  }
  for (const auto& [name, inside] : containers) {
    // Which place a pushed element gets beside numbered ones, readers do not agree about.
    if (inside.pushed && inside.named)
      return ambiguous(
          fmt::format("the form field {} has elements with and without an index", shown(name)));
  }
  for (const auto& [name, value] : form.fields_) {
    if (containers.contains(name))
      return ambiguous(
          fmt::format("the form field {} is a value and a container at once", shown(name)));
  }
  return form;
}

Result<std::optional<std::string_view>> Form::value(std::string_view name) const {
  std::optional<std::string_view> found;
  for (const auto& [n, v] : fields_) {
    if (n == name) {
      found = v;
    } else if (n.size() > name.size() && n.starts_with(name) && n[name.size()] == '[') {
      return ambiguous(fmt::format("the form field {} must be one value", shown(name)));
    }
  }
  return found;
}

std::vector<std::string_view> Form::values(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [n, v] : fields_) {
    if (n == name || is_element(n, name)) out.push_back(v);
  }
  return out;
}

bool Form::mentions(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [name](const auto& f) {
    return f.first.starts_with(name) &&
           (f.first.size() == name.size() || f.first[name.size()] == '[');
  });
}

void Form::remove(std::string_view name) {
  std::erase_if(fields_, [name](const auto& f) { return f.first == name; });
}

void Form::set(std::string_view name, std::string_view value) {
  remove(name);
  fields_.emplace_back(name, value);
}

std::string Form::text() const {
  std::string out;
  for (const auto& [name, value] : fields_) {
    if (!out.empty()) out += '&';
    append_encoded(out, name);
    out += '=';
    append_encoded(out, value);
  }
  return out;
}

}  // namespace octroi::vault
