#include "octroi/audit/verify.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "octroi/audit/journal_testing.h"
#include "octroi/audit/memory_journal.h"
#include "octroi/audit/proof.h"

namespace octroi::audit {
namespace {

using Lines = std::vector<std::string>;

class VerifyTest : public testing::Test {
 protected:
  void append(int count, const std::string& run = "run-1") {
    for (int i = 0; i < count; ++i) {
      clock_.advance(Millis(7));
      ASSERT_TRUE(now_of(journal_.append(call_of(++calls_, run))));
    }
  }
  void checkpoint() {
    const auto heads = now_of(journal_.heads()).value();
    for (const Head& h : heads) {
      if (h.writer == journal_.writer()) {
        ASSERT_TRUE(
            now_of(journal_.keep_checkpoint(signer_.sign(h.writer, h.seq, h.hash, clock_.now()))));
      }
    }
  }
  /// The rows alone: the start row and `count` calls.
  Lines rows_only(int count) {
    append(count);
    return lines_of(journal_);
  }

  ManualClock clock_{UnixMillis{1'763'700'000'123}};
  MemoryJournal journal_{clock_, "w1"};
  Signer signer_ = signer_of();
  int calls_ = 0;
};

// --- what is whole

TEST_F(VerifyTest, AWholeExportIsValid) {
  append(5);
  checkpoint();
  append(3);
  checkpoint();
  append(1);
  const Report r = verified(lines_of(journal_), {signer_.public_key()});
  EXPECT_EQ(verdict_of(r), "valid");
  EXPECT_EQ(r.rows, 10) << "nine calls and the start of the chain";
  EXPECT_EQ(r.writers, 1);
  EXPECT_EQ(r.checkpoints, 2);
  EXPECT_EQ(r.late_checkpoints, 0);
  EXPECT_EQ(r.unsigned_rows, 1);
  EXPECT_TRUE(r.trusted_key);
}

TEST_F(VerifyTest, AnEmptyAuditIsValid) {
  const Report r = verified(lines_of(journal_));
  EXPECT_EQ(verdict_of(r), "valid");
  EXPECT_EQ(r.rows, 0);
  EXPECT_FALSE(r.trusted_key);
}

TEST_F(VerifyTest, RowsWithoutACheckpointAreUnprovenWhereOneIsDemanded) {
  append(3);
  const auto verify = [&](const Lines& lines) {
    Verifier v({signer_.public_key()});
    v.demand_checkpoint();
    for (const std::string& line : lines) v.add_line(line);
    return verdict_of(std::move(v).finish());
  };
  EXPECT_EQ(verify({}), "valid");
  EXPECT_EQ(verify(lines_of(journal_)), "unproven w1/1");
  checkpoint();
  append(1);
  EXPECT_EQ(verify(lines_of(journal_)), "valid");
}

TEST_F(VerifyTest, ChainsOfSeveralProcessesAreFollowedApart) {
  append(3);
  checkpoint();
  journal_.restart("w2");
  append(2);
  checkpoint();
  journal_.restart("w3");
  append(1);
  const Report r = verified(lines_of(journal_), {signer_.public_key()});
  EXPECT_EQ(verdict_of(r), "valid");
  EXPECT_EQ(r.writers, 3);
  EXPECT_EQ(r.rows, 9);
}

TEST_F(VerifyTest, LinesMayBeInterleavedAndEndWithCrLf) {
  append(3);
  journal_.restart("w2");
  append(3);
  Lines lines = lines_of(journal_);
  std::ranges::sort(lines, {}, [](const std::string& l) {
    const RowId id = parse_line(l)->id;  // w1/1 w2/1 w1/2 …
    return std::pair(id.seq, id.writer);
  });
  for (std::string& l : lines) l += "\r";
  lines.insert(lines.begin() + 2, "");
  EXPECT_EQ(verdict_of(verified(lines)), "valid");
}

// --- issue 6, done-when 5: the first bad row is named

TEST_F(VerifyTest, AFlippedBitInEveryByteOfEveryRowIsFoundAtItsRow) {
  const Lines whole = rows_only(4);
  for (std::size_t row = 0; row < whole.size(); ++row) {
    for (std::size_t byte = 0; byte < whole[row].size(); ++byte) {
      Lines lines = whole;
      lines[row][byte] =
          static_cast<char>(static_cast<unsigned char>(lines[row][byte]) ^ (1U << byte % 8));
      const Report r = verified(lines);
      ASSERT_FALSE(r.valid()) << row << " " << byte << "\n" << lines[row];
      // A flip may make a row tell another writer or number; its place is then what is wrong.
      if (r.first_bad->fault == Fault::changed && r.first_bad->row.writer == "w1") {
        EXPECT_EQ(r.first_bad->row.seq, static_cast<std::int64_t>(row) + 1) << lines[row];
      }
      EXPECT_LE(r.first_bad->line, static_cast<std::int64_t>(row) + 2);
    }
  }
}

TEST_F(VerifyTest, EveryRemovedRowIsNamed) {
  append(5);
  checkpoint();
  const Lines whole = lines_of(journal_);
  for (std::size_t gone = 1; gone < whole.size(); ++gone) {  // line 1 is the checkpoint
    Lines lines = whole;
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(gone));
    const bool last = gone + 1 == whole.size();
    EXPECT_EQ(verdict_of(verified(lines)),
              (last ? "cut_off w1/" : "removed w1/") + std::to_string(gone));
  }
}

TEST_F(VerifyTest, EveryTwoSwappedRowsAreNamed) {
  const Lines whole = rows_only(5);
  for (std::size_t a = 0; a < whole.size(); ++a) {
    for (std::size_t b = a + 1; b < whole.size(); ++b) {
      Lines lines = whole;
      std::swap(lines[a], lines[b]);
      EXPECT_EQ(verdict_of(verified(lines)), "moved w1/" + std::to_string(a + 1)) << a << " " << b;
    }
  }
}

TEST_F(VerifyTest, EveryTailThatWasCutOffIsNamed) {
  append(4);
  checkpoint();
  append(3);
  checkpoint();
  const Lines whole = lines_of(journal_);  // two checkpoints, eight rows
  for (std::size_t keep = 2; keep < whole.size(); ++keep) {
    const Lines lines(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(keep));
    EXPECT_EQ(verdict_of(verified(lines)), "cut_off w1/" + std::to_string(keep - 1));
  }
}

TEST_F(VerifyTest, ACheckpointFromOutsideTellsOfATailAndItsCheckpointsThatAreGone) {
  append(4);
  checkpoint();
  const auto kept = now_of(journal_.checkpoints("w1", 0, 10)).value();
  Lines lines = lines_of(journal_);
  lines.erase(lines.begin());
  lines.pop_back();
  EXPECT_EQ(verdict_of(verified(lines)), "valid") << "nothing in the file tells";
  Verifier v({signer_.public_key()});
  v.add_checkpoint(kept[0]);
  for (const std::string& l : lines) v.add_line(l);
  EXPECT_EQ(verdict_of(std::move(v).finish()), "cut_off w1/5");
}

// --- who can write the file can also hash

/// The same rows with one event changed, and all hashes from there on made anew up to `until`.
Lines forge(const Lines& whole, std::size_t at, std::size_t until) {
  Lines out = whole;
  Digest prev{};
  for (std::size_t i = at; i < until; ++i) {
    const StoredRow old = parse_line(whole[i]).value();
    Row row = read_row(old).value();
    if (i == at) row.event.customer = "cus_mallory";
    if (i == at) prev = old.prev_hash;
    const StoredRow made = make_row(row.id, row.at, row.event, prev);
    prev = made.row_hash;
    out[i] = export_line(made);
  }
  return out;
}

TEST_F(VerifyTest, ARowMadeAnewWithItsHashIsNamedItself) {
  const Lines whole = rows_only(6);
  for (std::size_t at = 0; at + 2 < whole.size(); ++at) {
    EXPECT_EQ(verdict_of(verified(forge(whole, at, at + 1))),
              "changed w1/" + std::to_string(at + 1));
  }
}

TEST_F(VerifyTest, RowsMadeAnewToTheEndAreToldByTheCheckpoint) {
  append(6);
  checkpoint();
  Lines whole = lines_of(journal_);
  const std::string signed_line = whole.front();
  whole.erase(whole.begin());
  Lines forged = forge(whole, 2, whole.size());
  EXPECT_EQ(verdict_of(verified(forged)), "valid") << "without the checkpoint nobody could tell";
  forged.insert(forged.begin(), signed_line);
  EXPECT_EQ(verdict_of(verified(forged)), "rewritten w1/7");
}

TEST_F(VerifyTest, ARowOfAnotherChainIsForeign) {
  Lines whole = rows_only(5);
  // A row that is right in itself, of this number, built on something else.
  const Row row = read_row(parse_line(whole[3]).value()).value();
  whole[3] = export_line(make_row(row.id, row.at, row.event, origin_of("elsewhere")));
  EXPECT_EQ(verdict_of(verified(whole)), "foreign w1/4");
}

TEST_F(VerifyTest, AFirstRowThatIsNoFirstRowIsForeign) {
  Lines whole = rows_only(2);
  const Row row = read_row(parse_line(whole[0]).value()).value();
  whole[0] = export_line(make_row(row.id, row.at, row.event, origin_of("w2")));
  EXPECT_EQ(verdict_of(verified(whole)), "foreign w1/1");
}

TEST_F(VerifyTest, ARowThatIsThereTwiceIsNamed) {
  Lines whole = rows_only(4);
  whole.insert(whole.begin() + 3, whole[1]);
  EXPECT_EQ(verdict_of(verified(whole)), "repeated w1/2");
}

TEST_F(VerifyTest, AChainThatVanishedAsAWholeIsToldByTheNextOne) {
  append(2);
  journal_.restart("w2");
  append(2);
  Lines lines = lines_of(journal_);
  std::erase_if(lines, [](const std::string& l) { return parse_line(l)->id.writer == "w1"; });
  EXPECT_EQ(verdict_of(verified(lines)), "cut_off w1/1");
}

TEST_F(VerifyTest, WhatAStoreSearchesByMustBeWhatTheRowSays) {
  append(2);
  Verifier v;
  const auto rows = now_of(journal_.rows("w1", 1, 10)).value();
  for (StoredRow row : rows) {
    if (row.id.seq == 2) row.searchable = false;
    v.add_row(row);
  }
  EXPECT_EQ(verdict_of(std::move(v).finish()), "changed w1/2");
}

TEST_F(VerifyTest, TextsThatWereSwappedInAStoreAreMoved) {
  append(4);
  auto rows = *now_of(journal_.rows("w1", 1, 10));
  std::swap(rows[2].text, rows[3].text);
  std::swap(rows[2].row_hash, rows[3].row_hash);
  std::swap(rows[2].prev_hash, rows[3].prev_hash);
  Verifier v;
  for (const StoredRow& row : rows) v.add_row(row);
  EXPECT_EQ(verdict_of(std::move(v).finish()), "moved w1/3");
}

TEST_F(VerifyTest, AMemberThatNobodyReadsIsAChange) {
  Lines whole = rows_only(3);
  StoredRow row = parse_line(whole[1]).value();
  row.text.insert(row.text.size() - 1, R"(,"zz":1)");
  row.row_hash = hash_of_row(row.prev_hash, hash_of_text(row.text));
  whole[1] = export_line(row);
  EXPECT_EQ(verdict_of(verified(whole)), "changed w1/2");
}

// --- checkpoints

TEST_F(VerifyTest, AForgedCheckpointIsNamed) {
  append(3);
  checkpoint();
  const Lines whole = lines_of(journal_);
  Checkpoint c = parse_checkpoint(whole[0]).value();
  c.signature[10] ^= 1U;
  Lines lines = whole;
  lines[0] = checkpoint_line(c);
  EXPECT_EQ(verdict_of(verified(lines)), "forged w1/4");
}

TEST_F(VerifyTest, ACheckpointOfAnotherKeyIsNamed) {
  append(3);
  checkpoint();
  EXPECT_EQ(verdict_of(verified(lines_of(journal_), {signer_of(9).public_key()})), "forged w1/4");
}

TEST_F(VerifyTest, WithoutAKeyAllCheckpointsMustBeOfOne) {
  append(3);
  checkpoint();
  append(1);
  Lines lines = lines_of(journal_);
  const StoredRow last = parse_line(lines.back()).value();
  lines.insert(lines.begin() + 1,
               checkpoint_line(signer_of(9).sign("w1", last.id.seq, last.row_hash, clock_.now())));
  EXPECT_EQ(verdict_of(verified(lines)), "forged w1/5");
}

TEST_F(VerifyTest, SeveralKeysMayBeTrusted) {
  append(3);
  checkpoint();
  signer_ = signer_of(9);
  append(1);
  checkpoint();
  const Lines lines = lines_of(journal_);
  EXPECT_EQ(verdict_of(verified(lines, {signer_of(7).public_key(), signer_of(9).public_key()})),
            "valid");
}

TEST_F(VerifyTest, ALateCheckpointIsComparedWithTheLastRowAndCountedOtherwise) {
  append(3);
  checkpoint();
  Lines lines = lines_of(journal_);
  std::ranges::rotate(lines, lines.begin() + 1);
  EXPECT_EQ(verified(lines).checkpoints, 1);
  append(1);
  lines.push_back(lines_of(journal_).back());
  std::swap(lines[4], lines[5]);
  const Report r = verified(lines);
  EXPECT_EQ(verdict_of(r), "valid");
  EXPECT_EQ(r.checkpoints, 0);
  EXPECT_EQ(r.late_checkpoints, 1);
  EXPECT_EQ(r.unsigned_rows, 5);
}

// --- proofs

class ProofTest : public VerifyTest {
 protected:
  void SetUp() override {
    append(3, "run-1");
    append(2, "run-2");
    checkpoint();  // after w1/6
    append(2, "run-1");
    checkpoint();  // 8
    append(1, "run-2");
    append(1, "run-3");
    append(1, "run-2");
    append(1, "run-1");
    checkpoint();  // 12
    journal_.restart("w2");
    append(1, "run-2");
    checkpoint();  // w2/2
  }
};

TEST_F(ProofTest, ARunIsProvenWithoutTheRowsOfOthers) {
  const Lines proof = proof_of(journal_, "run-2");
  const Report r = verified(proof, {signer_.public_key()});
  EXPECT_EQ(verdict_of(r), "valid") << r.first_bad->message;
  EXPECT_EQ(r.run, "run-2");
  EXPECT_EQ(r.rows, 5);
  EXPECT_EQ(r.checkpoints, 3);
  for (const std::string& line : proof) {
    EXPECT_EQ(line.find("run-1"), std::string::npos) << line;
    EXPECT_EQ(line.find("run-3"), std::string::npos) << line;
  }
}

TEST_F(ProofTest, EveryLineOfAProofIsNeededAndCannotBeChanged) {
  const Lines whole = proof_of(journal_, "run-2");
  for (std::size_t i = 1; i < whole.size(); ++i) {
    Lines lines = whole;
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i));
    const Report r = verified(lines, {signer_.public_key()});
    // Without a whole stretch it proves less, and says so: 5 rows were proven.
    EXPECT_TRUE(!r.valid() || r.rows < 5) << whole[i];
    for (std::size_t byte = 0; byte < whole[i].size(); byte += 3) {
      lines = whole;
      lines[i][byte] = static_cast<char>(static_cast<unsigned char>(lines[i][byte]) ^ 1U);
      EXPECT_FALSE(verified(lines, {signer_.public_key()}).valid()) << lines[i];
    }
  }
}

TEST_F(ProofTest, ARowOfAnotherRunDoesNotBelongInIt) {
  Lines lines = proof_of(journal_, "run-2");
  lines[0] = proof_header_line("run-1");
  EXPECT_EQ(verdict_of(verified(lines)), "foreign w1/5");
}

TEST_F(ProofTest, RowsAfterTheLastCheckpointAreUnproven) {
  append(1, "run-2");
  EXPECT_EQ(verdict_of(verified(proof_of(journal_, "run-2"))), "unproven w2/3");
}

TEST_F(ProofTest, ARunThatNobodyKnowsHasNoProof) {
  LineSink sink = [](std::string_view) -> Result<> { return {}; };
  EXPECT_TRUE(now_of(export_proof(journal_, "run-9", sink)).error().is(Errc::no_such_run));
  EXPECT_FALSE(verified({proof_header_line("run-9")}).valid());
}

TEST_F(ProofTest, AHeaderDoesNotTurnAnExportIntoAProof) {
  Lines lines = lines_of(journal_);
  lines.insert(lines.begin() + 4, proof_header_line("run-1"));
  EXPECT_FALSE(verified(lines).valid());
}

// --- anything at all

TEST_F(VerifyTest, LinesThatAreNoRowsAreNamedByTheirPlace) {
  Lines whole = rows_only(3);
  for (const char* line : {"{}", "nonsense", "[1]", R"({"kind":"x"})", "\xff\xfe", "{\"a\":"}) {
    Lines lines = whole;
    lines[2] = line;
    EXPECT_EQ(verdict_of(verified(lines)), "changed w1/3") << line;
  }
  EXPECT_FALSE(verified({"nonsense"}).valid());
}

// --- what another program wrote

/// tests/testdata/audit/corpus/verify: made in Python from docs/audit.md, with nothing of octroi.
TEST(Verify, FilesThatAnotherProgramWrote) {
  const std::pair<const char*, const char*> files[] = {
      {"whole", "valid"}, {"proof", "valid"}, {"cut", "cut_off w/3"}, {"swapped", "moved w/1"}};
  const char* root = std::getenv("OCTROI_TESTDATA");
  for (const auto& [name, found] : files) {
    std::ifstream in(std::string(root != nullptr ? root : "tests/testdata") +
                     "/audit/corpus/verify/" + name + ".jsonl");
    ASSERT_TRUE(in) << name;
    Verifier v;
    for (std::string line; std::getline(in, line);) v.add_line(line);
    EXPECT_EQ(verdict_of(std::move(v).finish()), found) << name;
  }
}

}  // namespace
}  // namespace octroi::audit
