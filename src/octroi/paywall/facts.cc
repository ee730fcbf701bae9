#include "octroi/paywall/facts.h"

#include <array>
#include <optional>

#include "octroi/crypto/hash.h"

namespace octroi::paywall {

namespace {

/// As forms are read: "+" is a blank. Nothing when an escape is broken or hides a NUL.
std::optional<std::string> decode_form(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    std::array<std::uint8_t, 1> byte{};
    if (!from_hex_into(text.substr(i + 1, 2), byte) || byte[0] == 0) return std::nullopt;
    out.push_back(static_cast<char>(byte[0]));
    i += 2;
  }
  return out;
}

std::string query_value(std::string_view query, std::string_view name) {
  std::optional<std::string> found;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const auto equals = pair.find('=');
    const auto key = decode_form(pair.substr(0, equals));
    if (!key) return {};
    if (*key != name) continue;
    if (found || equals == std::string_view::npos) return {};
    found = decode_form(pair.substr(equals + 1));
    if (!found) return {};
  }
  return found.value_or("");
}

}  // namespace

std::string quoted_place(const RequestContext& c) {
  // What a bundle opens is asked of its source before each request.
  if (c.service.settings.metered) return "bundle";
  std::string text = c.rule.id;
  text.push_back('\n');
  text += c.method == "HEAD" ? std::string_view("GET") : std::string_view(c.method);
  text.push_back('\n');
  text += c.path;
  text.push_back('?');
  text += c.query;
  text.push_back('\n');
  if (c.body_length) text += fmt::format("{}", *c.body_length);
  text += c.told_body;
  const auto digest = crypto::sha256(as_bytes(text));
  return "quote-" + to_hex(ByteView(digest).first(16));
}

std::string fact_value(const FactSource& source, std::string_view query,
                       const http::Headers& headers) {
  switch (source.from) {
    case FactSource::From::query:
      return query_value(query, source.name);
    case FactSource::From::header:
      if (headers.count(source.name) != 1) return {};
      return std::string(headers.get(source.name).value_or(""));
  }
  return {};
}

}  // namespace octroi::paywall
