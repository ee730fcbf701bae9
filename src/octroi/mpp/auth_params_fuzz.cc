// What is read can be written again and reads the same; Payment challenges that are accepted may be
// sent.
#include <array>
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/mpp/auth_params.h"
#include "octroi/mpp/challenge.h"

namespace {

using namespace octroi::mpp;

void check_round_trip(const AuthChallenge& in) {
  if (in.params.empty()) return;
  std::string text = in.scheme;
  char separator = ' ';
  for (const AuthParam& p : in.params) {
    text += separator;
    separator = ',';
    if (!append_quoted_param(text, p.name, p.value)) std::abort();
  }
  const std::array<std::string_view, 1> line = {text};
  const auto out = parse_auth_challenges(line);
  if (out.size() != 1 || out[0].defect != AuthDefect::none || out[0].scheme != in.scheme)
    std::abort();
  if (out[0].params.size() != in.params.size()) std::abort();
  for (std::size_t i = 0; i < in.params.size(); ++i) {
    if (out[0].params[i].name != in.params[i].name || out[0].params[i].value != in.params[i].value)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = octroi::as_text({data, size});
  // The first half and the second, as two lines, and everything as one.
  const std::array<std::string_view, 2> lines = {text.substr(0, size / 2), text.substr(size / 2)};
  const std::array<std::string_view, 1> one = {text};
  for (const AuthChallenge& c : parse_auth_challenges(lines)) {
    if (c.defect == AuthDefect::none) check_round_trip(c);
  }
  const auto challenges = parse_challenges(one);
  if (!challenges) return 0;
  if (challenges->empty()) std::abort();
  for (const Challenge& c : *challenges) {
    const auto again = format_challenge(c);
    if (!again) std::abort();
    const std::array<std::string_view, 1> line = {*again};
    const auto parsed = parse_challenges(line);
    if (!parsed || parsed->size() != 1 || parsed->front() != c) std::abort();
  }
  return 0;
}
