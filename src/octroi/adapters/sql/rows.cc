#include "octroi/adapters/sql/rows.h"

#include "octroi/base/bytes.h"
#include "octroi/json/writer.h"

namespace octroi::sql {

using ledger::Errc;

Result<PaymentHash> read_hash(const Query& q, int column) {
  auto hash = PaymentHash::from_bytes(q.blob(column));
  if (!hash) return fail(Errc::corrupt, "a payment hash in the store has the wrong length");
  return *hash;
}

Result<TokenId> read_token(const Query& q, int column) {
  auto token = TokenId::from_bytes(q.blob(column));
  if (!token) return fail(Errc::corrupt, "a token id in the store has the wrong length");
  return *token;
}

Result<Msat> read_msat(const Query& q, int column) {
  auto amount = Msat::from_raw(q.integer(column));
  if (!amount) return fail(Errc::corrupt, "an amount in the store is out of range");
  return *amount;
}

Result<ledger::Scheme> read_scheme(const Query& q, int column) {
  const auto scheme = ledger::scheme_from_string(q.text(column));
  if (!scheme) return fail(Errc::corrupt, "an auth_type in the store is unknown");
  return *scheme;
}

std::string kept_text(std::string_view text) {
  constexpr std::string_view kMark = "\x1Fhex:";
  const bool plain =
      json::is_utf8(text) && text.find('\0') == std::string_view::npos && !text.starts_with(kMark);
  return plain ? std::string(text) : std::string(kMark) + to_hex(as_bytes(text));
}

}  // namespace octroi::sql
