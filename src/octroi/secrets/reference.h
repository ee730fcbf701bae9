// octroi/secrets/reference.h: the text that stands for a secret in a configuration.
//
//   env://NAME                                file:///path[#json.path]      cred://id
//   keychain://service/account                vault://mount/path#field
//   awssm://name[#field]                      awsps://path azkv://vault/name[/version]
//   gcpsm://project/name[/version]            infisical://project/env[/folder…]/NAME
//   doppler://project/config/NAME             op://vault/item[/section]/field
//   exec:///program [argument…]               pkcs11:token=…;object=…
//
// The schemes of stores take options before the field: vault://kv/app?version=3#password.
// A text without one of these schemes is not a reference. Schemes are lower case.
//
// Errors   not_a_reference, bad_reference with the form that was expected.
// Thread   pure.   Source: architecture 3.5.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/secrets/errc.h"

namespace octroi::secrets {

enum class Scheme : std::uint8_t {
  env,
  file,
  cred,
  keychain,
  vault,
  awssm,
  awsps,
  azkv,
  gcpsm,
  infisical,
  doppler,
  op,
  exec,
  pkcs11,
};
/// With its separator: "env://", "pkcs11:".
[[nodiscard]] std::string_view prefix_of(Scheme s);

struct Reference {
  Scheme scheme = Scheme::env;
  std::string text;                // as it was written
  std::string locator;             // after the scheme, without options and field
  std::vector<std::string> parts;  // of the locator, where the scheme separates by '/'
  std::vector<std::pair<std::string, std::string>> options;
  std::string field;  // after '#'; empty: the whole value
};

/// Whether the text begins with a scheme that we know; it may still be malformed.
[[nodiscard]] bool is_reference(std::string_view text);
[[nodiscard]] Result<Reference> parse_reference(std::string_view text);

}  // namespace octroi::secrets
