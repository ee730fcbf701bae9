#include "octroi/vault/packs/generic/questions.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/generic/fields.h"
#include "octroi/vault/packs/generic/generic.h"

namespace octroi::vault::generic {

namespace {

using json::Value;

/// REQUIRES that objects stand on the whole path, as far as it is there.
void write_with(json::Writer& w, const std::optional<Value>& value, std::string_view path,
                std::string_view text) {
  const std::size_t dot = std::min(path.find('.'), path.size());
  const std::string_view name = path.substr(0, dot);
  const std::string_view rest = path.substr(std::min(dot + 1, path.size()));
  std::optional<Value> below;
  w.begin_object();
  if (value) {
    for (const auto& [key, member] : value->members()) {
      if (key == name) {
        below = member;
      } else {
        w.key(key).raw(member.to_json());
      }
    }
  }
  w.key(name);
  if (rest.empty()) {
    w.string(text);
  } else {
    write_with(w, below, rest, text);
  }
  w.end_object();
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

std::optional<UnixMillis> moment_of(std::string_view text) {
  if (const auto moment = from_rfc3339(text)) return *moment;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return from_unix_seconds(seconds);
}

/// The path of a target, without what a page adds to it.
std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

}  // namespace

std::optional<std::string> with_text_at(const Value& root, std::string_view path,
                                        std::string_view text) {
  // Looked at first: a writer that is left half-way ends the process.
  std::string_view rest = path;
  for (std::optional<Value> at = root; at;) {
    if (!at->is_object()) return std::nullopt;
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) break;
    at = at->find(rest.substr(0, dot));
    rest = rest.substr(dot + 1);
  }
  json::Writer w;
  write_with(w, root, path, text);
  return std::move(w).take();
}

void Questions::mark(const Operation& operation, Input& input, std::string_view reservation) const {
  if (operation.row >= operations_.size()) return;
  const std::string& field = operations_[operation.row].mark;
  if (field.empty()) return;
  if (input.document) {
    if (auto body = with_text_at(input.document->root(), field, reservation))
      input.body = *std::move(body);
  } else if (input.body_kind == BodyKind::form) {
    input.form.set(as_form_name(field), reservation);
    input.body = input.form.text();
  }
}

bool Questions::marks(std::string_view operation) const {
  return std::ranges::any_of(operations_, [&](const OperationSettings& o) {
    return o.name == operation && !o.mark.empty();
  });
}

std::vector<VendorList> Questions::lists(UnixMillis from, UnixMillis to) const {
  std::vector<VendorList> out;
  for (const ListSettings& list : lists_) {
    std::string target = list.path;
    target = replaced(std::move(target), "{from}", to_rfc3339(from));
    target = replaced(std::move(target), "{to}", to_rfc3339(to));
    target = replaced(std::move(target), "{from_unix}", std::to_string(from.seconds()));
    target = replaced(std::move(target), "{to_unix}", std::to_string(to.seconds() + 1));
    out.push_back({std::move(target), list.operations});
  }
  return out;
}

VendorItem Questions::item_of(const ListSettings& list, const Value& item) const {
  const auto at = [&](const std::string& path) {
    return path.empty() ? std::string() : scalar_at(item, path).value_or("");
  };
  VendorItem out;
  out.object = at(list.id);
  out.mark = at(list.mark);
  out.created = moment_of(at(list.created));
  const std::string amount = at(list.amount);
  const std::string currency =
      list.currency.starts_with('=') ? list.currency.substr(1) : at(list.currency);
  if (amount.empty() || currency.empty()) return out;
  const auto minor =
      list.major ? parse_major(list.amount, amount, currency) : parse_minor(list.amount, amount);
  if (minor) out.minor = policy::MinorAmount{*minor, currency, policy::MinorUnits::iso};
  return out;
}

Result<VendorPage> Questions::read_list(std::string_view target, const Value& answer) const {
  const auto list = std::ranges::find_if(
      lists_, [&](const ListSettings& l) { return path_of(l.path) == path_of(target); });
  if (list == lists_.end()) return fail(Errc::ambiguous, "no list of this path is declared");
  std::optional<Value> items = answer;
  std::string_view rest = list->items;
  while (items && !rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    items = items->find(rest.substr(0, dot));
    rest = rest.substr(std::min(dot + 1, rest.size()));
  }
  if (!items || !items->is_array())
    return fail(Errc::ambiguous,
                fmt::format("no list stands at \"{}\" of the answer", list->items));
  VendorPage page;
  for (const Value item : items->elements()) page.items.push_back(item_of(*list, item));
  if (!list->next.empty()) page.next = scalar_at(answer, list->next).value_or("");
  if (!page.next.empty() && path_of(page.next) != path_of(target))
    return fail(Errc::ambiguous, "the next page is of another path");
  page.cut = page.next.empty() && std::ssize(page.items) >= list->page_size;
  return page;
}

}  // namespace octroi::vault::generic
