#include "octroi/vault/spelling.h"

#include <set>

#include <fmt/format.h>

#include "octroi/vault/errors.h"

namespace octroi::vault {

std::string folded(std::string_view name) {
  // The two characters beyond ASCII that fold to letters in it: the long s and the sign of Kelvin.
  constexpr std::string_view kLongS = "\u017f";
  constexpr std::string_view kKelvin = "\u212a";
  std::string out;
  out.reserve(name.size());
  while (!name.empty()) {
    if (name.starts_with(kLongS)) {
      out += 's';
      name.remove_prefix(kLongS.size());
    } else if (name.starts_with(kKelvin)) {
      out += 'k';
      name.remove_prefix(kKelvin.size());
    } else {
      const char c = name.front();
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      name.remove_prefix(1);
    }
  }
  return out;
}

Result<> check_spelling(const json::Value& value) {
  if (value.is_object()) {
    std::set<std::string> seen;
    for (const auto& [key, member] : value.members()) {
      if (!seen.insert(folded(key)).second) {
        return fail(Errc::ambiguous,
                    fmt::format("the field {} stands there twice, in two spellings", key));
      }
      OCTROI_CHECK(check_spelling(member));
    }
  }
  for (const json::Value element : value.elements()) OCTROI_CHECK(check_spelling(element));
  return {};
}

}  // namespace octroi::vault
