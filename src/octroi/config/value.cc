#include "octroi/config/value.h"

namespace octroi::config {
namespace {

template <class T>
const T& get_or_empty(const Value::Data& data) {
  static const T empty{};
  const T* value = std::get_if<T>(&data);
  return value == nullptr ? empty : *value;
}

}  // namespace

Value::Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

const Value& Value::at(std::string_view path) const {
  static const Value none;
  const Value* value = this;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    const Value* next = nullptr;
    for (const auto& [name, child] : value->children) {
      if (name == key) next = &child;
    }
    if (next == nullptr) return none;
    value = next;
  }
  return *value;
}

Value* Value::find(std::string_view key) {
  for (auto& [name, child] : children) {
    if (name == key) return &child;
  }
  return nullptr;
}

bool Value::flag() const { return get_or_empty<bool>(data); }
std::int64_t Value::number() const { return get_or_empty<std::int64_t>(data); }
const std::string& Value::str() const { return get_or_empty<std::string>(data); }
Millis Value::duration() const { return get_or_empty<Millis>(data); }
Price Value::price() const { return get_or_empty<Price>(data); }
UnixMillis Value::time() const { return get_or_empty<UnixMillis>(data); }
const Url& Value::url() const { return get_or_empty<Url>(data); }

std::vector<std::string> Value::strings() const { return all<std::string>(); }

}  // namespace octroi::config
