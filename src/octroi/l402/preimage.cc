#include "octroi/l402/preimage.h"

#include "octroi/crypto/hash.h"

namespace octroi::l402 {

bool Preimage::opens(const PaymentHash& hash) const {
  return constant_time_equal(crypto::sha256(bytes_), hash.bytes());
}

}  // namespace octroi::l402
