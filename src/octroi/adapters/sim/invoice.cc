#include "octroi/adapters/sim/invoice.h"

#include <algorithm>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/crypto/secp256k1.h"

namespace octroi::sim {
namespace {

using lightning::Errc;

crypto::Sha256Digest derive(const Secret& node_key, std::string_view label, ByteView seed) {
  const crypto::HmacSha256Key key(node_key);
  return crypto::HmacSha256(key).update(as_bytes(label)).update(seed).finish();
}

}  // namespace

Secret new_node_key(Random& random) {
  return crypto::PrivateKey::generate(random).secret().clone();
}

Result<std::string> node_public_key(const Secret& node_key) {
  OCTROI_TRY(const crypto::PrivateKey key, crypto::PrivateKey::from_secret(node_key));
  return key.public_key().hex();
}

Secret preimage_of(const Secret& node_key, ByteView seed) {
  crypto::Sha256Digest preimage = derive(node_key, "octroi/sim/preimage/1", seed);
  Secret out{ByteView(preimage)};
  secure_wipe(preimage.data(), preimage.size());
  return out;
}

Result<SignedInvoice> sign_invoice(const lightning::InvoiceRequest& request, const Secret& node_key,
                                   ByteView seed, UnixMillis now) {
  OCTROI_TRY(const crypto::PrivateKey key, crypto::PrivateKey::from_secret(node_key));
  bolt11::Invoice invoice;
  invoice.network = bolt11::Network::regtest;
  if (!request.amount.is_zero()) invoice.amount = request.amount;
  invoice.created = from_unix_seconds(now.seconds());
  invoice.payment_hash = PaymentHash(crypto::sha256(preimage_of(node_key, seed).reveal()));
  invoice.payment_secret =
      bolt11::PaymentSecret(derive(node_key, "octroi/sim/payment-secret/1", seed));
  invoice.description = request.memo;
  invoice.expiry = request.expiry;
  Result<std::string> text = bolt11::encode(invoice, key);
  if (!text) return fail(std::move(text).error().within("invoice"));
  return SignedInvoice{.hash = invoice.payment_hash,
                       .bolt11 = *std::move(text),
                       .created = invoice.created,
                       .expires = invoice.expires()};
}

Result<InvoiceToPay> read_invoice(std::string_view text) {
  const Result<bolt11::Invoice> invoice = bolt11::decode(text);
  if (!invoice)
    return fail(Errc::bad_invoice, "invoice: " + std::string(invoice.error().message()));
  if (invoice->network != bolt11::Network::regtest) {
    return fail(Errc::bad_invoice, "invoice: for another network; the simulated one is regtest");
  }
  std::string canonical(text);
  std::ranges::transform(canonical, canonical.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return InvoiceToPay{.hash = invoice->payment_hash,
                      .amount = invoice->amount.value_or(Msat{}),
                      .canonical = std::move(canonical)};
}

}  // namespace octroi::sim
