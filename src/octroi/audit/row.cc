#include "octroi/audit/row.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "octroi/audit/fields.h"
#include "octroi/audit/time.h"
#include "octroi/base/bytes.h"
#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/canonical.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::audit {
namespace {

constexpr std::string_view kRowTag{"octroi.audit.row.v1\0", 20};
constexpr std::string_view kWriterTag{"octroi.audit.writer.v1\0", 23};
constexpr std::size_t kLongestName = 40;
constexpr std::size_t kMostDetails = 32;
constexpr std::string_view kEllipsis = "…";

using Details = std::vector<std::pair<std::string, std::string>>;

/// Kinds, and names of details: "[a-z][a-z0-9_.]*".
bool is_name(std::string_view text) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto other = [](char c) { return (c >= '0' && c <= '9') || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= kLongestName && letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || other(c); });
}

Error bad_event(std::string_view field, std::string_view why) {
  return {Errc::bad_event, fmt::format("audit event: {}: {}", field, why)};
}
tl::unexpected<Error> bad_row(std::string_view why) {
  return fail(Errc::bad_row, fmt::format("not an audit row: {}", why));
}

bool in_range(std::int64_t n) { return n >= -kLargestNumber && n <= kLargestNumber; }

// --- preparing

/// Bytes that are not UTF-8 become U+FFFD, as the JSON writer has it.
std::string made_utf8(const std::string& text) {
  if (json::is_utf8(text)) return text;
  std::string quoted;
  json::append_quoted(quoted, text);
  const auto parsed = json::parse(quoted);
  if (!parsed) return "?";
  return std::string(parsed->root().as_string().value_or("?"));
}

void cut(std::string& text) {
  if (text.size() <= kLongestText) return;
  std::size_t end = kLongestText - kEllipsis.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  text += kEllipsis;
}

void tidy(std::string& text) {
  if (text.empty()) return;
  text = made_utf8(redactor().redact(text));
  cut(text);
}

/// Visits each member of an event that is about to be written.
struct Prepare {
  std::optional<Error> wrong;

  void operator()(std::string_view, std::string& text) const { tidy(text); }
  void operator()(std::string_view name, std::optional<std::int64_t>& n) {
    if (n && !in_range(*n)) wrong = bad_event(name, "larger than 2^53 - 1");
  }
  void operator()(std::string_view name, std::optional<MicroUsd>& n) {
    /* raw: a bound of JSON readers, not of money */
    if (n && !in_range(n->count() /* raw: as above */)) {
      wrong = bad_event(name, "larger than 2^53 - 1 millionths of a dollar");
    }
  }
  void operator()(std::string_view name, Details& details) {
    std::ranges::sort(details);
    if (details.size() > kMostDetails) wrong = bad_event(name, "more than 32 details");
    for (std::size_t i = 0; i < details.size(); ++i) {
      if (!is_name(details[i].first)) wrong = bad_event(name, "a name is not [a-z][a-z0-9_.]*");
      if (i > 0 && details[i].first == details[i - 1].first) {
        wrong = bad_event(name, "a name is there twice");
      }
      tidy(details[i].second);
    }
  }
  void operator()(std::string_view, std::optional<Digest>&) const {}
  void operator()(std::string_view, std::optional<int>&) const {}
  void operator()(std::string_view, std::optional<Verdict>&) const {}
  void operator()(std::string_view, const std::int64_t&) const {}
  void operator()(std::string_view, const UnixMillis&) const {}
};

// --- writing

struct Write {
  json::Writer& out;

  void operator()(const char* name, const std::string& text) const {
    if (!text.empty()) out.field(name, text);
  }
  void operator()(const char* name, std::int64_t n) const { out.field(name, n); }
  void operator()(const char* name, const UnixMillis& t) const { out.field(name, time_text(t)); }
  void operator()(const char* name, const Details& details) const {
    if (details.empty()) return;
    out.key(name).begin_object();
    for (const auto& [key, value] : details) out.field(key, value);
    out.end_object();
  }
  void operator()(const char* name, const MicroUsd& n) const {
    out.field(name, n.count() /* raw: for the wire */);
  }
  void operator()(const char* name, const Digest& d) const { out.field(name, to_hex(d)); }
  void operator()(const char* name, const Verdict& v) const { out.field(name, to_string(v)); }
  template <class T>
  void operator()(const char* name, const std::optional<T>& value) const {
    if (value) (*this)(name, *value);
  }
};

// --- reading

/// Reads member after member; `used` tells whether there were others.
struct Read {
  const json::Value& object;
  std::size_t used = 0;
  std::optional<Error> wrong;

  template <class T>
  void keep(Result<T> got, T& into) {
    if (got) {
      into = *std::move(got);
    } else if (!wrong) {
      wrong = got.error();
    }
  }
  template <class T>
  void operator()(const char* name, T& into) {
    const auto value = object.find(name);
    if (!value) return;
    ++used;
    keep(as<T>(*value), into);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& into) {
    const auto value = object.find(name);
    if (!value) return;
    ++used;
    T got{};
    keep(as<T>(*value), got);
    into = std::move(got);
  }

  template <class T>
  static Result<T> as(const json::Value& v) {
    if constexpr (std::is_same_v<T, std::string>) {
      OCTROI_TRY(const std::string_view text, v.as_string());
      return std::string(text);
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      OCTROI_TRY(const std::int64_t n, v.as_int64());
      if (!in_range(n)) return bad_row("a number larger than 2^53 - 1");
      return n;
    } else if constexpr (std::is_same_v<T, int>) {
      OCTROI_TRY(const std::int64_t n, v.as_int64());
      if (n < 0 || n > 999) return bad_row("a status that is none");
      return static_cast<int>(n);
    } else if constexpr (std::is_same_v<T, MicroUsd>) {
      OCTROI_TRY(const std::int64_t n, v.as_int64());
      if (!in_range(n)) return bad_row("a number larger than 2^53 - 1");
      return MicroUsd::from_raw(n);
    } else if constexpr (std::is_same_v<T, UnixMillis>) {
      OCTROI_TRY(const std::string_view text, v.as_string());
      return from_rfc3339(text);
    } else if constexpr (std::is_same_v<T, Digest>) {
      OCTROI_TRY(const std::string_view text, v.as_string());
      return from_hex_exact<32>(text, HexCase::lower);
    } else if constexpr (std::is_same_v<T, Verdict>) {
      OCTROI_TRY(const std::string_view text, v.as_string());
      const auto verdict = verdict_from_string(text);
      if (!verdict) return bad_row("a verdict that octroi does not know");
      return *verdict;
    } else {
      static_assert(std::is_same_v<T, Details>);
      OCTROI_TRY(const json::Value object, v.as_object());
      Details out;
      for (const auto& [key, value] : object.members()) {
        OCTROI_TRY(const std::string_view text, value.as_string());
        out.emplace_back(key, text);
      }
      return out;
    }
  }
};

}  // namespace

bool is_writer(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<> prepare(Event& event) {
  const RowHead head;
  Prepare each;
  each_field(head, event, [&](const char* name, auto& member) {
    if constexpr (!std::is_const_v<std::remove_reference_t<decltype(member)>>) {
      each(name, member);
    }
  });
  if (each.wrong) return fail(*std::move(each.wrong));
  if (!is_name(event.kind) || event.kind == kCheckpointKind) {
    return fail(bad_event("kind", "not [a-z][a-z0-9_.]*, or a word of exports"));
  }
  if (event.upstream_status && (*event.upstream_status < 0 || *event.upstream_status > 999)) {
    return fail(bad_event("upstream_status", "not a status"));
  }
  return {};
}

Result<Event> prepared(Event event) {
  OCTROI_CHECK(prepare(event));
  return event;
}

std::string row_text(const RowId& id, UnixMillis at, const Event& event) {
  const RowHead head{id.writer, id.seq, at};
  json::Writer out;
  out.begin_object();
  each_field(head, event, Write{out});
  out.end_object();
  return std::move(out).take();
}

Digest origin_of(std::string_view writer) {
  return crypto::Sha256().update(as_bytes(kWriterTag)).update(as_bytes(writer)).finish();
}

Digest hash_of_text(std::string_view text) { return crypto::sha256(as_bytes(text)); }

Digest hash_of_row(const Digest& prev, const Digest& text_hash) {
  return crypto::Sha256().update(as_bytes(kRowTag)).update(prev).update(text_hash).finish();
}

StoredRow make_row(RowId id, UnixMillis at, const Event& event, const Digest& prev) {
  StoredRow row;
  row.text = row_text(id, at, event);
  row.id = std::move(id);
  row.prev_hash = prev;
  row.row_hash = hash_of_row(prev, hash_of_text(row.text));
  return row;
}

Result<Row> read_row(const StoredRow& stored) {
  OCTROI_TRY(const json::Document doc, json::parse(stored.text, {4, kLongestRow, false}));
  const json::Value root = doc.root();
  if (!root.is_object()) return bad_row("not an object");
  Row row;
  RowHead head;
  Read read{root, 0, {}};
  each_field(head, row.event, read);
  if (read.wrong) return fail(*std::move(read.wrong));
  // Strict, so that nothing can stand in a row that readers pass over.
  if (read.used != root.size()) return bad_row("a member that octroi does not know");
  row.id = {std::move(head.writer), head.seq};
  row.at = head.at;
  if (!is_writer(row.id.writer) || row.id.seq < 1) return bad_row("no writer or number");
  if (row.id != stored.id) return bad_row("it tells another writer or number than its place");
  if (row_text(row.id, row.at, row.event) != stored.text) return bad_row("not canonical");
  row.text = stored.text;
  row.prev_hash = stored.prev_hash;
  row.row_hash = stored.row_hash;
  return row;
}

std::string export_line(const StoredRow& row) {
  // A row has members, so there is something before the comma.
  std::string out = row.text.substr(0, row.text.size() - 1);
  out += R"(,"prev_hash":")" + to_hex(row.prev_hash);
  out += R"(","row_hash":")" + to_hex(row.row_hash) + "\"}";
  return out;
}

Result<StoredRow> parse_line(std::string_view line) {
  OCTROI_TRY(const json::Document doc, json::parse(line, {4, kLongestRow + 256, false}));
  const json::Value root = doc.root();
  OCTROI_TRY(const std::string_view prev, root.string("prev_hash"));
  OCTROI_TRY(const std::string_view own, root.string("row_hash"));
  OCTROI_TRY(const std::string_view writer, root.string("writer"));
  StoredRow row;
  OCTROI_TRY(row.prev_hash, from_hex_exact<32>(prev, HexCase::lower));
  OCTROI_TRY(row.row_hash, from_hex_exact<32>(own, HexCase::lower));
  OCTROI_TRY(row.id.seq, root.int64("seq"));
  row.id.writer = writer;
  std::vector<std::pair<std::string_view, json::Value>> members;
  for (const auto& [key, value] : root.members()) {
    if (key != "prev_hash" && key != "row_hash") members.emplace_back(key, value);
  }
  std::ranges::sort(
      members, [](const auto& a, const auto& b) { return json::canonical_less(a.first, b.first); });
  row.text = "{";
  for (const auto& [key, value] : members) {
    if (row.text.size() > 1) row.text += ',';
    json::append_quoted(row.text, key);
    row.text += ':';
    json::append_canonical(row.text, value);
  }
  row.text += '}';
  return row;
}

}  // namespace octroi::audit
