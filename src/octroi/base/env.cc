#include "octroi/base/env.h"

#include <cstdlib>
#include <cstring>

namespace octroi {

std::optional<std::string> get_env(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::optional<Secret> get_env_secret(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return Secret(std::string_view(value));
}

void scrub_env(const std::string& name) {
  if (char* value = std::getenv(name.c_str()); value != nullptr) {
    secure_wipe(value, std::strlen(value));
  }
  unsetenv(name.c_str());
}

}  // namespace octroi
