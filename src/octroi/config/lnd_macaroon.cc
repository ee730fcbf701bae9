#include "octroi/config/lnd_macaroon.h"

#include "octroi/base/bytes.h"

namespace octroi::config {
namespace {

/// Takes pieces off the front; every failure empties it for good.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const auto byte = take(1);
      if (!byte) return std::nullopt;
      value |= static_cast<std::uint64_t>((*byte)[0] & 0x7FU) << shift;
      if (((*byte)[0] & 0x80U) == 0) return value;
    }
    return std::nullopt;
  }
  std::optional<ByteView> take(std::uint64_t n) {
    if (n > rest_.size()) {
      rest_ = {};
      return std::nullopt;
    }
    const ByteView out = rest_.first(static_cast<std::size_t>(n));
    rest_ = rest_.subspan(static_cast<std::size_t>(n));
    return out;
  }
  std::optional<ByteView> block() {
    const auto size = varint();
    return size ? take(*size) : std::nullopt;
  }

 private:
  ByteView rest_;
};

/// A protobuf message of byte fields only, which is all that lnd uses here.
template <class Visit>
bool each_field(ByteView message, Visit&& visit) {
  Reader reader(message);
  while (!reader.done()) {
    const auto key = reader.varint();
    if (!key || (*key & 7U) != 2) return false;
    const auto value = reader.block();
    if (!value) return false;
    visit(*key >> 3U, *value);
  }
  return true;
}

std::optional<ByteView> identifier_of(ByteView macaroon) {
  Reader reader(macaroon);
  const auto version = reader.take(1);
  if (!version || (*version)[0] != 2) return std::nullopt;
  for (;;) {
    const auto type = reader.varint();
    if (!type || *type == 0) return std::nullopt;
    const auto value = reader.block();
    if (!value) return std::nullopt;
    if (*type == 2) return value;
  }
}

bool pays(std::string_view entity, std::string_view action) {
  if (entity == "offchain") return action == "write";
  return entity == "uri" && (action == "/lnrpc.Lightning/SendPaymentSync" ||
                             action == "/routerrpc.Router/SendPaymentV2");
}

}  // namespace

std::string macaroon_hex(const Secret& secret) {
  const ByteView raw = secret.reveal();
  if (const auto decoded = from_hex(secret.reveal_text()); decoded && !raw.empty())
    return to_hex(*decoded);
  // Version 2 begins with 2 and ends with field 6, length 32 and the signature.
  if (raw.size() < 40 || raw[0] != 2) return {};
  const std::size_t n = raw.size();
  if (raw[n - 34] == 6 && raw[n - 33] == 32) return to_hex(raw);
  // A reference drops one trailing line break; a signature may end with that very byte.
  if (raw[n - 33] == 6 && raw[n - 32] == 32) return to_hex(raw) + "0a";
  return {};
}

std::optional<bool> macaroon_can_pay(const Secret& secret) {
  const auto raw = from_hex(macaroon_hex(secret));
  if (!raw) return std::nullopt;
  const auto identifier = identifier_of(*raw);
  if (!identifier || identifier->empty() || (*identifier)[0] != 3) return std::nullopt;
  bool found = false;
  bool operations = false;
  const bool whole =
      each_field(identifier->subspan(1), [&](std::uint64_t field, ByteView operation) {
        if (field != 3) return;
        operations = true;
        std::string_view entity;
        each_field(operation, [&](std::uint64_t part, ByteView text) {
          if (part == 1) entity = as_text(text);
          if (part == 2 && pays(entity, as_text(text))) found = true;
        });
      });
  if (!whole || !operations) return std::nullopt;
  return found;
}

}  // namespace octroi::config
