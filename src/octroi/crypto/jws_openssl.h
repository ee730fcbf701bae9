// octroi/crypto/jws_openssl.h: what those who verify and those who sign have in common. Internal to
// crypto. Thread: pure.
#pragma once

#include <memory>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "octroi/base/deleter.h"

namespace octroi::crypto {

using Pkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using DigestCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using EcdsaSig = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

inline constexpr int kMinRsaBits = 2048;
inline constexpr int kMaxRsaBits = 8192;

}  // namespace octroi::crypto
