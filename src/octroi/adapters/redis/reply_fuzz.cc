// What a server answers, cut at every place: the same replies come of it, and nothing that is no
// reply. The first byte says where it is cut.
#include <cstdlib>
#include <vector>

#include "octroi/adapters/redis/reply.h"

namespace {

using octroi::redis::Reply;
using octroi::redis::ReplyReader;

struct Read {
  std::vector<Reply> replies;
  bool refused = false;
  bool operator==(const Read&) const = default;
};

Read read_all(octroi::ByteView bytes, std::size_t step) {
  Read out;
  ReplyReader reader;
  for (std::size_t at = 0; at < bytes.size() && !out.refused; at += step) {
    if (!reader.feed(bytes.subspan(at, std::min(step, bytes.size() - at)))) out.refused = true;
    while (!out.refused) {
      auto next = reader.next();
      if (!next) out.refused = true;
      if (!next || !*next) break;
      out.replies.push_back(**std::move(next));
    }
  }
  return out;
}

void check(const Reply& r, int depth) {
  if (depth > 8 || r.items.size() > ReplyReader::kMostItems) std::abort();
  if (r.type != Reply::Type::list && !r.items.empty()) std::abort();
  if (!r.is_error() && !r.code().empty()) std::abort();
  for (const Reply& item : r.items) check(item, depth + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const octroi::ByteView bytes(data + 1, size - 1);
  const Read whole = read_all(bytes, bytes.size() + 1);
  const Read cut = read_all(bytes, 1 + data[0] % 16U);
  if (!(whole == cut)) std::abort();
  for (const Reply& r : whole.replies) check(r, 0);
  return 0;
}
