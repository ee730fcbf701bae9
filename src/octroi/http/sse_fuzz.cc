// The bytes of the events, one after the other, are the bytes of the stream; and wherever its
// pieces are cut, its events are the same. The first bytes of the input say where the cuts are.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/http/sse.h"

namespace octroi::http {
namespace {

struct Reading {
  std::vector<std::pair<std::string, std::string>> events;
  std::string bytes;
  std::string last_id;
  std::optional<std::uint64_t> retry;
  bool operator==(const Reading&) const = default;
};

/// Pieces as long as `cuts` says, in turn; one piece without any.
Reading read(std::string_view stream, ByteView cuts) {
  Reading out;
  SseFramer framer;
  auto take = [&out](const SseEvent& event) {
    if (event.bytes.empty()) std::abort();
    out.bytes += event.bytes;
    if (event.dispatched) out.events.emplace_back(event.type, event.data);
  };
  for (std::size_t turn = 0; !stream.empty(); ++turn) {
    std::size_t size = stream.size();
    if (!cuts.empty()) size = std::min<std::size_t>(size, 1U + cuts[turn % cuts.size()] % 16U);
    framer.feed(stream.substr(0, size));
    stream.remove_prefix(size);
    for (;;) {
      const auto event = framer.next();
      if (!event) std::abort();  // nothing here is near the limit
      if (!*event) break;
      take(**event);
    }
  }
  if (const auto rest = framer.finish()) take(*rest);
  out.last_id = framer.last_id();
  out.retry = framer.retry();
  return out;
}

}  // namespace
}  // namespace octroi::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  if (size < 4) return 0;
  const ByteView cuts(data, 4);
  const std::string_view stream = as_text({data + 4, size - 4});
  const http::Reading whole = http::read(stream, {});
  if (whole.bytes != stream) std::abort();
  if (http::read(stream, cuts) != whole) std::abort();
  const std::uint8_t one = 0;
  if (http::read(stream, {&one, 1}) != whole) std::abort();
  return 0;
}
