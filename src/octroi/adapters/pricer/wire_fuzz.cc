// Whatever is read as a message says the same when it is written and read again.
#include <cstdint>
#include <cstdlib>

#include "octroi/adapters/pricer/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi::pricer;
  if (size == 0) return 0;
  const Call call = kCalls[data[0] % kCalls.size()];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  for (const Codec* codec : {&json_codec(), &proto_codec()}) {
    if (const auto ask = codec->read_ask(call, text)) {
      const auto again = codec->read_ask(call, codec->write(call, *ask));
      if (!again || *again != *ask) std::abort();
    }
    if (const auto reply = codec->read_reply(call, text)) {
      const auto again = codec->read_reply(call, codec->write(call, *reply));
      if (!again || *again != *reply) std::abort();
    }
  }
  return 0;
}
