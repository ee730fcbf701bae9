#include "octroi/adapters/sql/bundle_store.h"

#include <utility>

#include "octroi/adapters/sql/bundle_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

template <class T, class Work>
Task<Result<T>> SqlBundles::write(const TokenId& id, Work work) {
  const std::uint64_t key = key_of(as_text(id.bytes()));
  return lanes_.writer(key).call<T>(key, std::move(work));
}

template <class T, class Work>
Task<Result<T>> SqlBundles::read(Work work) {
  return lanes_.reader().call<T>(0, std::move(work));
}

Task<Result<OpenBundleOutcome>> SqlBundles::open_bundle(OpenBundle request) {
  const TokenId id = request.proof.token_id.value_or(TokenId());
  return write<OpenBundleOutcome>(id, [r = std::move(request), boot = boot_](Connection& db) {
    return sql::open_bundle(db, r, *boot);
  });
}

Task<Result<std::optional<Bundle>>> SqlBundles::find_bundle(TokenId id) {
  return read<std::optional<Bundle>>([id](Connection& db) { return sql::find_bundle(db, id); });
}

Task<Result<BundleResult>> SqlBundles::debit_bundle(TokenId id, std::int64_t units,
                                                    std::int64_t bound, UnixMillis now) {
  return write<BundleResult>(id, [id, units, bound, now](Connection& db) {
    return sql::debit_bundle(db, id, units, bound, now);
  });
}

Task<Result<BundleResult>> SqlBundles::return_units(TokenId id, std::int64_t units,
                                                    UnixMillis now) {
  return write<BundleResult>(
      id, [id, units, now](Connection& db) { return sql::return_units(db, id, units, now); });
}

Task<Result<std::vector<Bundle>>> SqlBundles::list_bundles(BundleFilter filter) {
  return read<std::vector<Bundle>>(
      [f = std::move(filter)](Connection& db) { return sql::list_bundles(db, f); });
}

Task<Result<std::vector<BundleTotals>>> SqlBundles::bundle_totals() {
  return read<std::vector<BundleTotals>>([](Connection& db) { return sql::bundle_totals(db); });
}

}  // namespace octroi::sql
