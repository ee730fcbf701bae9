#include "octroi/app/real_key.h"

#include <cstdio>

#include <termios.h>
#include <unistd.h>

#include "octroi/app/server_state.h"
#include "octroi/vault/pack.h"

namespace octroi::app {

namespace {

constexpr std::size_t kLongest = 16 * 1024;

/// A private key as PEM has several lines.
bool goes_on(const std::string& text) {
  return text.starts_with("-----BEGIN ") && text.find("-----END ") == std::string::npos;
}

}  // namespace

Result<Secret> read_real_key() {
  termios before{};
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    std::fprintf(stderr, "real key: ");
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  std::string text;
  char c = 0;
  while (text.size() < kLongest && ::read(STDIN_FILENO, &c, 1) == 1) {
    if (c == '\n' && !goes_on(text)) break;
    text += c;
  }
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::fprintf(stderr, "\n");
  }
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return fail(StateErrc::bad_argument, "no key came on standard input");
  return Secret::take(std::move(text));
}

Result<std::string> seal_for(const config::Config& config, const std::string& name,
                             const Secret& real) {
  if (!config.vault) return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  for (const auto& vendor : config.vault->vendors) {
    if (vendor.name != name) continue;
    if (vendor.credential != nullptr)
      return fail(StateErrc::bad_argument,
                  "vault.vendors." + name + ".credential names a key already; remove it first");
    const auto pack = vault::make_pack(vendor);
    if (pack != nullptr) OCTROI_CHECK(pack->check_credential(real));
    OCTROI_TRY(const auto seal, CredentialSeal::open(*config.vault));
    return seal.seal(real, name);
  }
  return fail(StateErrc::bad_argument, "\"" + name + "\" is not one of vault.vendors");
}

}  // namespace octroi::app
