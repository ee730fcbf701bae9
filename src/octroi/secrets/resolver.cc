#include "octroi/secrets/resolver.h"

#include <algorithm>

#include "octroi/base/env.h"
#include "octroi/base/log.h"

namespace octroi::secrets {

void Resolver::add(std::unique_ptr<SecretProvider> provider) {
  std::erase_if(providers_, [&](const auto& p) { return p->scheme() == provider->scheme(); });
  providers_.push_back(std::move(provider));
}

Result<Fetched> Resolver::fetch(std::string_view text) {
  OCTROI_TRY(const Reference reference, parse_reference(text));
  const auto provider = std::ranges::find_if(
      providers_, [&](const auto& p) { return p->scheme() == reference.scheme; });
  if (provider == providers_.end()) {
    return fail(Errc::unsupported,
                fmt::format("{} is not supported in this version: use env://, file://, cred://, "
                            "exec://, op:// or vault://",
                            prefix_of(reference.scheme)));
  }
  OCTROI_TRY(Fetched fetched, (*provider)->fetch(reference));
  redactor().add(fetched.value);
  return fetched;
}

Result<std::shared_ptr<const Secret>> Resolver::resolve(std::string_view reference) {
  OCTROI_TRY(Fetched fetched, fetch(reference));
  return std::make_shared<const Secret>(std::move(fetched.value));
}

Resolver local_resolver() {
  Resolver resolver;
  resolver.add(std::make_unique<EnvProvider>());
  resolver.add(std::make_unique<FileProvider>());
  resolver.add(std::make_unique<CredentialProvider>(get_env("CREDENTIALS_DIRECTORY")));
  return resolver;
}

}  // namespace octroi::secrets
