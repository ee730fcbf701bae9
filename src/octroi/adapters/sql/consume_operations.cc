#include <algorithm>
#include <utility>

#include "octroi/adapters/sql/claims.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/ledger/consumption.h"
#include "octroi/ledger/stored_headers.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

Result<bool> is_consumed(Connection& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM consumed WHERE hash = ?", hash.bytes()));
  return q.step();
}

Result<bool> claim_hash(Connection& db, const ConsumeRequest& r, std::string_view mark) {
  const std::string idempotency_key = kept_text(r.idempotency_key);
  OCTROI_CHECK(db.run(
      "INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest,"
      " idempotency_key, boot_id, consumed_at, body_kept)"
      " SELECT i.hash, ?, ?, ?, ?, ?, ?, ?, 0 FROM invoices i WHERE i.hash = ?"
      " ON CONFLICT (hash) DO NOTHING",
      to_string(r.scheme), std::string_view(r.service), std::string_view(r.challenge_id),
      ByteView(r.payload), std::string_view(idempotency_key), mark, r.now.value, r.hash.bytes()));
  return db.changes() == 1;
}

namespace {

Result<std::optional<ConsumedRecord>> find_consumed(Connection& db, const PaymentHash& hash,
                                                    std::string_view boot) {
  OCTROI_TRY(Query q, db.query("SELECT auth_type, challenge_id, payload_digest, idempotency_key,"
                               " boot_id, status, headers, body, body_kept"
                               " FROM consumed WHERE hash = ?",
                               hash.bytes()));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<ConsumedRecord>{};
  ConsumedRecord record;
  OCTROI_TRY(record.scheme, read_scheme(q, 0));
  record.challenge_id = q.text(1);
  const ByteView payload = q.blob(2);
  if (payload.size() != record.payload.size()) {
    return fail(Errc::corrupt, "a payload digest in the store has the wrong length");
  }
  std::copy(payload.begin(), payload.end(), record.payload.begin());
  record.idempotency_key = q.text(3);
  if (q.is_null(5)) {
    record.delivering_here = q.text(4).starts_with(boot);
    return std::optional(std::move(record));
  }
  StoredResponse response;
  response.status = static_cast<int>(q.integer(5));
  OCTROI_TRY(response.headers, decode_headers(q.blob(6)));
  response.body = q.text(7);
  response.body_kept = q.integer(8) != 0;
  record.response = std::move(response);
  return std::optional(std::move(record));
}

}  // namespace

Result<ConsumeOutcome> seen_before(Connection& db, const ConsumeRequest& again,
                                   std::string_view boot) {
  OCTROI_TRY(auto first, find_consumed(db, again.hash, boot));
  if (!first) return ConsumeOutcome{ConsumeState::unknown_hash, std::nullopt};
  ConsumeRequest asked = again;
  asked.idempotency_key = kept_text(again.idempotency_key);
  return judge_again(std::move(*first), asked);
}

Result<ConsumeOutcome> consume(Connection& db, const ConsumeRequest& request, std::string_view boot,
                               std::string_view mark) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const bool ours, claim_hash(db, request, mark));
  if (!ours) {
    OCTROI_TRY(ConsumeOutcome seen, seen_before(db, request, boot));
    OCTROI_CHECK(all.keep());
    return seen;
  }
  OCTROI_CHECK(extend_invoice(db, request.hash, request.keep_until));
  OCTROI_CHECK(mark_settled(db, request.hash, request.now));
  OCTROI_CHECK(book_sale(db, request));
  OCTROI_CHECK(all.keep());
  return ConsumeOutcome{ConsumeState::fresh, std::nullopt};
}

Result<std::optional<std::string>> pending_mark(Connection& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT boot_id FROM consumed WHERE hash = ? AND status IS NULL",
                               hash.bytes()));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<std::string>{};
  return std::optional<std::string>{q.text(0)};
}

Result<> finish_consume(Connection& db, const PaymentHash& hash, const StoredResponse& response,
                        std::string_view boot) {
  const Bytes headers = encode_headers(response.headers);
  const std::string_view body = response.body_kept ? std::string_view(response.body) : "";
  OCTROI_CHECK(
      db.run("UPDATE consumed SET status = ?, headers = ?, body = ?, body_kept = ?"
             " WHERE hash = ? AND substr(boot_id, 1, 32) = ? AND status IS NULL",
             std::int64_t{response.status}, ByteView(headers), as_bytes(body),
             std::int64_t{response.body_kept ? 1 : 0}, hash.bytes(), boot));
  if (db.changes() == 1) return {};
  return fail(Errc::not_pending, "this process is not delivering over that payment hash");
}

Result<bool> claim_nonce(Connection& db, std::string_view scope, const Digest& nonce,
                         UnixMillis keep_until) {
  OCTROI_CHECK(
      db.run("INSERT INTO nonces (scope, nonce, keep_until) VALUES (?, ?, ?)"
             " ON CONFLICT (scope, nonce) DO NOTHING",
             scope, ByteView(nonce), keep_until.value));
  return db.changes() == 1;
}

}  // namespace octroi::sql
