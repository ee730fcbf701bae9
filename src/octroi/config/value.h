// octroi/config/value.h: the checked configuration as a tree of typed values that know their schema
// field and where they were written. Every key of the schema is there, with its default where it
// was not given, so that reading one never fails.
//
// Secrets: a value of type secret or pem, and any value that came from a reference, keeps the
// reference as its text; what it stands for is in `secret`, which cannot be printed.
// Thread: immutable after load; values may be shared.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/config/schema.h"
#include "octroi/config/units.h"
#include "octroi/config/yaml.h"
#include "octroi/money/money.h"
#include "octroi/net/address.h"

namespace octroi::config {

struct Value;
struct Member;  // a child with its key

struct Value {
  using Data = std::variant<std::monostate, bool, std::int64_t, std::string, Millis, Price,
                            UnixMillis, net::Cidr, net::Endpoint, Url>;

  // Defined where Member is complete.
  Value();
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  const Field* field = nullptr;
  Type type = Type::section;    // of the field, or its item type for elements of lists and maps
  Mark mark;                    // of the value
  Mark key_mark;                // of its key, where it has one
  std::string variable;         // environment variable or stored service (stored.h) it came from;
                                // empty: the file
  bool given = false;           // written by the user rather than a default
  bool valid = true;            // false: a problem was reported for it
  bool written_secret = false;  // a secret in clear text where a reference should be
  std::string text;       // a leaf in canonical form; of secrets the reference, never the value
  std::string reference;  // where the value came from a reference
  Data data;
  std::shared_ptr<const Secret> secret;
  std::vector<Member> children;  // keys of a section or map; "" in a list

  /// By dotted path below this value; an empty value of no field when there is none.
  [[nodiscard]] const Value& at(std::string_view path) const;
  [[nodiscard]] Value* find(std::string_view key);

  // The value as a type; of a value that was not set: false, 0, "" and so on.
  [[nodiscard]] bool flag() const;
  [[nodiscard]] std::int64_t number() const;
  [[nodiscard]] const std::string& str() const;
  [[nodiscard]] Millis duration() const;
  [[nodiscard]] Price price() const;
  [[nodiscard]] UnixMillis time() const;
  [[nodiscard]] const Url& url() const;
  [[nodiscard]] bool has_value() const { return data.index() != 0; }
  /// Texts of a list's elements.
  [[nodiscard]] std::vector<std::string> strings() const;
  /// Those children that hold a T.
  template <class T>
  [[nodiscard]] std::vector<T> all() const;
};

struct Member {
  std::string key;
  Value value;
};

template <class T>
std::vector<T> Value::all() const {
  std::vector<T> out;
  for (const Member& child : children) {
    if (const T* held = std::get_if<T>(&child.value.data)) out.push_back(*held);
  }
  return out;
}

}  // namespace octroi::config
