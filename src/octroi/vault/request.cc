#include "octroi/vault/request.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/vault/media_type.h"

namespace octroi::vault {

namespace {

constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",  "POST",
                                                      "PUT", "PATCH", "DELETE"};
constexpr std::size_t kLongestRun = 128;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

BodyKind kind_of(const MediaType& type) {
  if (type.is_form()) return BodyKind::form;
  return type.is_json() ? BodyKind::json : BodyKind::other;
}

Result<Shown> read_authorization(std::string_view value) {
  const std::size_t space = value.find(' ');
  const std::string scheme = lower(value.substr(0, space));
  const std::string_view rest = trimmed(value.substr(std::min(space, value.size())));
  if (scheme == "bearer") return Shown{Secret(rest), Secret(), false};
  if (scheme == "basic") {
    auto raw = from_base64(rest);
    if (!raw) return fail(Errc::no_key, "the Basic credentials are not base64");
    const std::string_view text = as_text(*raw);
    const std::size_t colon = std::min(text.find(':'), text.size());
    Shown out{Secret(text.substr(std::min(colon + 1, text.size()))), Secret(text.substr(0, colon)),
              true};
    secure_wipe(raw->data(), raw->size());
    return out;
  }
  return fail(Errc::no_key, "show the vault key as Authorization: Bearer <key>");
}

/// RFC 6265 section 4.2.1. The views are into the headers.
std::vector<std::string_view> cookies_of(const http::Headers& headers, std::string_view name) {
  std::vector<std::string_view> out;
  for (std::string_view rest : headers.all("cookie")) {
    while (!rest.empty()) {
      const std::string_view pair = trimmed(rest.substr(0, rest.find(';')));
      rest.remove_prefix(std::min(rest.find(';'), rest.size() - 1) + 1);
      const std::size_t equals = std::min(pair.find('='), pair.size());
      if (pair.substr(0, equals) == name)
        out.push_back(pair.substr(std::min(equals + 1, pair.size())));
    }
  }
  return out;
}

}  // namespace

std::string host_of(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  std::string host = lower(has_port ? authority.substr(0, colon) : authority);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.pop_back();
  return host;
}

Result<Address> find_vendor(const Snapshot& snapshot, const http::RequestHead& head) {
  OCTROI_TRY(std::string path, canonical_path(head.path()));
  const std::string host = host_of(head.authority);
  auto named = snapshot.by_host(host);
  if (named.size() == 1) return Address{named[0], std::move(path)};
  if (!named.empty()) return Address{nullptr, std::move(path), std::move(named)};
  const std::string_view rest = std::string_view(path).substr(1);
  const std::string_view first = rest.substr(0, rest.find('/'));
  if (const Vendor* vendor = snapshot.by_path(first)) {
    std::string below = path.substr(1 + first.size());
    if (below.empty()) below = "/";
    return Address{vendor, std::move(below)};
  }
  return Address{nullptr, std::move(path)};
}

Result<PresentedKey> Shown::read() const {
  return basic ? read_pair(name.reveal_text(), text.reveal_text()) : read_key(text.reveal_text());
}

Result<Shown> take_key(http::RequestHead& head, Form& query, const Vendor* vendor) {
  std::optional<Shown> found;
  std::size_t places = head.headers.count("authorization");
  if (places == 1) {
    OCTROI_TRY(found, read_authorization(*head.headers.get("authorization")));
  }
  std::vector<Place> others = {{Place::Is::header, "x-api-key"}};
  if (vendor != nullptr) {
    for (Place& p : vendor->pack->places()) {
      if (!http::equal_ignoring_case(p.name, "x-api-key")) others.push_back(std::move(p));
    }
  }
  for (const Place& p : others) {
    switch (p.is) {
      case Place::Is::authorization:
        break;
      case Place::Is::header: {
        const std::size_t n = head.headers.count(p.name);
        places += n;
        if (n == 1) found = Shown{Secret(trimmed(*head.headers.get(p.name))), Secret(), false};
        head.headers.remove(p.name);
        break;
      }
      case Place::Is::query: {
        OCTROI_TRY(const auto value, query.value(p.name));
        if (!value) break;
        ++places;
        found = Shown{Secret(*value), Secret(), false};
        query.remove(p.name);
        break;
      }
      case Place::Is::cookie:
        for (const std::string_view value : cookies_of(head.headers, p.name)) {
          ++places;
          found = Shown{Secret(value), Secret(), false};
        }
        break;
    }
  }
  head.headers.remove("authorization");
  head.headers.remove("proxy-authorization");
  head.headers.remove("cookie");
  if (places > 1) return fail(Errc::several_keys, "show one key, in one place");
  if (!found) return fail(Errc::no_key, "show the vault key as Authorization: Bearer <key>");
  return std::move(*found);
}

Result<std::optional<ProxyKey>> take_proxy_key(http::Headers& headers) {
  const std::size_t n = headers.count("proxy-authorization");
  if (n == 0) return std::optional<ProxyKey>();
  if (n > 1) return fail(Errc::several_keys, "Proxy-Authorization stands there twice");
  auto shown = read_authorization(*headers.get("proxy-authorization"));
  headers.remove("proxy-authorization");
  if (!shown) return tl::unexpected<Error>(std::move(shown).error());
  ProxyKey out;
  out.shown = std::move(*shown);
  if (!out.shown.basic) return std::optional<ProxyKey>(std::move(out));
  const std::string_view name = out.shown.name.reveal_text();
  const std::string_view text = out.shown.text.reveal_text();
  const bool is_key = text.empty() || read_key(name) || !read_key(text);
  if (is_key || name == "octroi") return std::optional<ProxyKey>(std::move(out));
  out.run = std::string(name);
  return std::optional<ProxyKey>(std::move(out));
}

Task<Result<Input>> read_input(http::Exchange& exchange, const Vendor& vendor, std::string path,
                               Form query, std::uint64_t max_body) {
  const http::RequestHead& head = exchange.request();
  if (std::find(kMethods.begin(), kMethods.end(), head.method) == kMethods.end())
    co_return fail(Errc::ambiguous, "this method is not allowed");
  OCTROI_CO_CHECK(vendor.pack->check_headers(head.headers));
  if (head.headers.has("content-encoding") &&
      !http::equal_ignoring_case(*head.headers.get("content-encoding"), "identity"))
    co_return fail(Errc::unsupported_body, "send the body without a Content-Encoding");
  if (head.headers.count("content-type") > 1)
    co_return fail(Errc::ambiguous, "the request has several content types");

  Input in;
  in.method = head.method;
  in.path = std::move(path);
  in.query = std::move(query);
  in.content_type = std::string(head.headers.get("content-type").value_or(""));
  auto body = co_await http::read_all(exchange.body(), max_body);
  if (!body) {
    if (body.error().is(http::Errc::body_too_large))
      co_return fail(Errc::body_too_large, "the request body is larger than vault.max_body");
    co_return fail(Errc::ambiguous, "the request body could not be read");
  }
  if (!exchange.body().trailers().empty())
    co_return fail(Errc::ambiguous, "the request has trailers");
  if (body->empty()) co_return in;
  if (vendor.pack->raw_bodies()) {
    in.body_kind = BodyKind::other;
    in.body = std::move(*body);
    co_return in;
  }
  OCTROI_CO_TRY(const MediaType type, read_media_type(in.content_type));
  in.body_kind = kind_of(type);
  // What was read is sent under its bare type: a parameter could make another text of it.
  if (in.body_kind != BodyKind::other) {
    OCTROI_CO_CHECK(type.check_utf8());
    in.content_type = type.essence;
  }
  switch (in.body_kind) {
    case BodyKind::none:
      break;
    case BodyKind::form: {
      OCTROI_CO_TRY(in.form, Form::parse(*body, vendor.pack->form_rules()));
      in.body = in.form.text();
      break;
    }
    case BodyKind::json: {
      auto document = json::parse(*body, {32, static_cast<std::size_t>(max_body) + 1, false});
      if (!document)
        co_return fail(Errc::ambiguous,
                       fmt::format("the body is no strict JSON: {}", document.error().message()));
      in.document.emplace(std::move(*document));
      in.body = in.document->root().to_json();
      break;
    }
    case BodyKind::other:
      in.body = std::move(*body);
      break;
  }
  co_return in;
}

Result<std::string> run_of(const http::Headers& headers, std::string_view other) {
  if (headers.count("x-agent-run-id") > 1)
    return fail(Errc::ambiguous, "X-Agent-Run-Id stands there twice");
  const std::string_view run = trimmed(headers.get("x-agent-run-id").value_or(other));
  const bool plain = run.size() <= kLongestRun &&
                     std::all_of(run.begin(), run.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain)
    return fail(Errc::ambiguous, "X-Agent-Run-Id must be one word of at most 128 letters");
  return std::string(run);
}

}  // namespace octroi::vault
