// octroi/adapters/sql/offer_index.h: where the rows of unpaid challenges are, by payment hash, for
// an engine whose table of them has no index.
//
// An index of hashes in the database would touch a page of its own for every challenge that anybody
// asks for, and almost none of them is ever paid. This one is a hint: the first eight bytes of the
// hash lead to row ids, and whoever uses them compares the whole hash. So an entry too many (of a
// row that was rolled back) does no harm; an entry too few must not be.
//
// Memory  about 50 bytes a row.   Thread  that of its connection.
#pragma once

#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "octroi/base/ids.h"

namespace octroi::sql {

class OfferIndex {
 public:
  void add(const PaymentHash& hash, std::int64_t id) { rows_.emplace(key_of(hash), id); }

  void remove(const PaymentHash& hash, std::int64_t id) {
    auto [it, end] = rows_.equal_range(key_of(hash));
    for (; it != end; ++it) {
      if (it->second != id) continue;
      rows_.erase(it);
      return;
    }
  }

  [[nodiscard]] std::vector<std::int64_t> find(const PaymentHash& hash) const {
    std::vector<std::int64_t> out;
    auto [it, end] = rows_.equal_range(key_of(hash));
    for (; it != end; ++it) out.push_back(it->second);
    return out;
  }

  [[nodiscard]] std::size_t size() const { return rows_.size(); }

 private:
  /// Hashes of preimages are as good as random, so a part of one needs no hashing.
  static std::uint64_t key_of(const PaymentHash& hash) {
    std::uint64_t key = 0;
    std::memcpy(&key, hash.bytes().data(), sizeof key);
    return key;
  }

  std::unordered_multimap<std::uint64_t, std::int64_t> rows_;
};

}  // namespace octroi::sql
