#include "octroi/http/headers.h"

#include <algorithm>
#include <cstring>

#include "octroi/http/char_class.h"
#include "octroi/http/short_copy.h"

namespace octroi::http {

bool is_token(std::string_view text) noexcept {
  return !text.empty() && all_class(text, detail::kTokenChar);
}

bool is_field_value(std::string_view text) noexcept {
  return !has_control(text.data(), text.data() + text.size(), text.data());
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  if (a.empty()) return true;
  // Names of one size mostly differ in their last letter already ("X-Forwarded-For", "-Host").
  if (lower(a.back()) != lower(b.back())) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool is_connection_field(std::string_view name) noexcept {
  switch (name.size()) {
    case 4:
      return equals_lower(name, "host");
    case 7:
      return equals_lower(name, "upgrade");
    case 10:
      return equals_lower(name, "connection") || equals_lower(name, "keep-alive");
    case 14:
      return equals_lower(name, "content-length");
    case 16:
      return equals_lower(name, "proxy-connection");
    case 17:
      return equals_lower(name, "transfer-encoding");
    default:
      return false;
  }
}

char* FieldBytes::room(std::size_t more) {
  if (size_ + more > capacity_) {
    FieldBytes grown;
    grown.assign(data_, size_, std::max(more, capacity_));
    swap(grown);
  }
  return data_ + size_;
}

void FieldBytes::assign(const char* from, std::size_t size, std::size_t extra) {
  if (capacity_ < size + extra) {
    if (data_ != nullptr) octroi::detail::frame_free(data_, capacity_);
    data_ = nullptr;
    capacity_ = std::max<std::size_t>(size + extra, 512);
    data_ = static_cast<char*>(octroi::detail::frame_alloc(capacity_));
  }
  if (size > 0) std::memcpy(data_, from, size);
  size_ = size;
}

std::optional<Headers::Entry> Headers::store(std::string_view name, std::string_view value) {
  if (name.size() > kMaxName) return std::nullopt;
  Entry e;
  e.name = static_cast<std::uint32_t>(buffer_.size());
  e.name_size = static_cast<std::uint32_t>(name.size()) & kMaxName;
  e.bit = index_of(name);
  e.value = e.name + e.name_size;
  e.value_size = static_cast<std::uint32_t>(value.size());
  const std::size_t more = name.size() + value.size();
  if (buffer_.size() + more <= buffer_.capacity()) {
    short_copy(short_copy(buffer_.room(more), name), value);
  } else {
    // The views may point into the buffer that is about to move.
    FieldBytes grown;
    grown.assign(buffer_.data(), buffer_.size(), std::max(more, buffer_.capacity()));
    short_copy(short_copy(grown.room(more), name), value);
    buffer_.swap(grown);
  }
  buffer_.grew(more);
  // Behind its name a short value is looked at with one comparison too.
  const char* const text = buffer_.data() + e.value;
  if (!has_control(text, text + value.size(), buffer_.data() + e.name)) return e;
  buffer_.cut(e.name);
  return std::nullopt;
}

bool Headers::append(std::string_view name, std::string_view value) {
  const auto entry = store(name, value);
  if (!entry) return false;
  if (entries_.capacity() == 0) entries_.reserve(16);
  entries_.push_back(*entry);
  seen_ |= std::uint64_t{1} << entry->bit;
  return true;
}

bool Headers::replace(std::string_view name, std::string_view value) {
  if (!may_have(name)) return append(name, value);
  const Named is_it(*this, name);
  const auto first = std::ranges::find_if(entries_, is_it);
  if (first == entries_.end()) return append(name, value);
  if (!is_field_value(value)) return false;
  // The later ones go before the bytes move, as the name may lie among them.
  entries_.erase(std::remove_if(first + 1, entries_.end(), is_it), entries_.end());
  if (const auto entry = store(name, value)) *first = *entry;
  return true;
}

std::size_t Headers::erase(std::string_view name) {
  return std::erase_if(entries_, Named(*this, name));
}

void Headers::clear() noexcept {
  buffer_.clear();
  entries_.clear();
  seen_ = 0;
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  const Named is_it(*this, name);
  for (const Entry& e : entries_) {
    if (is_it(e)) return value_of(e);
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const noexcept {
  if (!may_have(name)) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(entries_, Named(*this, name)));
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  if (!may_have(name)) return values;
  const Named is_it(*this, name);
  for (const Entry& e : entries_) {
    if (is_it(e)) values.push_back(value_of(e));
  }
  return values;
}

bool Headers::find_token(std::string_view name, std::string_view token) const noexcept {
  bool found = false;
  const Named is_it(*this, name);
  for (const Entry& e : entries_) {
    if (found || !is_it(e)) continue;
    for_each_member(value_of(e), [&](std::string_view member) {
      found = equal_ignoring_case(member, token);
      return !found;
    });
  }
  return found;
}

Field Headers::at(std::size_t index) const noexcept {
  const Entry& e = entries_[index];
  return {name_of(e), value_of(e)};
}

}  // namespace octroi::http
