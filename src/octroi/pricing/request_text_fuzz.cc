// What is read says the same when it is written again; what is written reads back.
#include <cstdint>
#include <cstdlib>

#include "octroi/json/writer.h"
#include "octroi/pricing/request_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi::pricing;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = read_request_text(text)) {
    if (read->method.empty() || read->target.empty()) std::abort();
    if (!text.ends_with(read->body)) std::abort();
  }
  PriceRequest request;
  request.method = "GET";
  request.path = "/" + std::string(text.substr(0, size / 3));
  request.authority = "host";
  request.headers.emplace_back("X-Name", std::string(text.substr(size / 3, size / 3)));
  request.body = std::string(text.substr(2 * (size / 3)));
  const std::string written = request_text(request);
  const auto again = read_request_text(written);
  if (!again || !octroi::json::is_utf8(written)) std::abort();
  if (again->method != "GET" || again->fields.size() != 2) std::abort();
  if (again->body != as_utf8(request.body)) std::abort();
  return 0;
}
