#include "octroi/adapters/hashivault/kv_provider.h"

#include <algorithm>

#include "octroi/base/percent.h"
#include "octroi/json/value.h"

namespace octroi::hashivault {

using secrets::Errc;
using secrets::Fetched;
using secrets::Reference;

namespace {

std::string option(const Reference& reference, std::string_view name) {
  for (const auto& [key, value] : reference.options) {
    if (key == name) return value;
  }
  return {};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Result<> check_options(const Reference& reference) {
  for (const auto& [name, value] : reference.options) {
    if (name == "version" && is_number(value)) continue;
    if (name == "kv" && (value == "1" || value == "2")) continue;
    return fail(Errc::bad_reference,
                "vault:// reference has an option that is not known here: write ?version=3 for an "
                "older version, ?kv=1 or ?kv=2 for an engine that cannot be asked");
  }
  if (option(reference, "kv") == "1" && !option(reference, "version").empty()) {
    return fail(Errc::bad_reference,
                "vault:// reference asks the first version of the engine, which keeps no older "
                "versions, for one: leave ?version= out");
  }
  return {};
}

std::string encoded_parts(const std::vector<std::string>& parts, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += "/" + percent_encoded(parts[i], is_unreserved);
  return out;
}

std::size_t parts_of(const std::string& mount) {
  return static_cast<std::size_t>(std::ranges::count(mount, '/')) + 1;
}

/// What a status says of a path in the engine.
tl::unexpected<Error> no_secret(int status) {
  switch (status) {
    case 403:
      return refused(Errc::unreadable,
                     "the server refuses the token: it is over, or its policy does not let it read "
                     "this path",
                     status);
    case 404:
      return refused(Errc::not_set, "there is nothing at this path, or this version was deleted",
                     status);
    default:
      return refused(status);
  }
}

/// What the server says of the mount; where it does not, the first part, and the second version.
Task<Result<Mount>> find_mount(Conversation* talk, const Reference* r) {
  Mount assumed{r->parts.front(), 2};
  if (const std::string said = option(*r, "kv"); !said.empty()) {
    assumed.version = said == "1" ? 1 : 2;
    co_return assumed;
  }
  Question about;
  about.target = "/v1/sys/internal/ui/mounts" + encoded_parts(r->parts, 0, r->parts.size());
  OCTROI_CO_TRY(const Answer answer, co_await talk->ask(std::move(about)));
  const bool elsewhere = answer.status >= 300 && answer.status < 400;
  if (elsewhere || answer.status >= 500) co_return refused(answer.status);
  if (answer.status != 200) co_return assumed;
  auto mount = read_mount(answer.body);
  const bool fits = mount && (r->locator + "/").starts_with(mount->path + "/") &&
                    parts_of(mount->path) < r->parts.size();
  co_return fits ? *std::move(mount) : assumed;
}

Task<Result<Fetched>> read(Conversation* talk, const Reference* reference) {
  OCTROI_CO_TRY(const Mount mount, co_await find_mount(talk, reference));
  Question what;
  what.target = target_of(mount, *reference);
  OCTROI_CO_TRY(const Answer answer, co_await talk->ask(std::move(what)));
  if (answer.status != 200) co_return no_secret(answer.status);
  co_return read_secret(answer.body, mount, *reference);
}

}  // namespace

std::optional<Mount> read_mount(const Secret& body) {
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(body.reveal_text(), limits);
  if (!document || !document->root().is_object()) return std::nullopt;
  const auto data = document->root().find("data");
  if (!data || !data->is_object()) return std::nullopt;
  const auto path = data->find("path");
  if (!path || !path->as_string()) return std::nullopt;
  Mount out;
  out.path = std::string(*path->as_string());
  while (out.path.ends_with('/')) out.path.pop_back();
  if (out.path.empty()) return std::nullopt;
  // An engine that was mounted without options is of the first version.
  out.version = 1;
  if (const auto options = data->find("options"); options && options->is_object()) {
    const auto version = options->find("version");
    if (version && version->as_string().value_or("") == "2") out.version = 2;
  }
  return out;
}

std::string target_of(const Mount& mount, const Reference& reference) {
  const std::size_t inside = parts_of(mount.path);
  const std::size_t all = reference.parts.size();
  std::string out = "/v1" + encoded_parts(reference.parts, 0, inside);
  if (mount.version == 2) out += "/data";
  out += encoded_parts(reference.parts, inside, all);
  const std::string version = option(reference, "version");
  if (mount.version == 2 && !version.empty()) out += "?version=" + version;
  return out;
}

Result<Fetched> read_secret(const Secret& body, const Mount& mount, const Reference& reference) {
  auto value =
      secrets::select_json(body, (mount.version == 2 ? "data.data." : "data.") + reference.field);
  if (!value) {
    const bool empty = value.error().is(Errc::empty);
    return fail(empty ? Errc::empty : Errc::no_field,
                empty ? "this field is empty" : "there is no such field with a text");
  }
  Fetched out{*std::move(value), {}, {}};
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(body.reveal_text(), limits);
  const auto data = document ? document->root().find("data") : std::nullopt;
  const auto about = data && data->is_object() ? data->find("metadata") : std::nullopt;
  if (mount.version == 2 && about && about->is_object()) {
    if (const auto version = about->find("version")) out.version = version->to_json();
  }
  return out;
}

Result<Fetched> KvProvider::fetch(const Reference& reference) {
  OCTROI_CHECK(check_options(reference));
  auto fetched = access_->converse<Fetched>(
      timeout_, [&](Conversation* talk) { return read(talk, &reference); });
  if (!fetched) return fail(std::move(fetched).error().within(reference.text));
  return fetched;
}

}  // namespace octroi::hashivault
