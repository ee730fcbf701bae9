#include "octroi/bolt11/amount.h"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "octroi/bolt11/bolt11.h"

namespace octroi::bolt11 {
namespace {

struct Unit {
  char letter;  // 0 for whole bitcoin
  std::int64_t msat;
};
// Largest first, which is the shortest to write. A pico-bitcoin is a tenth of a millisatoshi and is
// handled by its trailing zero.
constexpr std::array<Unit, 4> kUnits = {{
    {'\0', 100'000'000'000},
    {'m', 100'000'000},
    {'u', 100'000},
    {'n', 100},
}};

tl::unexpected<Error> bad(std::string why) { return fail(Errc::bad_amount, "amount: " + why); }

std::optional<std::int64_t> unit_of(char letter) {
  for (const Unit& u : kUnits)
    if (u.letter == letter) return u.msat;
  return std::nullopt;
}

Result<std::int64_t> parse_digits(std::string_view digits) {
  std::int64_t n = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, n);
  if (digits.empty() || digits.front() < '0' || digits.front() > '9' ||
      error == std::errc::invalid_argument || (error == std::errc{} && stop != end))
    return bad("must be a decimal number and at most one of m, u, n, p");
  if (error != std::errc{}) return bad("is more than all bitcoin");
  if (digits.front() == '0') return bad("must be positive and without leading zeros");
  return n;
}

}  // namespace

Result<Msat> parse_amount(std::string_view text) {
  std::string_view digits = text;
  char letter = text.back();
  if (letter >= '0' && letter <= '9')
    letter = '\0';
  else
    digits.remove_suffix(1);

  std::int64_t unit = 1;
  if (letter == 'p') {
    if (digits.size() < 2 || digits.back() != '0')
      return bad("with multiplier p must end in 0: a millisatoshi cannot be divided");
    digits.remove_suffix(1);
  } else if (const auto known = unit_of(letter)) {
    unit = *known;
  } else {
    return bad("multiplier must be m, u, n or p");
  }

  OCTROI_TRY(const std::int64_t n, parse_digits(digits));
  if (n > Msat::kMax / unit) return bad("is more than all bitcoin");
  return Msat::from_raw(n * unit);
}

std::string format_amount(Msat amount) {
  const std::int64_t msat =
      amount.count(); /* raw: written into the invoice in the unit chosen below */
  for (const Unit& u : kUnits) {
    if (msat % u.msat != 0) continue;
    std::string out = fmt::format("{}", msat / u.msat);
    if (u.letter != '\0') out += u.letter;
    return out;
  }
  return fmt::format("{}0p", msat);
}

}  // namespace octroi::bolt11
