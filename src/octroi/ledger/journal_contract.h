// octroi/ledger/journal_contract.h: what every audit::Journal of a store must do, as tests. For
// tests only; instantiated as StoreContract is.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/audit/chain.h"
#include "octroi/audit/journal_testing.h"
#include "octroi/base/log.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class JournalContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  audit::Journal& journal() { return *fixture_->store().journal(); }
  audit::RowId append(audit::Event e) {
    auto out = sync(journal().append(std::move(e)));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(audit::RowId{});
  }
  audit::Page query(audit::Filter f) {
    auto out = sync(journal().query(std::move(f)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : audit::Page{};
  }
  audit::Page query_run(std::string run) {
    audit::Filter f;
    f.run = std::move(run);
    return query(std::move(f));
  }
  std::vector<audit::StoredRow> rows(std::string writer) {
    return sync(journal().rows(std::move(writer), 1, 1000)).value();
  }
  void checkpoint() {
    const auto heads = sync(journal().heads()).value();
    for (const audit::Head& h : heads) {
      if (h.writer != journal().writer()) continue;
      ASSERT_TRUE(sync(journal().keep_checkpoint(signer_.sign(h.writer, h.seq, h.hash, h.at))));
    }
  }
  std::string verdict() {
    audit::Verifier v({signer_.public_key()});
    const auto done = sync(audit::verify_store(journal(), v));
    EXPECT_TRUE(done) << done.error().message();
    return audit::verdict_of(std::move(v).finish());
  }

  std::unique_ptr<StoreFixture> fixture_;
  audit::Signer signer_ = audit::signer_of();
};

TEST_P(JournalContract, AnEmptyJournalIsWhole) {
  EXPECT_TRUE(query({}).rows.empty());
  EXPECT_TRUE(sync(journal().heads())->empty());
  EXPECT_TRUE(sync(journal().rows("nobody", 1, 10))->empty());
  EXPECT_EQ(verdict(), "valid");
}

TEST_P(JournalContract, ARowIsKeptByteForByte) {
  audit::Event e = audit::call_of(1);
  e.agent = "Ada \"quoted\" \\ 🌦\n\t";
  e.customer = std::string("zero\0inside", 11);
  e.path = "/v1/\xff\xfe";
  e.reserved = 3_usd;
  e.settled = MicroUsd{};
  e.policy_version = 4;
  e.body_sha256 = audit::Digest{1, 2, 3};
  e.upstream_status = 200;
  e.latency_ms = 0;
  e.details = {{"b", "2"}, {"a", "1"}};
  const audit::RowId id = append(e);
  EXPECT_EQ(id, (audit::RowId{journal().writer(), 2})) << "row 1 tells that the chain begins";
  const std::string writer = journal().writer();
  fixture_->restart();
  const audit::Page page = query_run("run-1");
  ASSERT_EQ(page.rows.size(), 1U);
  const audit::Row& row = page.rows[0];
  EXPECT_EQ(row.id, id);
  EXPECT_EQ(row.event, audit::prepared(e).value());
  EXPECT_EQ(row.event.customer, e.customer);
  EXPECT_EQ(row.event.path, "/v1/\xef\xbf\xbd\xef\xbf\xbd");
  const auto stored = rows(writer);
  ASSERT_EQ(stored.size(), 2U);
  EXPECT_EQ(stored[1].text, row.text);
  EXPECT_EQ(stored[1].prev_hash, stored[0].row_hash);
  EXPECT_TRUE(stored[1].searchable);
  EXPECT_EQ(stored[0].prev_hash, audit::origin_of(writer));
}

TEST_P(JournalContract, WhatCannotBeWrittenIsRefusedAndLeavesNoGap) {
  append(audit::call_of(1));
  audit::Event e = audit::call_of(2);
  e.kind = "Not A Kind";
  EXPECT_TRUE(sync(journal().append(e)).error().is(audit::Errc::bad_event));
  EXPECT_EQ(append(audit::call_of(3)).seq, 3);
  EXPECT_EQ(verdict(), "valid");
}

TEST_P(JournalContract, EachProcessHasAChainThatNamesTheOneBefore) {
  append(audit::call_of(1));
  const std::string first = journal().writer();
  fixture_->restart();
  const std::string second = journal().writer();
  EXPECT_NE(first, second);
  append(audit::call_of(2));
  const auto heads = sync(journal().heads()).value();
  ASSERT_EQ(heads.size(), 2U);
  EXPECT_EQ(heads[0].seq, 2);
  const auto start = audit::read_row(rows(second).at(0)).value();
  EXPECT_EQ(start.event.kind, audit::kWriterStart);
  const auto before = audit::reference_of(start.event);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->id, (audit::RowId{first, 2}));
  EXPECT_EQ(before->row_hash, rows(first).at(1).row_hash);
  EXPECT_EQ(verdict(), "valid");
}

/// Else one of them could vanish, and nothing would miss it. Their times may be the same.
TEST_P(JournalContract, OfManyChainsEachNamesTheOneThatBeganBeforeIt) {
  std::string before;
  for (int n = 1; n <= 8; ++n) {
    append(audit::call_of(n));
    const std::string writer = journal().writer();
    const auto start = audit::read_row(rows(writer).at(0)).value();
    const auto named = audit::reference_of(start.event);
    EXPECT_EQ(named ? named->id.writer : "", before) << n;
    before = writer;
    fixture_->restart();
  }
  EXPECT_EQ(verdict(), "valid");
}

TEST_P(JournalContract, AProcessThatWritesNothingHasNoChain) {
  append(audit::call_of(1));
  fixture_->restart();
  EXPECT_EQ(sync(journal().heads())->size(), 1U);
}

struct Narrowing {
  const char* name;
  void (*apply)(audit::Filter&);
  std::vector<int> found;  // numbers of calls, newest first
};

TEST_P(JournalContract, EachFieldOfAFilterNarrows) {
  // 1…6: odd ones of run-1, even ones of run-2.
  for (int n = 1; n <= 6; ++n) {
    audit::Event e = audit::call_of(n, n % 2 == 1 ? "run-1" : "run-2");
    if (n <= 2) e.agent = "ada";
    if (n == 3) e.key_id = "k3";
    if (n >= 5) e.vendor = "twilio";
    if (n == 6) e.operation = "messages.create";
    if (n == 4) e.policy = "support";
    if (n == 2) e.verdict = audit::Verdict::denied;
    if (n == 1) e.kind = audit::kCallOutcome;
    append(std::move(e));
  }
  using audit::Filter;
  const Narrowing cases[] = {
      {"Run", [](Filter& f) { f.run = "run-2"; }, {6, 4, 2}},
      {"Agent", [](Filter& f) { f.agent = "ada"; }, {2, 1}},
      {"Key", [](Filter& f) { f.key_id = "k3"; }, {3}},
      {"Vendor", [](Filter& f) { f.vendor = "twilio"; }, {6, 5}},
      {"Operation", [](Filter& f) { f.operation = "messages.create"; }, {6}},
      {"Policy", [](Filter& f) { f.policy = "support"; }, {4}},
      {"Kind", [](Filter& f) { f.kind = audit::kCallOutcome; }, {1}},
      {"Call", [](Filter& f) { f.id = "call-4"; }, {4}},
      {"Verdict", [](Filter& f) { f.verdict = audit::Verdict::denied; }, {2}},
      {"Two", [](Filter& f) { f.run = "run-1", f.vendor = "stripe"; }, {3, 1}},
      {"None", [](Filter& f) { f.run = "run-9"; }, {}},
      {"Quoted", [](Filter& f) { f.run = "' OR 1=1 --"; }, {}},
      {"Before", [](Filter& f) { f.to = UnixMillis{1}; }, {}},
      {"After", [](Filter& f) { f.from = UnixMillis{99'000'000'000'000}; }, {}},
  };
  for (const Narrowing& c : cases) {
    Filter f;
    c.apply(f);
    const audit::Page page = query(f);
    std::vector<int> found;
    for (const audit::Row& row : page.rows) found.push_back(std::stoi(row.event.id.substr(5)));
    EXPECT_EQ(found, c.found) << c.name;
  }
}

TEST_P(JournalContract, PagesGoFromNewToOldAndMissNothing) {
  for (int n = 1; n <= 11; ++n) append(audit::call_of(n));
  fixture_->restart();
  for (int n = 12; n <= 20; ++n) append(audit::call_of(n));
  audit::Filter f;
  f.limit = 3;
  std::set<audit::RowId> seen;
  std::optional<UnixMillis> last;
  for (int pages = 0; pages < 20; ++pages) {
    const audit::Page page = query(f);
    EXPECT_LE(page.rows.size(), 3U);
    for (const audit::Row& row : page.rows) {
      EXPECT_TRUE(seen.insert(row.id).second) << row.id.seq;
      if (last) EXPECT_LE(row.at, *last);
      last = row.at;
    }
    f.cursor = page.next;
    if (page.next.empty()) break;
  }
  EXPECT_EQ(seen.size(), 22U) << "20 calls and two beginnings";
}

TEST_P(JournalContract, ALimitOrCursorThatMakesNoSenseIsRefused) {
  for (const int limit : {-1, 0, 1001}) {
    audit::Filter f;
    f.limit = limit;
    EXPECT_TRUE(sync(journal().query(f)).error().is(audit::Errc::bad_filter)) << limit;
    EXPECT_TRUE(sync(journal().rows("w", 1, limit)).error().is(audit::Errc::bad_filter));
    EXPECT_TRUE(sync(journal().checkpoints("w", 0, limit)).error().is(audit::Errc::bad_filter));
  }
  for (const char* cursor : {"x", "1", "1.2", "1.2.", "-1.2.w", "1.2.W", "1.2.w'", "1..w"}) {
    audit::Filter f;
    f.cursor = cursor;
    EXPECT_TRUE(sync(journal().query(f)).error().is(audit::Errc::bad_filter)) << cursor;
  }
}

TEST_P(JournalContract, CheckpointsAreKeptOnceAndInOrder) {
  append(audit::call_of(1));
  checkpoint();
  checkpoint();
  append(audit::call_of(2));
  checkpoint();
  const std::string writer = journal().writer();
  fixture_->restart();
  const auto kept = sync(journal().checkpoints(writer, 0, 10)).value();
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].seq, 2);
  EXPECT_EQ(kept[1].seq, 3);
  EXPECT_TRUE(audit::is_signed(kept[0]));
  EXPECT_TRUE(audit::is_signed(kept[1]));
  EXPECT_EQ(sync(journal().checkpoints(writer, 2, 10))->size(), 1U);
  EXPECT_EQ(sync(journal().checkpoints(writer, 0, 1))->size(), 1U);
  EXPECT_EQ(verdict(), "valid");
}

TEST_P(JournalContract, ManyWhoAppendAtOnceMakeOneChain) {
  constexpr int kThreads = 16;
  constexpr int kEach = 40;
  std::vector<std::vector<audit::RowId>> got(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        got[static_cast<std::size_t>(t)].push_back(append(audit::call_of(t * kEach + i)));
        // Others fail beside it, in the same batch.
        if (i % 4 == 0) {
          EXPECT_FALSE(sync(fixture_->store().finish_consume(hash_of(900), answer_of())));
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  std::set<std::int64_t> numbers;
  for (const auto& ids : got) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_TRUE(numbers.insert(ids[i].seq).second) << ids[i].seq;
      if (i > 0) EXPECT_LT(ids[i - 1].seq, ids[i].seq) << "one's own rows are in order";
    }
  }
  EXPECT_EQ(numbers.size(), std::size_t{kThreads * kEach});
  EXPECT_EQ(*numbers.rbegin(), kThreads * kEach + 1);
  checkpoint();
  EXPECT_EQ(verdict(), "valid");
}

TEST_P(JournalContract, AnExportAndAProofAreVerifiedElsewhere) {
  for (int n = 1; n <= 7; ++n) append(audit::call_of(n, n == 4 ? "run-2" : "run-1"));
  checkpoint();
  auto whole = audit::verified(audit::lines_of(journal()), {signer_.public_key()});
  EXPECT_EQ(audit::verdict_of(whole), "valid");
  EXPECT_EQ(whole.rows, 8);
  EXPECT_EQ(whole.checkpoints, 1);
  EXPECT_EQ(whole.unsigned_rows, 0);
  auto proof = audit::verified(audit::proof_of(journal(), "run-2"), {signer_.public_key()});
  EXPECT_EQ(audit::verdict_of(proof), "valid");
  EXPECT_EQ(proof.rows, 1);
}

TEST_P(JournalContract, AChainOfMoreThanOnePageIsExportedWhole) {
  constexpr int kThreads = 16;  // so that they share commits
  constexpr int kEach = 63;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) append(audit::call_of(t * kEach + i));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(audit::lines_of(journal()).size(), std::size_t{kThreads * kEach + 1});
  EXPECT_EQ(audit::lines_of(journal(), audit::Form::csv).size(), std::size_t{kThreads * kEach + 2});
  EXPECT_EQ(verdict(), "valid");
}

}  // namespace octroi::ledger
