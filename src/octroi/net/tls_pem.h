// octroi/net/tls_pem.h: certificates and keys as PEM, and what is written into certificates.
// Internal to net. Thread: pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

// OpenSSL's own names for them; its headers stay out of ours.
struct bio_st;
struct evp_pkey_st;
struct x509_st;

namespace octroi::net {

struct FreePem {
  void operator()(bio_st* bio) const noexcept;
  void operator()(evp_pkey_st* key) const noexcept;
  void operator()(x509_st* certificate) const noexcept;
};
using BioPtr = std::unique_ptr<bio_st, FreePem>;
using KeyPtr = std::unique_ptr<evp_pkey_st, FreePem>;
using CertPtr = std::unique_ptr<x509_st, FreePem>;

[[nodiscard]] std::string text_of(bio_st* bio);
[[nodiscard]] BioPtr reader(std::string_view text);
/// For OpenSSL's readers: never asks a terminal.
int no_passphrase(char* out, int size, int writing, void* context);
/// Adds the extension `what` (a NID) with a value in OpenSSL's text form.
[[nodiscard]] bool extend(x509_st* certificate, x509_st* issuer, int what, const char* value);

}  // namespace octroi::net
