#include "octroi/json/value.h"

#include <charconv>
#include <limits>

#include <fmt/core.h>

#include "octroi/base/secret.h"
#include "octroi/json/tree.h"
#include "octroi/json/writer.h"

namespace octroi::json {

namespace detail {

Tree::~Tree() {
  if (sensitive && !chars.empty()) secure_wipe(chars.data(), chars.size());
}

}  // namespace detail

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "a boolean";
    case Kind::integer:
    case Kind::big_integer:
      return "an integer";
    case Kind::real:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::array:
      return "an array";
    case Kind::object:
      return "an object";
  }
  return "a value";
}

Kind Value::kind() const { return tree_->at(node_).kind; }

template <class T>
Result<T> Value::wrong(std::string_view expected) const {
  const std::string where = path();
  return fail(Errc::wrong_type,
              fmt::format("{}: expected {}, found {}", where.empty() ? "JSON" : where, expected,
                          describe(kind())));
}

Result<bool> Value::as_bool() const {
  if (kind() != Kind::boolean) return wrong<bool>("true or false");
  return tree_->at(node_).integer != 0;
}

Result<std::int64_t> Value::as_int64() const {
  if (kind() == Kind::integer) return static_cast<std::int64_t>(tree_->at(node_).integer);
  if (kind() == Kind::big_integer)
    return fail(Errc::out_of_range, fmt::format("{}: the integer is too large", path()));
  return wrong<std::int64_t>("an integer");
}

Result<std::uint64_t> Value::as_uint64() const {
  const std::uint64_t raw = tree_->at(node_).integer;
  if (kind() == Kind::big_integer) return raw;
  if (kind() != Kind::integer) return wrong<std::uint64_t>("an integer");
  if (static_cast<std::int64_t>(raw) < 0) {
    return fail(Errc::out_of_range, fmt::format("{}: the integer may not be negative", path()));
  }
  return raw;
}

Result<double> Value::as_double() const {
  const detail::Node& node = tree_->at(node_);
  if (kind() == Kind::integer) return static_cast<double>(static_cast<std::int64_t>(node.integer));
  if (kind() == Kind::big_integer) return static_cast<double>(node.integer);
  if (kind() != Kind::real) return wrong<double>("a number");
  const std::string_view text = tree_->text(node);
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  // parse() refused what overflows; what is left underflows, and strtod knows to what.
  if (problem != std::errc()) value = std::strtod(std::string(text).c_str(), nullptr);
  return value;
}

Result<std::string_view> Value::as_string() const {
  if (kind() != Kind::string) return wrong<std::string_view>("a string");
  return tree_->text(tree_->at(node_));
}

Result<Value> Value::as_object() const {
  if (kind() != Kind::object) return wrong<Value>("an object");
  return *this;
}

Result<Value> Value::as_array() const {
  if (kind() != Kind::array) return wrong<Value>("an array");
  return *this;
}

std::optional<Value> Value::find(std::string_view key) const {
  if (kind() != Kind::object) return std::nullopt;
  for (std::uint32_t n = tree_->at(node_).first; n != 0; n = tree_->at(n).next) {
    if (tree_->key(tree_->at(n)) == key) return Value(tree_, n);
  }
  return std::nullopt;
}

Result<Value> Value::member(std::string_view key) const {
  if (kind() != Kind::object) return wrong<Value>("an object");
  if (const auto found = find(key)) return *found;
  const std::string where = path();
  return fail(Errc::missing, fmt::format("{}{}{}: required member is missing", where,
                                         where.empty() ? "" : ".", key));
}

Result<Value> Value::object(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_object(); });
}
Result<Value> Value::array(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_array(); });
}
Result<std::string_view> Value::string(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_string(); });
}
Result<bool> Value::boolean(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_bool(); });
}
Result<std::int64_t> Value::int64(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_int64(); });
}
Result<std::uint64_t> Value::uint64(std::string_view key) const {
  return member(key).and_then([](Value v) { return v.as_uint64(); });
}

namespace {

template <class T, class As>
Result<std::optional<T>> optional_member(const Value& object, std::string_view key, As as) {
  OCTROI_TRY(const Value self, object.as_object());
  const auto found = self.find(key);
  if (!found) return std::optional<T>();
  OCTROI_TRY(T value, as(*found));
  return std::optional<T>(std::move(value));
}

}  // namespace

Result<std::optional<std::string_view>> Value::optional_string(std::string_view key) const {
  return optional_member<std::string_view>(*this, key, [](Value v) { return v.as_string(); });
}
Result<std::optional<std::int64_t>> Value::optional_int64(std::string_view key) const {
  return optional_member<std::int64_t>(*this, key, [](Value v) { return v.as_int64(); });
}
Result<std::optional<bool>> Value::optional_boolean(std::string_view key) const {
  return optional_member<bool>(*this, key, [](Value v) { return v.as_bool(); });
}
Result<std::optional<Value>> Value::optional_object(std::string_view key) const {
  return optional_member<Value>(*this, key, [](Value v) { return v.as_object(); });
}

std::size_t Value::size() const { return tree_->at(node_).count; }

Members Value::members() const { return {tree_, is_object() ? tree_->at(node_).first : 0}; }
Elements Value::elements() const { return {tree_, is_array() ? tree_->at(node_).first : 0}; }

Member Members::Iterator::operator*() const {
  return {tree_->key(tree_->at(node_)), Value(tree_, node_)};
}
Members::Iterator& Members::Iterator::operator++() {
  node_ = tree_->at(node_).next;
  return *this;
}
Elements::Iterator& Elements::Iterator::operator++() {
  node_ = tree_->at(node_).next;
  return *this;
}

std::string Value::path() const {
  if (node_ == 0) return {};
  const detail::Node& node = tree_->at(node_);
  const detail::Node& parent = tree_->at(node.parent);
  std::string out = Value(tree_, node.parent).path();
  if (parent.kind == Kind::object) {
    if (!out.empty()) out += '.';
    out += tree_->key(node);
    return out;
  }
  std::size_t index = 0;
  for (std::uint32_t n = parent.first; n != node_; n = tree_->at(n).next) ++index;
  return out + fmt::format("[{}]", index);
}

std::string_view Value::number_text() const {
  return kind() == Kind::real ? tree_->text(tree_->at(node_)) : std::string_view();
}

namespace {

void write(Writer& out, const Value& value) {
  switch (value.kind()) {
    case Kind::null:
      out.null();
      break;
    case Kind::boolean:
      out.boolean(*value.as_bool());
      break;
    case Kind::integer:
      out.integer(*value.as_int64());
      break;
    case Kind::big_integer:
      out.unsigned_integer(*value.as_uint64());
      break;
    case Kind::real:
      out.raw(value.number_text());
      break;
    case Kind::string:
      out.string(*value.as_string());
      break;
    case Kind::array:
      out.begin_array();
      for (const Value element : value.elements()) write(out, element);
      out.end_array();
      break;
    case Kind::object:
      out.begin_object();
      for (const auto& [key, element] : value.members()) write(out.key(key), element);
      out.end_object();
      break;
  }
}

}  // namespace

std::string Value::to_json() const {
  Writer out;
  write(out, *this);
  return std::move(out).take();
}

Document::Document(std::unique_ptr<detail::Tree> tree) : tree_(std::move(tree)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;
Value Document::root() const { return {tree_.get(), 0}; }

}  // namespace octroi::json
