// octroi/adapters/sql/migration_testing.h: each migration from an earlier schema with rows in it,
// up and down and up again. For tests only.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/adapters/sql/migrations.h"
#include "octroi/ledger/approvals.h"
#include "octroi/ledger/services.h"
#include "octroi/ledger/sessions.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/ledger/vault_policies.h"

namespace octroi::sql {

/// A session that was opened with 10 sat, spent 3.5 and got 6 back.
inline Result<> populate_session(Connection& db) {
  const PaymentHash id = ledger::hash_of(40);
  OCTROI_CHECK(
      db.run("INSERT INTO invoices (hash, amount_msat, created_at, expires_at, keep_until,"
             " settled_at, node_index) VALUES (?, 10000, 1, 2, 9223372036854775807, 5, 0)",
             id.bytes()));
  OCTROI_CHECK(
      db.run("INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest,"
             " idempotency_key, boot_id, consumed_at, body_kept)"
             " VALUES (?, 'mpp_session', 'weather', 'c40', ?, 'k', 'before', 4, 0)",
             id.bytes(), ByteView(ledger::digest_of(1))));
  return db.run(
      "INSERT INTO sessions (id, service, return_invoice, return_hash, deposit_msat, spent_msat,"
      " opened_at, last_used_at, idle_ms, look_at, state, close_reason, closed_at, refund_stage,"
      " refund_msat, rounding_msat, refund_fee_msat, refund_attempts, refund_at, refund_detail,"
      " refund_boot) VALUES (?, 'weather', 'lnbcrt1', ?, 10000, 3500, 4, 5, 9, 6, 'closed',"
      " 'client', 6, 'succeeded', 6000, 500, 7, 1, 7, '', 'before')",
      id.bytes(), ledger::hash_of(41).bytes());
}
inline Result<> populate_services_and_sums(Connection& db, std::int64_t version) {
  if (version < 6) return {};
  OCTROI_CHECK(
      db.run("INSERT INTO services (name, document, version, created_at, updated_at)"
             " VALUES ('kept', '{}', 1, 2, 3)"));
  OCTROI_CHECK(db.run("UPDATE service_list SET version = 1"));
  if (version < 7) return {};
  OCTROI_CHECK(
      db.run("INSERT INTO revenue (day, service, auth_type, lane, sales, amount_msat)"
             " VALUES (0, 'weather', 'mpp_charge', 0, 1, 10000)"));
  return db.run(
      "INSERT INTO session_sums (day, service, lane, sessions, deposit_msat, spent_msat,"
      " refund_msat, refunded_msat, fee_msat, rounding_msat)"
      " VALUES (0, 'weather', 0, 1, 10000, 3500, 6000, 6000, 7, 500)");
}
/// A call of a vault key that was settled, and one that is open.
inline Result<> populate_spends(Connection& db, std::int64_t version) {
  if (version < 10) return {};
  OCTROI_CHECK(
      db.run("INSERT INTO spend_windows (scope, unit, starts_at, ends_at, held, settled, seen_at)"
             " VALUES ('policy/bot/lifetime/all/micro_usd', 'micro_usd', 0, 9223372036854775807,"
             " 30, 12, 5)"));
  for (const std::string_view id : {"open", "settled"}) {
    OCTROI_CHECK(db.run(
        "INSERT INTO spends (id, fingerprint, state, amount, settled, assumed, attempt,"
        " created_at, changed_at, answer_by, give_up_at, replay_until, vendor, operation, policy,"
        " key_id, run, object, holds) VALUES (?1, ?2, CASE WHEN ?1 = 'open' THEN 'unknown' ELSE"
        " 'settled' END, 30, CASE WHEN ?1 = 'open' THEN 0 ELSE 12 END, 0, 1, 4, 5, 6, 7, 8,"
        " 'stripe', 'charges.create', 'bot', 'k1', 'run-1', '', '1u30r')",
        id, ByteView(ledger::digest_of(1))));
  }
  return {};
}
/// A vault key, a ticket that waits, a policy with a version.
inline Result<> populate_governance(Connection& db, std::int64_t version) {
  if (version < 11) return {};
  const auto hash = ledger::digest_of(7);
  OCTROI_CHECK(
      db.run("INSERT INTO vault_keys (id, secret_hash, pair_id, pair_hash, live, vendor, policy,"
             " name, server, agent, run, state, created_at, changed_at)"
             " VALUES ('k1', ?1, 'AC1', ?1, 1, 'stripe', 'bot', '', '', 'helper', '', 'active',"
             " 1, 2)",
             ByteView(hash)));
  OCTROI_CHECK(db.run("UPDATE vault_key_list SET version = 1"));
  OCTROI_CHECK(version < 15 ? db.run("INSERT INTO vault_credentials (vendor, sealed, updated_at)"
                                     " VALUES ('stripe', 'c2VhbGVk', 7)")
                            : db.run("INSERT INTO vault_credential_versions (vendor, version,"
                                     " state, sealed, account, since)"
                                     " VALUES ('stripe', 1, 'current', 'c2VhbGVk', '', 7)"));
  if (version < 12) return {};
  OCTROI_CHECK(
      db.run("INSERT INTO approvals (id, request, body, key_id, vendor, operation, method, path,"
             " customer, policy, run, agent, amount, reason, state, asked_at, expires_at,"
             " decided_by, used_by) VALUES ('apr_1', ?1, ?1, 'k1', 'stripe', 'charges.create',"
             " 'POST', '/v1/charges', '', 'bot', '', 'helper', 5, 'why', 'pending', 1, 99, '', '')",
             ByteView(hash)));
  if (version < 13) return {};
  OCTROI_CHECK(
      db.run("INSERT INTO vault_policies (name, document, version, created_at, updated_at)"
             " VALUES ('bot', '{}', 2, 1, 2)"));
  return db.run(
      "INSERT INTO vault_policy_versions (name, version, document, at)"
      " VALUES ('bot', 2, '{}', 2)");
}
/// What populate_governance() wrote, with whatever the schema kept of it.
inline void expect_governance(ledger::Store& store, std::int64_t version) {
  using namespace ledger;  // NOLINT(google-build-using-namespace): the port's words
  const auto keys = sync(store.vault_keys()->list_vault_keys());
  ASSERT_TRUE(keys) << keys.error().message();
  ASSERT_EQ(keys->keys.size(), version >= 11 ? 1U : 0U);
  if (version >= 11) {
    EXPECT_EQ(keys->keys[0].agent, "helper");
    EXPECT_EQ(keys->keys[0].parent, "");
    EXPECT_FALSE(keys->keys[0].canary);
  }
  const auto credentials = sync(store.vault_keys()->list_credentials());
  ASSERT_TRUE(credentials) << credentials.error().message();
  ASSERT_EQ(credentials->size(), version >= 11 ? 1U : 0U);
  if (version >= 11) {
    EXPECT_EQ((*credentials)[0].sealed, "c2VhbGVk");
    EXPECT_EQ((*credentials)[0].state, CredentialState::current);
    EXPECT_EQ((*credentials)[0].since, UnixMillis{7});
  }
  const auto tickets = sync(store.approvals()->list_approvals(ApprovalState::pending, 10));
  ASSERT_TRUE(tickets) << tickets.error().message();
  EXPECT_EQ(tickets->size(), version >= 12 ? 1U : 0U);
  const auto changed =
      sync(store.vault_policies()->change_policy({"bot", "{}", {}, UnixMillis{9}}));
  ASSERT_TRUE(changed) << changed.error().message();
  EXPECT_EQ(changed->version, version >= 13 ? 3 : 1);
}
/// What populate_spends() wrote, with whatever the schema kept of it.
inline void expect_spends(ledger::Store& store, std::int64_t version) {
  using namespace ledger;  // NOLINT(google-build-using-namespace): the port's words
  const auto usage = sync(store.spends()->usage("policy/bot/", UnixMillis{5}));
  ASSERT_TRUE(usage) << usage.error().message();
  ASSERT_EQ(usage->size(), version >= 10 ? 1U : 0U);
  if (version < 10) return;
  EXPECT_EQ((*usage)[0].held, 30);
  const auto released = sync(store.spends()->release("open", UnixMillis{9}));
  ASSERT_TRUE(released) << released.error().message();
  ASSERT_EQ(released->usage.size(), 1U);
  EXPECT_EQ(released->usage[0].total(), 12);
}

/// Rows as an octroi of schema `version` wrote them: invoices 1 and 2, of which 1 was paid; a
/// challenge over each; a claim with its answer; a revocation and a secret. From schema 4 on a
/// session that ended, from 6 on a service.
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
  {
    const PaymentHash hash = hash_of(2);
    OCTROI_TRY(Query q, db.prepare(waiting));
    OCTROI_CHECK(q.bind(ByteView(hash.bytes())).run());
  }
  OCTROI_CHECK(db.run(
      "INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest,"
      " idempotency_key, boot_id, consumed_at, status, headers, body, body_kept)"
      " VALUES (?, 'mpp_charge', 'weather', 'challenge-1', ?, 'key-1', 'before', 4, 200, ?, ?, 1)",
      hash_of(1).bytes(), ByteView(ledger::digest_of(1)), ByteView(), as_bytes("sunny")));
  OCTROI_CHECK(
      db.run("INSERT INTO revoked_tokens (token_id, revoked_at, keep_until)"
             " VALUES (?, 1, 2)",
             ledger::token_of(7).bytes()));
  if (version >= 4) OCTROI_CHECK(populate_session(db));
  OCTROI_CHECK(populate_services_and_sums(db, version));
  OCTROI_CHECK(populate_spends(db, version));
  OCTROI_CHECK(populate_governance(db, version));
  return db.run("INSERT INTO secrets (name, value, created_at) VALUES ('ring', ?, 1)",
                as_bytes("kept"));
}

/// The sums are those of the rows, whether they were written with them or made by a migration.
inline void expect_sums(ledger::Store& store, std::int64_t version) {
  using namespace ledger;  // NOLINT(google-build-using-namespace): the port's words
  const auto revenue = sync(store.revenue({}));
  ASSERT_TRUE(revenue) << revenue.error().message();
  ASSERT_EQ(revenue->size(), 1U);
  EXPECT_EQ((*revenue)[0].day, UnixMillis{0});
  EXPECT_EQ((*revenue)[0].sales, 1);
  EXPECT_EQ((*revenue)[0].amount, 10'000_msat);
  const auto totals = sync(store.sessions()->session_totals());
  ASSERT_TRUE(totals) << totals.error().message();
  if (version >= 4) {
    EXPECT_EQ(totals->deposits, 10'000_msat);
    EXPECT_EQ(totals->spent, 3'500_msat);
    EXPECT_EQ(totals->refunded, 6'000_msat);
    EXPECT_EQ(totals->refund_fees, 7_msat);
    EXPECT_EQ(totals->rounding, 500_msat);
    EXPECT_EQ(totals->unpaid_refunds, Msat{});
  }
  const auto services = sync(store.services()->list_services());
  ASSERT_TRUE(services) << services.error().message();
  EXPECT_EQ(services->version, version >= 6 ? 1 : 0);
  ASSERT_EQ(services->services.size(), version >= 6 ? 1U : 0U);
  if (version >= 6) EXPECT_EQ(services->services[0].auth_scheme, "l402");
  expect_spends(store, version);
  expect_governance(store, version);
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
