// What a collector answers does no harm, and what clients can put into a span is JSON all the same.
#include <cstdlib>

#include "octroi/adapters/otlp/encode.h"
#include "octroi/base/bytes.h"
#include "octroi/json/value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text = as_text(ByteView(data, size));
  if (otlp::rejected_in(text) < 0) std::abort();
  if (const auto pause = otlp::pause_of(text)) {
    if (*pause < Millis(0) || *pause > otlp::kLongestPause) std::abort();
    if (text.find_first_not_of("0123456789") != std::string_view::npos) std::abort();
  }
  std::vector<std::unique_ptr<Span>> spans;
  spans.push_back(std::make_unique<Span>());
  spans[0]->name = text;
  spans[0]->tracestate = text;
  spans[0]->set("url.path", text);
  if (!json::parse(otlp::traces_json({{"service.name", std::string(text)}}, spans))) std::abort();
  return 0;
}
