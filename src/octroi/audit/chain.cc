#include "octroi/audit/chain.h"

#include <charconv>
#include <string>

#include "octroi/base/bytes.h"

namespace octroi::audit {
namespace {

// In the order of details.
constexpr const char* kHash = "previous.row_hash";
constexpr const char* kSeq = "previous.seq";
constexpr const char* kWriter = "previous.writer";

}  // namespace

Event start_event(const std::optional<Head>& before) {
  Event event;
  event.kind = kWriterStart;
  if (before) {
    event.details = {{kHash, to_hex(before->hash)},
                     {kSeq, std::to_string(before->seq)},
                     {kWriter, before->writer}};
  }
  return event;
}

std::optional<Reference> reference_of(const Event& event) {
  if (event.kind != kWriterStart) return std::nullopt;
  Reference out;
  int found = 0;
  for (const auto& [name, value] : event.details) {
    if (name == kWriter && is_writer(value)) {
      out.id.writer = value;
      ++found;
    } else if (name == kSeq) {
      const auto [end, bad] =
          std::from_chars(value.data(), value.data() + value.size(), out.id.seq);
      if (bad == std::errc{} && end == value.data() + value.size() && out.id.seq > 0) ++found;
    } else if (name == kHash) {
      const auto hash = from_hex_exact<32>(value, HexCase::lower);
      if (!hash) continue;
      out.row_hash = *hash;
      ++found;
    }
  }
  return found == 3 ? std::optional(out) : std::nullopt;
}

}  // namespace octroi::audit
