#include "octroi/ledger/stored_headers.h"

namespace octroi::ledger {
namespace {

void put(Bytes& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  out.insert(out.end(), text.begin(), text.end());
}

Result<std::string> take(ByteView& in) {
  constexpr std::size_t kPrefix = 4;
  if (in.size() < kPrefix) return fail(Errc::corrupt, "stored headers are cut off");
  std::size_t size = 0;
  for (const std::uint8_t byte : in.first(kPrefix)) size = size << 8 | byte;
  in = in.subspan(kPrefix);
  if (in.size() < size) return fail(Errc::corrupt, "stored headers are cut off");
  std::string text(as_text(in.first(size)));
  in = in.subspan(size);
  return text;
}

}  // namespace

Bytes encode_headers(const StoredHeaders& headers) {
  Bytes out;
  for (const auto& [name, value] : headers) {
    put(out, name);
    put(out, value);
  }
  return out;
}

Result<StoredHeaders> decode_headers(ByteView bytes) {
  StoredHeaders out;
  while (!bytes.empty()) {
    OCTROI_TRY(std::string name, take(bytes));
    OCTROI_TRY(std::string value, take(bytes));
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

}  // namespace octroi::ledger
