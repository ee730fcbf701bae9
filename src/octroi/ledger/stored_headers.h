// octroi/ledger/stored_headers.h: header lines of a stored answer as bytes, for adapters that keep
// them in one column.
//
// Form     for each line: 4 bytes big-endian length and the name, 4 bytes and the value.
// Errors   Errc::corrupt when the bytes are not exactly that.
// Thread   pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"

namespace octroi::ledger {

using StoredHeaders = std::vector<std::pair<std::string, std::string>>;

[[nodiscard]] Bytes encode_headers(const StoredHeaders& headers);
[[nodiscard]] Result<StoredHeaders> decode_headers(ByteView bytes);

}  // namespace octroi::ledger
