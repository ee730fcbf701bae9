#include "octroi/secrets/reference.h"

#include <algorithm>
#include <array>
#include <optional>

namespace octroi::secrets {
namespace {

enum class Field : std::uint8_t { none, optional, required };

/// What a scheme allows.
struct Form {
  Scheme scheme;
  std::string_view prefix;
  std::string_view example;
  Field field;
  bool options;
  std::size_t least_parts;  // 0: the locator is not divided
  std::size_t most_parts;
};

constexpr std::size_t kAnyNumber = 32;
constexpr std::array<Form, 14> kForms = {{
    {Scheme::env, "env://", "env://NAME", Field::none, false, 0, 0},
    {Scheme::file, "file://", "file:///path or file:///path#json.path", Field::optional, false, 0,
     0},
    {Scheme::cred, "cred://", "cred://id", Field::none, false, 1, 1},
    {Scheme::keychain, "keychain://", "keychain://service/account", Field::none, false, 2, 2},
    {Scheme::vault, "vault://", "vault://mount/path#field", Field::required, true, 2, kAnyNumber},
    {Scheme::awssm, "awssm://", "awssm://name#field", Field::optional, true, 1, kAnyNumber},
    {Scheme::awsps, "awsps://", "awsps://path/name", Field::none, true, 1, kAnyNumber},
    {Scheme::azkv, "azkv://", "azkv://vault/name", Field::none, true, 2, 3},
    {Scheme::gcpsm, "gcpsm://", "gcpsm://project/name", Field::none, true, 2, 3},
    {Scheme::infisical, "infisical://", "infisical://project/env/path/NAME", Field::none, true, 3,
     kAnyNumber},
    {Scheme::doppler, "doppler://", "doppler://project/config/NAME", Field::none, true, 3, 3},
    {Scheme::op, "op://", "op://vault/item/field", Field::none, true, 3, 4},
    {Scheme::exec, "exec://", "exec:///path/of/program", Field::none, false, 0, 0},
    {Scheme::pkcs11, "pkcs11:", "pkcs11:token=name;object=name", Field::none, false, 0, 0},
}};

constexpr std::size_t kLongest = 4096;

const Form* form_of(std::string_view text) {
  const auto it =
      std::ranges::find_if(kForms, [&](const Form& form) { return text.starts_with(form.prefix); });
  return it == kForms.end() ? nullptr : &*it;
}

/// The message shows the expected form and not the text: a secret may have been pasted there.
tl::unexpected<Error> bad(const Form& form, std::string_view what) {
  return fail(Errc::bad_reference,
              fmt::format("{} reference {}: write {}", form.prefix, what, form.example));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t at = text.find(separator);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

Result<> take_options(const Form& form, std::string_view& rest, Reference& out) {
  const std::size_t question = rest.find('?');
  if (!form.options || question == std::string_view::npos) return {};
  for (const std::string& pair : split(rest.substr(question + 1), '&')) {
    const std::size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos) return bad(form, "has an option without '='");
    std::string name = pair.substr(0, equals);
    if (std::ranges::any_of(out.options, [&](const auto& o) { return o.first == name; })) {
      return bad(form, "has an option twice");
    }
    out.options.emplace_back(std::move(name), pair.substr(equals + 1));
  }
  rest = rest.substr(0, question);
  return {};
}

Result<> take_field(const Form& form, std::string_view& rest, Reference& out) {
  const std::size_t hash = form.field == Field::none ? std::string_view::npos : rest.rfind('#');
  if (hash == std::string_view::npos) {
    if (form.field == Field::required) return bad(form, "names no field");
    return {};
  }
  out.field = std::string(rest.substr(hash + 1));
  if (out.field.empty()) return bad(form, "has nothing after '#'");
  rest = rest.substr(0, hash);
  return {};
}

Result<> check_locator(const Form& form, Reference& out) {
  if (out.locator.empty()) return bad(form, "names nothing");
  if (form.scheme == Scheme::env && !is_variable_name(out.locator)) {
    return bad(form, "has a name that no environment variable can have");
  }
  const bool path = form.scheme == Scheme::file || form.scheme == Scheme::exec;
  if (path && (out.locator.front() != '/' || out.locator == "/")) {
    return bad(form, "needs an absolute path (three slashes)");
  }
  if (form.least_parts == 0) return {};
  // A leading '/' is how parameter stores spell their paths.
  std::string_view divided = out.locator;
  if (form.scheme == Scheme::awsps && divided.starts_with('/')) divided.remove_prefix(1);
  out.parts = split(divided, '/');
  if (out.parts.size() < form.least_parts || out.parts.size() > form.most_parts) {
    return bad(form, "has too few or too many parts");
  }
  for (const std::string& part : out.parts) {
    if (part.empty() || part == "." || part == "..")
      return bad(form, "has an empty or dotted part");
  }
  return {};
}

}  // namespace

std::string_view prefix_of(Scheme s) {
  for (const Form& form : kForms) {
    if (form.scheme == s) return form.prefix;
  }
  return {};
}

bool is_reference(std::string_view text) { return form_of(text) != nullptr; }

Result<Reference> parse_reference(std::string_view text) {
  const Form* form = form_of(text);
  if (form == nullptr) {
    return fail(Errc::not_a_reference,
                "not a secret reference: write env://NAME, file:///path or cred://id");
  }
  if (text.size() > kLongest) return bad(*form, "is too long");
  if (std::ranges::any_of(text, is_control)) return bad(*form, "has a control character");
  Reference out;
  out.scheme = form->scheme;
  out.text = std::string(text);
  std::string_view rest = text.substr(form->prefix.size());
  OCTROI_CHECK(take_field(*form, rest, out));
  OCTROI_CHECK(take_options(*form, rest, out));
  out.locator = std::string(rest);
  OCTROI_CHECK(check_locator(*form, out));
  return out;
}

}  // namespace octroi::secrets
