#include "octroi/audit/checkpointer.h"

#include <gtest/gtest.h>

#include "octroi/audit/journal_testing.h"
#include "octroi/audit/memory_journal.h"

namespace octroi::audit {
namespace {

struct Outside {
  std::vector<std::string> lines;
  bool full = false;
  Checkpointer::Outside sink() {
    return [this](std::string_view line) -> Result<> {
      if (full) return fail(Errc::unavailable, "disk full");
      lines.emplace_back(line);
      return {};
    };
  }
};

TEST(Checkpointer, SignsWhatIsNewAndNothingTwice) {
  ManualClock clock{UnixMillis{1'763'700'000'000}};
  MemoryJournal journal(clock, "w1");
  Outside outside;
  Checkpointer checkpointer(journal, signer_of(), clock, outside.sink());
  EXPECT_FALSE(now_of(checkpointer.run_once()).value());
  ASSERT_TRUE(now_of(journal.append(call_of(1))));
  EXPECT_TRUE(now_of(checkpointer.run_once()).value());
  EXPECT_FALSE(now_of(checkpointer.run_once()).value());
  ASSERT_TRUE(now_of(journal.append(call_of(2))));
  EXPECT_TRUE(now_of(checkpointer.run_once()).value());
  const auto kept = now_of(journal.checkpoints("w1", 0, 10)).value();
  ASSERT_EQ(kept.size(), 2U);
  ASSERT_EQ(outside.lines.size(), 2U);
  EXPECT_EQ(parse_checkpoint(outside.lines[1]).value(), kept[1]);
  EXPECT_EQ(kept[1].seq, 3);
  EXPECT_EQ(verdict_of(verified(lines_of(journal), {checkpointer.public_key()})), "valid");
}

TEST(Checkpointer, WhatCouldNotBeKeptIsSignedAgain) {
  ManualClock clock{UnixMillis{1'763'700'000'000}};
  MemoryJournal journal(clock, "w1");
  Outside outside;
  Checkpointer checkpointer(journal, signer_of(), clock, outside.sink());
  ASSERT_TRUE(now_of(journal.append(call_of(1))));
  outside.full = true;
  EXPECT_FALSE(now_of(checkpointer.run_once()));
  EXPECT_TRUE(now_of(journal.checkpoints("w1", 0, 10))->empty());
  outside.full = false;
  EXPECT_TRUE(now_of(checkpointer.run_once()).value());
  EXPECT_EQ(now_of(journal.checkpoints("w1", 0, 10))->size(), 1U);
}

TEST(Checkpointer, AJournalThatCannotBeReadIsAnError) {
  ManualClock clock{UnixMillis{1'763'700'000'000}};
  MemoryJournal journal(clock, "w1");
  Checkpointer checkpointer(journal, signer_of(), clock, {});
  journal.set_unavailable(true);
  EXPECT_TRUE(now_of(checkpointer.run_once()).error().is(Errc::unavailable));
}

}  // namespace
}  // namespace octroi::audit
