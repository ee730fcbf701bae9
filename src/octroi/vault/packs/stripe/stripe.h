// octroi/vault/packs/stripe/stripe.h: Stripe. Version 1 of its API speaks urlencoded forms, version
// 2 JSON; amounts are whole numbers of a currency's smallest unit.
//
// Every POST and DELETE that moves money or makes it move later stands in the table with what it
// does; the other writes that agents need are there too; a write that is not in it is not known and
// so refused. Reads are all known, by the shape of their path.
// Thread: pure.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_stripe_pack();

namespace stripe {

/// Where the amount of an operation stands.
enum class Amount : std::uint8_t {
  none,      // it moves nothing
  required,  // in `field` with `currency`; absent: unknown
  optional,  // in `field`; absent: it moves nothing now (an update)
  derived,   // never in the request: prices, invoices, what is left of a charge
};

struct Row {
  std::string_view method;
  std::string_view path;
  std::string_view name;
  policy::Direction direction;
  Amount amount;
  std::string_view field;  // of the amount
};
[[nodiscard]] std::span<const Row> table();

/// Whether it asks for an authorisation of which more than its amount may be captured; captures are
/// counted with it.
[[nodiscard]] bool may_take_more(const Input& input);

}  // namespace stripe
}  // namespace octroi::vault
