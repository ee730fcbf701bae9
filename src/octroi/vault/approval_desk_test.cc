#include "octroi/vault/approval_desk.h"

#include <gtest/gtest.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/memory_approvals.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/net/run_until.h"

namespace octroi::vault {
namespace {

using ledger::ApprovalState;

class ApprovalDeskTest : public ::testing::Test {
 protected:
  static ApprovalDesk::Question question(std::uint8_t request, std::string used_by,
                                         Millis wait = Millis(0)) {
    ApprovalDesk::Question q;
    q.about.request.fill(request);
    q.about.key_id = "k1";
    q.about.operation = "charges.create";
    q.used_by = std::move(used_by);
    q.rules.wait = wait;
    return q;
  }
  ApprovalDesk::Answer ask(ApprovalDesk::Question q) {
    auto out = net::run_until(loop_, desk_.ask(loop_, std::move(q)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : ApprovalDesk::Answer{};
  }
  void decide(std::string id, bool yes) {
    const UnixMillis now = system_clock().now();
    auto out = ledger::sync(
        approvals_.decide_approval(std::move(id), yes, "ann", now, now + Millis(60'000)));
    ASSERT_TRUE(out && out->applied);
    desk_.publish_version(ledger::sync(approvals_.approvals_version()).value());
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> out;
    auto page = ledger::sync(journal_.query({}));
    for (const auto& row : page->rows) out.push_back(row.event.kind);
    return out;
  }

  net::Loop loop_;
  ledger::MemoryApprovals approvals_;
  audit::MemoryJournal journal_{system_clock(), "test"};
  MetricRegistry metrics_;
  ApprovalDesk desk_{approvals_, journal_, metrics_, system_clock(), system_random()};
};

TEST_F(ApprovalDeskTest, WithoutWaitingATicketIsGivenAtOnce) {
  int told = 0;
  desk_.on_asked = [&](const ledger::Approval&) { ++told; };
  const auto first = ask(question(1, "call_1"));
  EXPECT_FALSE(first.passed);
  EXPECT_EQ(first.ticket.state, ApprovalState::pending);
  EXPECT_EQ(ask(question(1, "call_2")).ticket.id, first.ticket.id);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(kinds(), (std::vector<std::string>{"approval.asked", "writer.start"}));
  decide(first.ticket.id, true);
  EXPECT_TRUE(ask(question(1, "call_3")).passed);
  EXPECT_FALSE(ask(question(1, "call_4")).passed);
}

TEST_F(ApprovalDeskTest, WhoWaitsIsAnswered) {
  desk_.on_asked = [&](const ledger::Approval& ticket) {
    loop_.post([this, id = ticket.id] { decide(id, true); });
  };
  EXPECT_TRUE(ask(question(1, "call_1", Millis(60'000))).passed);
  desk_.on_asked = [&](const ledger::Approval& ticket) {
    loop_.post([this, id = ticket.id] { decide(id, false); });
  };
  const auto denied = ask(question(2, "call_2", Millis(60'000)));
  EXPECT_FALSE(denied.passed);
  EXPECT_EQ(denied.ticket.state, ApprovalState::denied);
  EXPECT_EQ(desk_.waiting(), 0);
}

TEST_F(ApprovalDeskTest, WhoLeavesDoesNotUseTheTicket) {
  bool left = false;
  desk_.on_asked = [&](const ledger::Approval& ticket) {
    loop_.post([&, id = ticket.id] {
      left = true;
      decide(id, true);
    });
  };
  auto q = question(1, "call_1", Millis(60'000));
  q.gone = [&] { return left; };
  const auto gone = ask(std::move(q));
  EXPECT_FALSE(gone.passed);
  desk_.on_asked = {};
  EXPECT_TRUE(ask(question(1, "call_2")).passed);  // it is there for the next
}

TEST_F(ApprovalDeskTest, WaitingEnds) {
  const auto late = ask(question(1, "call_1", Millis(50)));
  EXPECT_FALSE(late.passed);
  EXPECT_EQ(late.ticket.state, ApprovalState::pending);
}

TEST_F(ApprovalDeskTest, NoRowNoTicketAndNoStoreNoCall) {
  journal_.set_unavailable(true);
  EXPECT_FALSE(net::run_until(loop_, desk_.ask(loop_, question(1, "call_1"))));
  journal_.set_unavailable(false);
  approvals_.set_unavailable(true);
  EXPECT_FALSE(net::run_until(loop_, desk_.ask(loop_, question(2, "call_2"))));
}

}  // namespace
}  // namespace octroi::vault
