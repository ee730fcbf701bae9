// octroi/adapters/sql/migration_testing.h: each migration from an earlier schema with rows in it,
// up and down and up again. For tests only.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/adapters/sql/migrations.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::sql {

/// Rows as an octroi of schema `version` wrote them: invoices 1 and 2, of which 1 was paid; a
/// challenge over each; a claim with its answer; a revocation and a secret.
inline Result<> populate(Connection& db, std::int64_t version) {
  using ledger::hash_of;
  for (const std::uint32_t n : {1U, 2U}) {
    OCTROI_CHECK(
        db.run("INSERT INTO invoices (hash, amount_msat, created_at, expires_at, keep_until,"
               " settled_at, node_index) VALUES (?, 10000, 1, 2, 3, ?, 0)",
               hash_of(n).bytes(), n == 1 ? std::optional<std::int64_t>(5) : std::nullopt));
  }
  OCTROI_CHECK(
      db.run("INSERT INTO transactions (hash, auth_type, service, amount_msat, challenge_id,"
             " request_id, created_at, expires_at, state, settled_at)"
             " VALUES (?, 'mpp_charge', 'weather', 10000, 'c1', 'r1', 1, 2, 'settled', 5)",
             hash_of(1).bytes()));
  // Both tables draw their ids from one sequence, in SQLite by moving rows from one to the other.
  const std::string_view waiting =
      version < 3 ? "INSERT INTO transactions (hash, auth_type, service, amount_msat,"
                    " challenge_id, request_id, created_at, expires_at, state)"
                    " VALUES (?, 'l402', 'weather', 10000, '', 'r2', 1, 2, 'pending')"
      : db.engine() == Engine::sqlite
          ? "INSERT INTO offers (id, hash, auth_type, service, amount_msat,"
            " challenge_id, request_id, created_at, expires_at)"
            " VALUES (2, ?, 'l402', 'weather', 10000, '', 'r2', 1, 2)"
          : "INSERT INTO offers (hash, auth_type, service, amount_msat,"
            " challenge_id, request_id, created_at, expires_at)"
            " VALUES (?, 'l402', 'weather', 10000, '', 'r2', 1, 2)";
  OCTROI_CHECK(db.run(waiting, hash_of(2).bytes()));
  OCTROI_CHECK(db.run(
      "INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest,"
      " idempotency_key, boot_id, consumed_at, status, headers, body, body_kept)"
      " VALUES (?, 'mpp_charge', 'weather', 'challenge-1', ?, 'key-1', 'before', 4, 200, ?, ?, 1)",
      hash_of(1).bytes(), ByteView(ledger::digest_of(1)), ByteView(), as_bytes("sunny")));
  OCTROI_CHECK(
      db.run("INSERT INTO revoked_tokens (token_id, revoked_at, keep_until)"
             " VALUES (?, 1, 2)",
             ledger::token_of(7).bytes()));
  return db.run("INSERT INTO secrets (name, value, created_at) VALUES ('ring', ?, 1)",
                as_bytes("kept"));
}

/// What populate() wrote, as a store on the newest schema tells it.
inline void expect_populated(ledger::Store& store) {
  using namespace ledger;  // NOLINT(google-build-using-namespace): the port's words
  const auto rows = sync(store.list_transactions({}));
  ASSERT_TRUE(rows) << rows.error().message();
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].record.request_id, "r2");
  EXPECT_EQ((*rows)[0].state, TransactionState::pending);
  EXPECT_EQ((*rows)[1].record.request_id, "r1");
  EXPECT_EQ((*rows)[1].settled, UnixMillis{5});
  const auto again = sync(store.consume(consume_of(1)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, ConsumeState::replay);
  ASSERT_TRUE(again->response);
  EXPECT_EQ(again->response->body, "sunny");
  EXPECT_EQ(sync(store.revoked_tokens())->size(), 1U);
  EXPECT_TRUE(sync(store.get_or_put_secret("ring", Secret(std::string_view("other"))))
                  ->equals(std::string_view("kept")));
  // Ids go on where they were.
  ASSERT_TRUE(sync(store.record_transactions({transaction_of(3, Scheme::l402)})));
  EXPECT_GT(sync(store.list_transactions({}))->front().id, (*rows)[0].id);
  EXPECT_EQ(sync(store.consume(consume_of(2)))->state, ConsumeState::fresh);
  EXPECT_EQ(sync(store.consume(consume_of(2)))->state, ConsumeState::pending);
}

/// From `version` with rows to the newest, back, and up again.
inline void migrate_populated(Connection& db, std::int64_t version) {
  const auto known = embedded_migrations();
  const auto newest = static_cast<std::int64_t>(known.size());
  const auto go = [&](std::int64_t to) {
    const auto moved = migrate_to(db, known, to, ledger::kStart);
    ASSERT_TRUE(moved) << "to " << to << ": " << moved.error().message();
  };
  go(version);
  const auto rows = populate(db, version);
  ASSERT_TRUE(rows) << rows.error().message();
  go(newest);
  go(version);
  go(newest);
}

}  // namespace octroi::sql
