#include "octroi/audit/proof.h"

#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::audit {
namespace {

constexpr std::string_view kLink = "link";
constexpr std::string_view kProof = "proof";

Result<Link> read_link(const json::Value& root) {
  Link link;
  OCTROI_TRY(const std::string_view writer, root.string("writer"));
  OCTROI_TRY(link.id.seq, root.int64("seq"));
  OCTROI_TRY(const std::string_view hash, root.string("text_sha256"));
  OCTROI_TRY(link.text_hash, from_hex_exact<32>(hash, HexCase::lower));
  link.id.writer = writer;
  if (!is_writer(writer) || link.id.seq < 1 || link.id.seq > kLargestNumber || root.size() != 4) {
    return fail(Errc::bad_row, "not a link of a proof");
  }
  return link;
}

}  // namespace

Result<ExportLine> parse_export_line(std::string_view line) {
  OCTROI_TRY(const json::Document doc, json::parse(line, {4, kLongestRow + 256, false}));
  OCTROI_TRY(const std::string_view kind, doc.root().string("kind"));
  if (kind == kCheckpointKind) {
    OCTROI_TRY(auto checkpoint, parse_checkpoint(line));
    return checkpoint;
  }
  // Neither has hashes of a row, so that no row can pass for one of them.
  const bool is_row = doc.root().find("row_hash").has_value();
  if (!is_row && kind == kLink) {
    OCTROI_TRY(auto link, read_link(doc.root()));
    return link;
  }
  if (!is_row && kind == kProof) {
    OCTROI_TRY(const std::string_view run, doc.root().string("run"));
    return ProofHeader{std::string(run)};
  }
  OCTROI_TRY(auto row, parse_line(line));
  if (!is_writer(row.id.writer) || row.id.seq < 1 || row.id.seq > kLargestNumber) {
    return fail(Errc::bad_row, "not an audit row: no writer or number");
  }
  return row;
}

std::string link_line(const StoredRow& hidden) {
  json::Writer out;
  out.begin_object();
  out.field("kind", kLink);
  out.field("seq", hidden.id.seq);
  out.field("text_sha256", to_hex(hash_of_text(hidden.text)));
  out.field("writer", hidden.id.writer);
  out.end_object();
  return std::move(out).take();
}

std::string proof_header_line(std::string_view run) {
  json::Writer out;
  out.begin_object().field("kind", kProof).field("run", run).end_object();
  return std::move(out).take();
}

}  // namespace octroi::audit
