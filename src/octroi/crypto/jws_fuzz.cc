// A token that splits can be put together again to the same text; none verifies under a key that
// has never signed.
#include <cstdlib>

#include "octroi/base/random.h"
#include "octroi/crypto/jws.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  static const crypto::JwsKey key = crypto::JwsKey::hmac(system_random().secret(32)).value();
  const std::string_view token = as_text({data, size});
  const auto parts = crypto::split_jws(token);
  if (!parts) return 0;
  const std::string again = to_base64url(parts->header) + "." + to_base64url(parts->payload) + "." +
                            to_base64url(parts->signature);
  if (again != token) std::abort();
  if (key.verify(crypto::JwsAlgorithm::hs256, parts->signing_input, parts->signature)) std::abort();
  return 0;
}
