// octroi/adapters/sql/rows.h: columns read back into our types. For the operations of this module.
#pragma once

#include <limits>

#include "octroi/adapters/sql/connection.h"
#include "octroi/base/ids.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"

namespace octroi::sql {

[[nodiscard]] Result<PaymentHash> read_hash(const Query& q, int column);
[[nodiscard]] Result<TokenId> read_token(const Query& q, int column);
[[nodiscard]] Result<Msat> read_msat(const Query& q, int column);
[[nodiscard]] Result<ledger::Scheme> read_scheme(const Query& q, int column);

/// Text that a client chose, as both engines can keep it: what is not UTF-8, or has a zero byte in
/// it, becomes hexadecimal behind a mark. Different texts stay different.
[[nodiscard]] std::string kept_text(std::string_view text);

}  // namespace octroi::sql
