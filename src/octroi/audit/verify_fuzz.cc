// Lines of an export: whatever can be read is written again the same, and no file that differs from
// a whole one by what the fuzzer put in is taken for whole while its rows are others.
#include <string>
#include <string_view>
#include <vector>

#include "octroi/audit/csv.h"
#include "octroi/audit/proof.h"
#include "octroi/audit/verify.h"

namespace {

using namespace octroi;         // NOLINT(google-build-using-namespace)
using namespace octroi::audit;  // NOLINT(google-build-using-namespace)

void demand(bool holds) {
  if (!holds) __builtin_trap();
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// Three rows and the checkpoint over the last.
struct Whole {
  std::vector<std::string> lines;
  std::vector<StoredRow> rows;
  PublicKey key{};
  Whole() {
    const Signer signer = Signer::from_seed(Secret(ByteView(Bytes(32, 3)))).value();
    key = signer.public_key();
    Digest prev = origin_of("w");
    for (std::int64_t seq = 1; seq <= 3; ++seq) {
      Event e;
      e.kind = kCallIntent;
      e.run = "r";
      e.amount = seq;
      rows.push_back(make_row({"w", seq}, UnixMillis{seq}, e, prev));
      prev = rows.back().row_hash;
    }
    lines.push_back(checkpoint_line(signer.sign("w", 3, prev, UnixMillis{4})));
    for (const StoredRow& row : rows) lines.push_back(export_line(row));
  }
};

void check_round_trip(std::string_view line) {
  const auto parsed = parse_export_line(line);
  if (!parsed) return;
  if (const auto* c = std::get_if<Checkpoint>(&*parsed)) {
    demand(parse_checkpoint(checkpoint_line(*c)).value() == *c);
  }
  const auto* row = std::get_if<StoredRow>(&*parsed);
  if (row == nullptr) return;
  const auto again = parse_line(export_line(*row));
  demand(again && again->text == row->text && again->id == row->id);
  const auto read = read_row(*row);
  if (!read) return;
  demand(row_text(read->id, read->at, read->event) == row->text);
  demand(csv_line(*read).find('\n') == std::string::npos ||
         row->text.find("\\n") != std::string::npos);
}

/// The fuzzer's line in the place of one of a whole export: valid only if it says the same.
void check_replacement(const Whole& whole, std::string_view line, std::size_t at) {
  Verifier v({whole.key});
  for (std::size_t i = 0; i < whole.lines.size(); ++i) v.add_line(i == at ? line : whole.lines[i]);
  if (!std::move(v).finish().valid()) return;
  if (at == 0) return;  // without its checkpoint an export is whole all the same
  const auto parsed = parse_export_line(line);
  demand(parsed.has_value());
  const auto* row = std::get_if<StoredRow>(&*parsed);
  demand(row != nullptr && row->text == whole.rows[at - 1].text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Whole whole;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Verifier alone;
  std::size_t n = 0;
  for (const std::string_view line : lines_of(text)) {
    alone.add_line(line);
    check_round_trip(line);
    if (++n <= 4) {
      if (!parse_export_line(line)) {
        check_replacement(whole, line, 1 + n % 3);
        continue;
      }
      for (std::size_t at = 0; at < whole.lines.size(); ++at) check_replacement(whole, line, at);
    }
  }
  const Report report = std::move(alone).finish();
  demand(report.rows >= 0 && report.unsigned_rows >= 0);
  return 0;
}
