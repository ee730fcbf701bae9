// octroi/config/schema.h: the one description of every key that octroi.yaml may hold.
//
// Parsing, validation, nearest-key suggestions, environment overrides, `octroi config print`, the
// reload classes and docs/configuration.md all read this table: a key that is not here does not
// exist, and a key that is here is documented.
// Thread: immutable after the first call.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace octroi::config {

enum class Type : std::uint8_t {
  section,    // a mapping of known keys
  map,        // a mapping whose keys the user names
  list,       // a sequence; one value alone may stand for a list of one
  boolean,    // on | off | true | false
  choice,     // one of `choices`
  integer,    // digits, within min and max
  text,       // any text; may hold ${reference} when `embedded`
  duration,   // 15m; the word in `choices` as well, where there is one
  size,       // 64KiB
  price,      // 10 sat, 2500 msat, 0.001 btc, 0.05 usd
  bitcoin,    // as price, without usd
  usd,        // 65000 usd
  cidr,       // 10.0.0.0/8 or an address
  endpoint,   // 127.0.0.1:8402, [::1]:8402
  url,        // scheme://host:port/path, the scheme one of `choices` when there are any
  regex,      // RE2
  secret,     // a reference to a secret; its value is never shown
  pem,        // as secret, and the value is PEM text
  path,       // of a file or directory; ~/ is the home directory
  timestamp,  // 2026-11-01 or RFC 3339
};

/// What may stand below a value.
enum class Shape : std::uint8_t { section, map, list, leaf };
[[nodiscard]] Shape shape_of(Type type);

struct Field {
  std::string_view key{};
  Type type = Type::section;
  std::string_view doc{};       // a sentence or two for the reference
  std::string_view fallback{};  // the default, as it would be written; empty: none
  std::string_view derived{};   // for the reference: where a default that is not fixed comes from
  std::vector<std::string_view> choices{};
  std::vector<Field> fields{};   // keys of a section; of each item where `item` is section
  Type item = Type::text;        // of list and map
  std::string_view shorthand{};  // section: the key that a lone scalar stands for
  std::int64_t min = 0;          // integer, duration (milliseconds), size (bytes)
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  bool required = false;
  bool restart = false;   // a change takes effect after a restart only; holds for all below
  bool optional = false;  // section: absent means that this part is off, and no key below it counts
  bool built = false;  // section: what it describes is built at start, so that adding or removing
                       // it takes a restart, while keys below may be reloaded
  bool embedded = false;  // text: ${reference} inside is replaced, and the value is a secret then
  bool later = false;     // understood and checked, but not available in this version
  std::vector<std::string_view> later_choices{};  // choices of which the same is true
  bool literal = false;                           // a reference written here stands for itself
};

/// The whole file.
[[nodiscard]] const Field& schema();

/// The field at a path without indices: "paywall.services.price"; null when there is none.
[[nodiscard]] const Field* find_field(std::string_view path);
/// The key of `section` that is spelt most like `key`; empty when none is close.
[[nodiscard]] std::string_view nearest(std::string_view key,
                                       const std::vector<std::string_view>& known);
[[nodiscard]] std::vector<std::string_view> keys_of(const Field& section);

/// "a duration such as 15m": for messages and the reference.
[[nodiscard]] std::string_view describe(Type type);

}  // namespace octroi::config
