// octroi/json/value.h: JSON documents: strict parsing, and typed access whose errors name the path.
//
//   OCTROI_TRY(const json::Document doc, json::parse(text));
//   OCTROI_TRY(json::Value challenge, doc.root().object("challenge"));
//   OCTROI_TRY(std::string_view id, challenge.string("id"));   // "challenge.id: expected a
//   string…"
//
// Strict   duplicate keys (after unescaping, at any depth), trailing text, invalid UTF-8, lone
//          surrogates, control characters in strings, comments and numbers beyond a double are
//          errors: a text that two readers could understand differently is not understood at all.
// Numbers  integers are exact: kind `integer` holds what fits int64, `big_integer` what fits uint64
//          only, `real` everything else (with its literal text kept). Money never passes a double.
// Memory   a Document owns everything, on the heap; Values and views point into it and live as
//          long. Moving the Document does not disturb them. ParseLimits::sensitive wipes it when it
//          dies.
// Thread   immutable once made; any number of threads may read.
// Source   RFC 8259, RFC 7493 (I-JSON) section 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/base/result.h"
#include "octroi/json/errc.h"

namespace octroi::json {

struct ParseLimits {
  std::size_t max_depth = 32;        // nested arrays and objects, the outermost counts as one
  std::size_t max_bytes = 1U << 20;  // of the text
  bool sensitive = false;            // the document holds secrets: overwrite its memory at the end
};

enum class Kind : std::uint8_t { null, boolean, integer, big_integer, real, string, array, object };
/// "an object", "a string", …: for messages.
[[nodiscard]] std::string_view describe(Kind kind);

namespace detail {
struct Tree;
}
class Members;
class Elements;

/// One value of a Document. Cheap to copy. Never outlives its Document.
class Value {
 public:
  [[nodiscard]] Kind kind() const;
  [[nodiscard]] bool is_null() const { return kind() == Kind::null; }
  [[nodiscard]] bool is_string() const { return kind() == Kind::string; }
  [[nodiscard]] bool is_array() const { return kind() == Kind::array; }
  [[nodiscard]] bool is_object() const { return kind() == Kind::object; }

  // This value as a type.
  [[nodiscard]] Result<bool> as_bool() const;
  [[nodiscard]] Result<std::int64_t> as_int64() const;
  [[nodiscard]] Result<std::uint64_t> as_uint64() const;
  /// Any number; integers are rounded to the nearest double.
  [[nodiscard]] Result<double> as_double() const;
  [[nodiscard]] Result<std::string_view> as_string() const;
  [[nodiscard]] Result<Value> as_object() const;
  [[nodiscard]] Result<Value> as_array() const;

  // Members of an object. `find` gives nothing for an absent member and for a non-object.
  [[nodiscard]] std::optional<Value> find(std::string_view key) const;
  [[nodiscard]] Result<Value> member(std::string_view key) const;
  [[nodiscard]] Result<Value> object(std::string_view key) const;
  [[nodiscard]] Result<Value> array(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> string(std::string_view key) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::int64_t> int64(std::string_view key) const;
  [[nodiscard]] Result<std::uint64_t> uint64(std::string_view key) const;
  // Absent gives nothing; a member that is there must have the type (null has not).
  [[nodiscard]] Result<std::optional<std::string_view>> optional_string(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::int64_t>> optional_int64(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> optional_boolean(std::string_view key) const;
  [[nodiscard]] Result<std::optional<Value>> optional_object(std::string_view key) const;

  /// Members or elements; 0 for everything else.
  [[nodiscard]] std::size_t size() const;
  /// In the order of the text; empty for a non-object.
  [[nodiscard]] Members members() const;
  /// Empty for a non-array.
  [[nodiscard]] Elements elements() const;

  /// "challenge.payload.items[3]"; "" for the root.
  [[nodiscard]] std::string path() const;
  /// The same value as compact JSON text: order kept, numbers as they were written.
  [[nodiscard]] std::string to_json() const;
  /// For a real: the number as it was written.
  [[nodiscard]] std::string_view number_text() const;

 private:
  friend class Document;
  friend class Members;
  friend class Elements;
  Value(const detail::Tree* tree, std::uint32_t node) : tree_(tree), node_(node) {}
  template <class T>
  Result<T> wrong(std::string_view expected) const;

  const detail::Tree* tree_;
  std::uint32_t node_;
};

struct Member {
  std::string_view key;
  Value value;
};

/// for (const auto& [key, value] : object.members())
class Members {
 public:
  class Iterator {
   public:
    using value_type = Member;
    using difference_type = std::ptrdiff_t;
    Member operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return node_ == other.node_; }

   private:
    friend class Members;
    Iterator(const detail::Tree* tree, std::uint32_t node) : tree_(tree), node_(node) {}
    const detail::Tree* tree_;
    std::uint32_t node_;
  };
  [[nodiscard]] Iterator begin() const { return {tree_, first_}; }
  [[nodiscard]] Iterator end() const { return {tree_, 0}; }

 private:
  friend class Value;
  Members(const detail::Tree* tree, std::uint32_t first) : tree_(tree), first_(first) {}
  const detail::Tree* tree_;
  std::uint32_t first_;
};

/// for (json::Value v : array.elements())
class Elements {
 public:
  class Iterator {
   public:
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    Value operator*() const { return {tree_, node_}; }
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return node_ == other.node_; }

   private:
    friend class Elements;
    Iterator(const detail::Tree* tree, std::uint32_t node) : tree_(tree), node_(node) {}
    const detail::Tree* tree_;
    std::uint32_t node_;
  };
  [[nodiscard]] Iterator begin() const { return {tree_, first_}; }
  [[nodiscard]] Iterator end() const { return {tree_, 0}; }

 private:
  friend class Value;
  Elements(const detail::Tree* tree, std::uint32_t first) : tree_(tree), first_(first) {}
  const detail::Tree* tree_;
  std::uint32_t first_;
};

/// A parsed text. Movable; its Values stay valid when it moves and die with it.
class Document {
 public:
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  ~Document();
  [[nodiscard]] Value root() const;

 private:
  friend Result<Document> parse(std::string_view text, const ParseLimits& limits);
  explicit Document(std::unique_ptr<detail::Tree> tree);
  std::unique_ptr<detail::Tree> tree_;
};

[[nodiscard]] Result<Document> parse(std::string_view text, const ParseLimits& limits = {});

}  // namespace octroi::json
