#include "octroi/adapters/sql/service_operations.h"

#include <utility>

#include "octroi/ledger/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

// One statement, so that the list is the one of its version. The list's row is there also when
// there is no service.
Result<ServiceList> list_services(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT l.version, s.name, s.document, s.enabled, s.auth_scheme,"
                               " s.version, s.created_at, s.updated_at"
                               " FROM service_list l LEFT JOIN services s ON l.id = 1"
                               " ORDER BY s.seq"));
  ServiceList list;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return list;
    list.version = q.integer(0);
    if (q.is_null(1)) continue;
    list.services.push_back({q.text(1),
                             q.text(2),
                             q.integer(3) != 0,
                             q.text(4),
                             q.integer(5),
                             {q.integer(6)},
                             {q.integer(7)}});
  }
}

Result<std::int64_t> services_version(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT version FROM service_list"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return fail(Errc::corrupt, "the list of services has no version");
  return q.integer(0);
}

namespace {

/// The next version, when the list is still the one that was judged; its row is held from here on.
Result<std::optional<std::int64_t>> next_version(Connection& db, std::int64_t judged) {
  OCTROI_CHECK(db.run("UPDATE service_list SET version = version + 1 WHERE version = ?", judged));
  if (db.changes() == 0) return std::optional<std::int64_t>{};
  return std::optional<std::int64_t>{judged + 1};
}

}  // namespace

Result<std::optional<std::int64_t>> put_service(Connection& db, const PutService& c) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const auto version, next_version(db, c.judged));
  if (version) {
    OCTROI_CHECK(db.run(
        "INSERT INTO services (name, document, enabled, auth_scheme, version, created_at,"
        " updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)"
        " ON CONFLICT (name) DO UPDATE SET document = excluded.document,"
        " enabled = excluded.enabled, auth_scheme = excluded.auth_scheme,"
        " version = excluded.version, updated_at = excluded.updated_at",
        std::string_view(c.name), std::string_view(c.document), std::int64_t{c.enabled ? 1 : 0},
        std::string_view(c.auth_scheme), *version, c.now.value));
  }
  OCTROI_CHECK(all.keep());
  return version;
}

Result<std::optional<std::int64_t>> remove_service(Connection& db, std::string_view name,
                                                   std::int64_t judged) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const auto version, next_version(db, judged));
  if (version) OCTROI_CHECK(db.run("DELETE FROM services WHERE name = ?", name));
  OCTROI_CHECK(all.keep());
  return version;
}

}  // namespace octroi::sql
