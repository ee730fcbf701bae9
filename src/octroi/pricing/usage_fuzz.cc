// An answer is read the same in whatever pieces it comes, and what is read while it passes is what
// is read from it as a whole. Streams and requests: nothing is free, nothing overflows.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/pricing/usage.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  if (size < 1) return 0;
  const std::size_t step = 1U + data[0] % 16U;
  const std::string_view text = as_text({data + 1, size - 1});

  pricing::AnswerTokens whole;
  whole.feed(text);
  pricing::AnswerTokens pieces;
  for (std::size_t at = 0; at < text.size(); at += step) pieces.feed(text.substr(at, step));
  if (whole.usage() != pieces.usage() || whole.tokens(3) != pieces.tokens(3)) std::abort();
  if (!text.empty() && whole.tokens(0) == 0) std::abort();
  if (const auto document = json::parse(text)) {
    std::optional<pricing::TokenUsage> read;
    // Of the places where usage may stand, the first is the one of answers.
    if (const auto usage = document->root().find("usage"); usage && usage->is_object()) {
      read = pricing::read_usage(document->root());
      if (whole.usage() && read != whole.usage()) std::abort();
    }
    if (!read && whole.usage()) std::abort();
  }

  pricing::StreamTokens stream;
  std::uint64_t before = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    stream.event(line);
    if (line != pricing::kStreamDone && stream.tokens(0) == 0) std::abort();
    // Until the end of the answer is told, it only grows.
    if (!stream.usage() && stream.tokens(0) < before) std::abort();
    before = stream.tokens(0);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }

  if (const auto request = pricing::estimate_request(text)) {
    if (request->input > size) std::abort();
  }
  return 0;
}
