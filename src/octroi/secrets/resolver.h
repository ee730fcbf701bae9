// octroi/secrets/resolver.h: from a reference to its secret, through whichever provider has it.
//
// Every secret that comes out is known to the process's redactor before the caller sees it.
// Errors   those of parse_reference and of the provider; Errc::unsupported, naming the scheme, for
//          a provider that this version does not have.
// Thread   blocking: start-up and the control thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "octroi/secrets/provider.h"
#include "octroi/secrets/reference.h"

namespace octroi::secrets {

class Resolver {
 public:
  Resolver() = default;
  /// A later provider of the same scheme replaces the earlier one.
  void add(std::unique_ptr<SecretProvider> provider);

  [[nodiscard]] Result<Fetched> fetch(std::string_view reference);
  /// The value alone, to be shared.
  [[nodiscard]] Result<std::shared_ptr<const Secret>> resolve(std::string_view reference);

 private:
  std::vector<std::unique_ptr<SecretProvider>> providers_;
};

/// env, file and cred, with what the environment says.
[[nodiscard]] Resolver local_resolver();

}  // namespace octroi::secrets
