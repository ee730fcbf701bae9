// octroi/audit/verify.h: whether an audit is whole: every row as it was written, none missing, none
// moved, none added, up to the last signed checkpoint.
//
// Streaming: feed the lines of an export (or rows of a store) in their order; what is remembered is
// a few dozen bytes a chain and the checkpoints ahead. Checkpoints come before the rows that they
// sign: exports are written so, and trusted ones from outside are given first. One that comes after
// its row was passed cannot be compared with it and is counted as such.
//
// What can be found  Fault, each with the first row that it touches. A row whose text and hash were
//   both made anew is found by the row after it, and told apart by the one after that.
// What cannot        an export and all its checkpoints cut at the same place, when no checkpoint
//   from outside is given; rows after the last checkpoint made anew by who can write the database.
//   `unsigned_rows` says how many rows no checkpoint stands behind; that none at all stands there
//   is a fault where demand_checkpoint() asks for it.
//
// A proof (proof.h) has only the rows of one run, and between them the hashes of the others.
//
// Thread   pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/audit/checkpoint.h"
#include "octroi/audit/journal.h"
#include "octroi/audit/row.h"

namespace octroi::audit {

enum class Fault : std::uint8_t {
  changed,    // the row is not what was written
  removed,    // the row is not there, and later ones are
  moved,      // the row stands at another place
  repeated,   // the row is there twice
  foreign,    // the row does not belong to this chain, or to this run
  cut_off,    // a checkpoint tells of rows that are not there
  rewritten,  // a checkpoint tells another hash for this row
  forged,     // the signature of the checkpoint over this row is not one of a trusted key
  unproven,   // no checkpoint stands behind this row of a proof, or behind any of an export
};
[[nodiscard]] std::string_view to_string(Fault f);

struct Finding {
  RowId row;
  Fault fault = Fault::changed;
  std::int64_t line = 0;  // of the input; 0: its end
  std::string message;
};

struct Report {
  std::int64_t rows = 0;
  std::int64_t writers = 0;
  std::int64_t checkpoints = 0;       // that were compared with their row
  std::int64_t late_checkpoints = 0;  // that came after their row
  std::int64_t unsigned_rows = 0;     // after the last checkpoint of their chain
  bool trusted_key = false;           // the signatures are of a key that the caller gave
  std::string run;                    // of a proof: what it is about
  std::optional<Finding> first_bad;
  [[nodiscard]] bool valid() const { return !first_bad; }
};

class Verifier {
 public:
  /// `keys`: whose signatures count. None: whatever key the first checkpoint names, which protects
  /// against accidents, not against who can write the file.
  explicit Verifier(std::vector<PublicKey> keys = {});

  /// Rows without a single checkpoint are unproven then: whoever made them all anew took those out.
  void demand_checkpoint() { demands_checkpoint_ = true; }
  /// A row, a checkpoint or a line of a proof. Empty lines are passed over.
  void add_line(std::string_view line);
  void add_row(const StoredRow& row);
  void add_checkpoint(const Checkpoint& checkpoint);
  [[nodiscard]] Report finish() &&;

 private:
  struct Expected {
    Digest hash{};
    bool is_signed = false;
  };
  /// Two rows that are each right and do not fit together: the next one tells which is wrong.
  struct Seam {
    std::int64_t seq = 0;  // of the later one
    std::int64_t line = 0;
  };
  struct Chain {
    std::int64_t next = 1;
    Digest last{};
    bool begun = false;
    std::int64_t unsigned_rows = 0;
    std::map<std::int64_t, Expected> expected;
    std::optional<std::int64_t> gap;  // the first number that was passed over
    std::optional<Seam> seam;
    bool lost = false;  // the last row is not what was written: the next cannot be compared
  };

  Chain& chain_of(const std::string& writer);
  void add_link(std::string_view writer, std::int64_t seq, const Digest& text_hash);
  void add_header(std::string_view run);
  void add_unreadable(std::string_view why);
  void expect(const RowId& id, const Digest& hash, bool is_signed);
  void place(Chain& chain, const StoredRow& row);
  void join(Chain& chain, const StoredRow& row);
  void settle_seam(Chain& chain, const StoredRow& next);
  void advance(Chain& chain, const RowId& id, const Digest& hash);
  void found(RowId row, Fault fault, std::string message, std::int64_t line);
  void found(RowId row, Fault fault, std::string message) {
    found(std::move(row), fault, std::move(message), line_);
  }
  void close(const std::string& writer, Chain& chain);
  void check_proven();

  std::vector<PublicKey> keys_;
  std::map<std::string, Chain> chains_;
  std::string last_writer_;
  std::int64_t line_ = 0;
  bool proof_ = false;
  bool demands_checkpoint_ = false;
  Report report_;
};

}  // namespace octroi::audit
