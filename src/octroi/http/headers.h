// octroi/http/headers.h: header (and trailer) fields in order, names compared without case.
//
// All bytes lie in one buffer, so that a message costs no allocation once its connection is warm,
// and whatever stands in a Headers has passed the field syntax check: nothing here can split a
// message. Views stay valid until the next call that changes the object. Source  RFC 9110
// section 5.  Thread: a value.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "octroi/task/frame_alloc.h"

namespace octroi::http {

struct Field {
  std::string_view name;
  std::string_view value;
};

/// RFC 9110 section 5.6.2.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
/// RFC 9110 section 5.5, without CR, LF, NUL and other controls but tab.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;
/// ASCII, as field names are.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// Fields that belong to one HTTP/1.1 connection and have no place in HTTP/2 (RFC 9113
/// section 8.2.2), and those that the framing says: writers of both versions set them themselves.
/// `name` is a token.
[[nodiscard]] bool is_connection_field(std::string_view name) noexcept;

/// A field name that stands in the code as a literal: its syntax is checked by the compiler.
class FieldName {
 public:
  consteval FieldName(const char* literal) : text_(literal) {  // NOLINT: literals become names
    for (const char c : text_) {
      const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!alnum && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos)
        throw "not a field name";  // NOLINT: stops the compiler, never runs
    }
    if (text_.empty()) throw "not a field name";  // NOLINT
  }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};
/// A name that is known only when the program runs.
template <class T>
concept RuntimeName = std::convertible_to<const T&, std::string_view> && !std::is_array_v<T>;

namespace h1 {
class HeadParser;
}

/// The bytes of fields: grows only, in the memory of short-lived things.
class FieldBytes {
 public:
  FieldBytes() = default;
  FieldBytes(const FieldBytes& other) { assign(other.data_, other.size_); }
  FieldBytes(FieldBytes&& other) noexcept { swap(other); }
  FieldBytes& operator=(const FieldBytes& other) {
    if (this != &other) assign(other.data_, other.size_);
    return *this;
  }
  FieldBytes& operator=(FieldBytes&& other) noexcept {
    swap(other);
    return *this;
  }
  ~FieldBytes() {
    if (data_ != nullptr) octroi::detail::frame_free(data_, capacity_);
  }
  void swap(FieldBytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  void clear() noexcept { size_ = 0; }
  /// To at most its size.
  void cut(std::size_t size) noexcept { size_ = size; }
  /// Where `more` bytes may be written, which are then told with grew(). What it held moves when
  /// there is no room.
  [[nodiscard]] char* room(std::size_t more);
  void grew(std::size_t more) noexcept { size_ += more; }
  /// Instead of what it held; `from` is not part of that. With `extra` room behind.
  void assign(const char* from, std::size_t size, std::size_t extra = 0);

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

class Headers {
 public:
  Headers() = default;
  /// Appends; false (and nothing appended) when name or value breaks the syntax.
  bool add(FieldName name, std::string_view value) { return append(name.text(), value); }
  template <RuntimeName Name>
  bool add(const Name& name, std::string_view value) {
    return is_token(name) && append(name, value);
  }
  /// Replaces every field of that name by this one.
  bool set(FieldName name, std::string_view value) { return replace(name.text(), value); }
  template <RuntimeName Name>
  bool set(const Name& name, std::string_view value) {
    return is_token(name) && replace(name, value);
  }
  std::size_t remove(std::string_view name) { return may_have(name) ? erase(name) : 0; }
  void clear() noexcept;

  /// The first of that name.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept {
    return may_have(name) ? find(name) : std::nullopt;
  }
  [[nodiscard]] bool has(std::string_view name) const noexcept { return get(name).has_value(); }
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  [[nodiscard]] std::vector<std::string_view> all(std::string_view name) const;
  /// Whether a comma-separated list field (Connection, TE, …) contains the token.
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const noexcept {
    return may_have(name) && find_token(name, token);
  }

  /// A set of names of which a look can say "none is here" without visiting the fields.
  class NameSet {
   public:
    explicit constexpr NameSet(std::span<const std::string_view> names) {
      for (const std::string_view name : names) bits_ |= bit_of(name);
    }
    /// False: certainly not. True: perhaps.
    [[nodiscard]] constexpr bool may_contain(std::string_view name) const noexcept {
      return (bits_ & bit_of(name)) != 0;
    }

   private:
    friend class Headers;
    std::uint64_t bits_ = 0;
  };
  /// False: certainly not. True: perhaps.
  [[nodiscard]] bool may_have_any(NameSet names) const noexcept {
    return (seen_ & names.bits_) != 0;
  }

  /// Keeps the fields that `keep(name, value)` says, in order.
  template <class Keep>
  void filter(Keep keep) {
    std::erase_if(entries_, [&](const Entry& e) { return !keep(name_of(e), value_of(e)); });
  }
  /// The same, asking only about fields that may be in the set: the others stay.
  template <class Keep>
  void filter(NameSet which, Keep keep) {
    if (!may_have_any(which)) return;
    std::erase_if(entries_, [&](const Entry& e) {
      return (which.bits_ >> e.bit & 1) != 0 && !keep(name_of(e), value_of(e));
    });
  }
  /// Calls `each(field, special)` in order; not special: certainly not in the set.
  template <class Each>
  void visit(NameSet specials, Each each) const {
    for (const Entry& e : entries_) {
      each(Field{name_of(e), value_of(e)}, (specials.bits_ >> e.bit & 1) != 0);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] Field at(std::size_t index) const noexcept;

  class Iterator {
   public:
    Iterator(const Headers* h, std::size_t i) : headers_(h), index_(i) {}
    Field operator*() const { return headers_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_;
    std::size_t index_;
  };
  [[nodiscard]] Iterator begin() const { return {this, 0}; }
  [[nodiscard]] Iterator end() const { return {this, entries_.size()}; }

 private:
  friend class h1::HeadParser;  // hands over fields that it has checked
  struct Entry {
    std::uint32_t name = 0;  // offsets into the buffer
    std::uint32_t value = 0;
    std::uint32_t name_size : 24 = 0;
    std::uint32_t bit : 8 = 0;  // index_of the name
    std::uint32_t value_size = 0;
  };
  using Entries = std::vector<Entry, FrameAllocator<Entry>>;
  static constexpr std::size_t kMaxName = (1U << 24) - 1;
  [[nodiscard]] std::string_view name_of(const Entry& e) const noexcept {
    return {buffer_.data() + e.name, e.name_size};
  }
  [[nodiscard]] std::string_view value_of(const Entry& e) const noexcept {
    return {buffer_.data() + e.value, e.value_size};
  }
  /// One of 64 for a name, whatever its case. Most questions are about fields that are not there,
  /// and most fields are not those asked for: both end at this number.
  [[nodiscard]] static constexpr std::uint8_t index_of(std::string_view name) noexcept {
    if (name.empty()) return 0;
    const auto folded = [](char c) -> std::size_t { return static_cast<unsigned char>(c) | 0x20U; };
    return static_cast<std::uint8_t>(
        (name.size() + 5 * folded(name.front()) + 3 * folded(name.back())) % 64);
  }
  [[nodiscard]] static constexpr std::uint64_t bit_of(std::string_view name) noexcept {
    return std::uint64_t{1} << index_of(name);
  }
  [[nodiscard]] bool may_have(std::string_view name) const noexcept {
    return (seen_ & bit_of(name)) != 0;
  }
  /// Asks whether an entry has this name.
  class Named {
   public:
    Named(const Headers& h, std::string_view name) noexcept
        : headers_(h), name_(name), index_(index_of(name)) {}
    bool operator()(const Entry& e) const noexcept {
      return e.bit == index_ && equal_ignoring_case(headers_.name_of(e), name_);
    }

   private:
    const Headers& headers_;
    std::string_view name_;
    std::uint8_t index_;
  };
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  [[nodiscard]] bool find_token(std::string_view name, std::string_view token) const noexcept;
  std::size_t erase(std::string_view name);

  // The name is a token.
  bool append(std::string_view name, std::string_view value);
  bool replace(std::string_view name, std::string_view value);
  /// Nothing is stored when the value breaks the syntax.
  [[nodiscard]] std::optional<Entry> store(std::string_view name, std::string_view value);

  FieldBytes buffer_;
  Entries entries_;
  std::uint64_t seen_ = 0;  // bit_of every name that was ever added since clear()
};

}  // namespace octroi::http
