#include "octroi/secrets/provider.h"

#include <charconv>

#include <sys/stat.h>

#include "octroi/base/env.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"

namespace octroi::secrets {
namespace {

tl::unexpected<Error> from_file(const Error& error, const Reference& reference) {
  const Errc which = error.kind() == ErrorKind::not_found ? Errc::not_set
                     : error.is(FileErrc::bad_size)       ? Errc::empty
                                                          : Errc::unreadable;
  return fail(which, fmt::format("{}: {}", reference.text, error.message()));
}

void warn_when_others_can_read(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0 || (st.st_mode & 077) == 0) return;
  OCTROI_LOG(warn, "secrets", "others can read a secret file: chmod 600", {{"path", path}});
}

Secret without_last_newline(Secret value) {
  const std::string_view text = value.reveal_text();
  if (!text.ends_with('\n')) return value;
  return Secret(text.substr(0, text.size() - 1));
}

Result<Secret> read_whole(const std::string& path, const Reference& reference) {
  auto content = read_secret_file(path);
  if (!content) return from_file(content.error(), reference);
  Secret value = without_last_newline(*std::move(content));
  if (value.empty()) {
    return fail(Errc::empty, reference.text + ": the file is empty: write the secret into it");
  }
  return value;
}

std::optional<json::Value> step_into(json::Value value, std::string_view name) {
  if (auto member = value.find(name)) return member;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc{} || end != name.data() + name.size() || !value.is_array()) return {};
  for (const json::Value element : value.elements()) {
    if (index-- == 0) return element;
  }
  return {};
}

/// The whole rest as one name first, then its shorter and shorter beginnings up to a dot.
std::optional<json::Value> walk(json::Value value, std::string_view path) {
  if (auto found = step_into(value, path)) return found;
  for (std::size_t dot = path.rfind('.'); dot != std::string_view::npos && dot > 0;
       dot = path.rfind('.', dot - 1)) {
    if (const auto inner = step_into(value, path.substr(0, dot))) {
      if (auto found = walk(*inner, path.substr(dot + 1))) return found;
    }
  }
  return {};
}

}  // namespace

Result<Secret> select_json(const Secret& json_text, std::string_view path) {
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(json_text.reveal_text(), limits);
  // The parser's own message may quote the text.
  if (!document) return fail(Errc::no_field, "the file is not the JSON that the reference needs");
  const auto value = walk(document->root(), path);
  if (!value) return fail(Errc::no_field, fmt::format("the JSON has nothing at {}", path));
  const auto text = value->as_string();
  if (!text) {
    return fail(Errc::no_field,
                fmt::format("{} is {}, not a string", path, json::describe(value->kind())));
  }
  if (text->empty()) return fail(Errc::empty, fmt::format("{} is an empty string", path));
  return Secret(*text);
}

Result<Fetched> EnvProvider::fetch(const Reference& reference) {
  auto value = get_env_secret(reference.locator);
  if (!value) {
    return fail(Errc::not_set,
                fmt::format("environment variable {} is not set: set it, or change the reference",
                            reference.locator));
  }
  if (value->empty()) {
    return fail(Errc::empty,
                fmt::format("environment variable {} is set but empty", reference.locator));
  }
  return Fetched{*std::move(value), {}, {}};
}

Result<Fetched> FileProvider::fetch(const Reference& reference) {
  OCTROI_TRY(Secret content, read_whole(reference.locator, reference));
  // A certificate is for everybody; only a file that holds more than certificates is a secret.
  const bool certificate = content.reveal_text().starts_with("-----BEGIN CERTIFICATE-----") &&
                           content.reveal_text().find("PRIVATE KEY") == std::string_view::npos;
  if (!certificate) warn_when_others_can_read(reference.locator);
  if (reference.field.empty()) return Fetched{std::move(content), {}, {}};
  auto selected = select_json(content, reference.field);
  if (!selected) return fail(std::move(selected).error().within(reference.text));
  return Fetched{*std::move(selected), {}, {}};
}

Result<Fetched> CredentialProvider::fetch(const Reference& reference) {
  if (!folder_ || folder_->empty()) {
    return fail(Errc::not_set,
                fmt::format("{}: no credentials were passed: put LoadCredential={}:/path into the "
                            "systemd unit",
                            reference.text, reference.locator));
  }
  OCTROI_TRY(Secret content, read_whole(*folder_ + "/" + reference.locator, reference));
  return Fetched{std::move(content), {}, {}};
}

}  // namespace octroi::secrets
