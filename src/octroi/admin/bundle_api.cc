#include "octroi/admin/bundle_api.h"

#include <string>
#include <utility>

#include "octroi/admin/bundle_json.h"
#include "octroi/admin/replies.h"

namespace octroi::admin {

namespace {

constexpr const char* kNotAnId = "a token id is 64 hexadecimal digits";

/// The filter of a list, or which parameter is wrong.
tl::expected<ledger::BundleFilter, std::string> filter_of(std::string_view query) {
  ledger::BundleFilter filter;
  for (const auto& [key, value] : query_of(query)) {
    if (key == "service") {
      filter.service = value;
    } else if (key == "before") {
      const auto id = TokenId::from_hex(value);
      if (!id) return tl::unexpected<std::string>(key + ": " + kNotAnId);
      filter.before = *id;
    } else if (key == "limit") {
      const auto n = number_of(key, value, ledger::kMostBundles);
      if (!n) return tl::unexpected<std::string>(n.error());
      filter.limit = static_cast<int>(*n);
    } else {
      return tl::unexpected<std::string>("unknown parameter '" + key + "'");
    }
  }
  return filter;
}

}  // namespace

Task<void> BundleApi::route(http::Exchange& exchange) {
  if (bundles_ == nullptr) {
    co_await send_problem(exchange, 404, "this store counts no tokens");
    co_return;
  }
  const std::string path(exchange.request().path());
  if (path == kTokens) {
    co_await list(exchange);
  } else if (path == std::string(kTokens) + "/totals") {
    co_await totals(exchange);
  } else {
    co_await show(exchange, path.substr(kTokens.size() + 1));
  }
}

Task<void> BundleApi::list(http::Exchange& exchange) {
  const auto filter = filter_of(exchange.request().query());
  if (!filter) {
    co_await send_problem(exchange, 400, filter.error());
    co_return;
  }
  co_await send_told(exchange, co_await bundles_->list_bundles(*filter),
                     [&](const auto& rows) { return bundles_json(rows, filter->limit); });
}

Task<void> BundleApi::totals(http::Exchange& exchange) {
  co_await send_told(exchange, co_await bundles_->bundle_totals(), bundle_totals_json);
}

Task<void> BundleApi::show(http::Exchange& exchange, std::string text) {
  const auto id = TokenId::from_hex(text);
  if (!id) {
    co_await send_problem(exchange, 400, kNotAnId);
    co_return;
  }
  co_await send_found(exchange, co_await bundles_->find_bundle(*id), bundle_json,
                      "no counted token with this id was ever shown, or it has expired");
}

}  // namespace octroi::admin
