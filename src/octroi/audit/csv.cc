#include "octroi/audit/csv.h"

#include "octroi/audit/fields.h"
#include "octroi/audit/time.h"
#include "octroi/base/bytes.h"
#include "octroi/json/writer.h"

namespace octroi::audit {
namespace {

using Details = std::vector<std::pair<std::string, std::string>>;

bool looks_like_formula(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \v\f\xc2\xa0");
  return first != std::string_view::npos &&
         std::string_view("=+-@\t\r\n|%").find(text[first]) != std::string_view::npos;
}

struct Cells {
  std::string line;

  void add(std::string_view cell) {
    if (!line.empty()) line += ',';
    line += cell;
  }
  void operator()(const char*, const std::string& text) { add(csv_cell(text)); }
  void operator()(const char*, std::int64_t n) { add(std::to_string(n)); }
  void operator()(const char*, int n) { add(std::to_string(n)); }
  void operator()(const char*, const UnixMillis& t) { add(time_text(t)); }
  void operator()(const char*, const MicroUsd& n) {
    add(std::to_string(n.count() /* raw: for the file */));
  }
  void operator()(const char*, const Digest& d) { add(to_hex(d)); }
  void operator()(const char*, const Verdict& v) { add(to_string(v)); }
  void operator()(const char*, const Details& details) {
    if (details.empty()) return add("\"\"");
    json::Writer out;
    out.begin_object();
    for (const auto& [name, value] : details) out.field(name, value);
    out.end_object();
    add(csv_cell(std::move(out).take()));
  }
  template <class T>
  void operator()(const char* name, const std::optional<T>& value) {
    if (value) return (*this)(name, *value);
    add("\"\"");
  }
};

}  // namespace

std::string csv_cell(std::string_view text) {
  std::string out = "\"";
  if (looks_like_formula(text)) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    if (c != '\0') out += c;
  }
  return out + '"';
}

std::string csv_header() {
  std::string out;
  const RowHead head;
  const Event event;
  each_field(head, event, [&](const char* name, const auto&) {
    if (!out.empty()) out += ',';
    out += name;
  });
  return out + ",prev_hash,row_hash";
}

std::string csv_line(const Row& row) {
  Cells cells;
  const RowHead head{row.id.writer, row.id.seq, row.at};
  each_field(head, row.event, cells);
  cells.add(to_hex(row.prev_hash));
  cells.add(to_hex(row.row_hash));
  return std::move(cells.line);
}

}  // namespace octroi::audit
