// Whatever a server answers: a mount that is read can be asked below, a secret that is read is
// never empty, the token of a login can stand in a header, and what was wrapped in a JSON text.
#include <algorithm>
#include <cstdlib>

#include "octroi/adapters/hashivault/kv_provider.h"
#include "octroi/adapters/hashivault/transit.h"
#include "octroi/base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  static const auto reference = secrets::parse_reference("vault://kv/app#tls.key");
  if (!reference) std::abort();
  const Secret body{as_text(ByteView(data, size))};
  if (const auto mount = hashivault::read_mount(body)) {
    const bool sane = !mount->path.empty() && !mount->path.ends_with('/');
    if (!sane || (mount->version != 1 && mount->version != 2)) std::abort();
  }
  for (const int version : {1, 2}) {
    const hashivault::Mount mount{"kv", version};
    const auto secret = hashivault::read_secret(body, mount, *reference);
    if (secret && secret->value.size() == 0) std::abort();
  }
  if (const auto login = hashivault::read_login(body)) {
    const auto token = login->token.reveal_text();
    const bool word = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7F; });
    if (token.empty() || !word || login->lease < Seconds(0)) std::abort();
  }
  if (const auto wrapped = hashivault::read_wrapped(body)) {
    if (!hashivault::is_wrapped(*wrapped) || wrapped->find('"') != std::string::npos) std::abort();
  }
  if (const auto key = hashivault::read_unwrapped(body); key && key->empty()) std::abort();
  return 0;
}
