#include "octroi/pricing/request_text.h"

#include <algorithm>

#include "octroi/base/percent.h"
#include "octroi/json/writer.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricing {

namespace {

constexpr std::string_view kEnd = "\r\n";

/// As a request line may have it: the path was decoded before.
void append_path(std::string& out, std::string_view path) {
  out += percent_encoded(
      path, [](char c) { return c > ' ' && c <= '~' && c != '%' && c != '?' && c != '#'; });
}

/// Without what would end a line.
void append_line(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

/// Bytes of the character at the start of `text`; 0: it is none. RFC 3629.
std::size_t character_at(std::string_view text) {
  for (std::size_t length = 1; length <= 4; ++length) {
    if (length <= text.size() && json::is_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

tl::unexpected<Error> no_request() {
  return fail(Errc::no_price, "the request text is no HTTP request");
}

}  // namespace

std::string as_utf8(std::string_view text) {
  if (json::is_utf8(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_at(text);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string request_text(const PriceRequest& request) {
  std::string out;
  append_line(out, request.method);
  out.push_back(' ');
  append_path(out, request.path);
  if (!request.query.empty()) {
    out.push_back('?');
    append_line(out, request.query);
  }
  out += " HTTP/1.1\r\nHost: ";
  append_line(out, request.authority);
  out += kEnd;
  for (const auto& [name, value] : request.headers) {
    append_line(out, name);
    out += ": ";
    append_line(out, value);
    out += kEnd;
  }
  out += kEnd;
  out += request.body;
  return as_utf8(out);
}

std::optional<std::string_view> RequestText::field(std::string_view name) const {
  for (const auto& [n, value] : fields) {
    if (equal_ignoring_case(n, name)) return value;
  }
  return std::nullopt;
}

Result<RequestText> read_request_text(std::string_view text) {
  const std::size_t head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return no_request();
  RequestText out;
  out.body = text.substr(head_end + 4);
  std::string_view head = text.substr(0, head_end + 2);
  std::string_view line = head.substr(0, head.find(kEnd));
  head.remove_prefix(line.size() + 2);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == 0 || last <= first + 1 ||
      !line.substr(last + 1).starts_with("HTTP/"))
    return no_request();
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  while (!head.empty()) {
    line = head.substr(0, head.find(kEnd));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return no_request();
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    out.fields.emplace_back(line.substr(0, colon), value);
  }
  return out;
}

}  // namespace octroi::pricing
