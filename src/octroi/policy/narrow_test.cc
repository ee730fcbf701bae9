#include "octroi/policy/narrow.h"

#include <gtest/gtest.h>

#include "octroi/policy/policy_testing.h"

namespace octroi::policy {
namespace {

Decision both(std::string_view inner, std::string_view outer, const Call& call) {
  Policy above = stripe_policy(outer);
  above.name = "above";
  return narrow(judged(stripe_policy(inner), call), judged(above, call));
}

TEST(Narrow, TheStricterJudgementCounts) {
  struct Row {
    std::string_view name, inner, outer;
    Verdict verdict;
    Reason reason;
  };
  for (const Row& row : {
           Row{"both allow", "", "", Verdict::allow, Reason::none},
           Row{"inner denies", R"("max_amount":"1 usd")", "", Verdict::deny,
               Reason::amount_over_max},
           Row{"outer denies", "", R"("max_amount":"1 usd")", Verdict::deny,
               Reason::amount_over_max},
           Row{"outer asks", "", R"("approve_over":"1 usd")", Verdict::approve,
               Reason::needs_approval},
           Row{"a denial is stricter than a question", R"("approve_over":"1 usd")",
               R"("max_amount":"1 usd")", Verdict::deny, Reason::amount_over_max},
           Row{"a shadow below refuses nothing", R"("mode":"shadow","max_amount":"1 usd")", "",
               Verdict::allow, Reason::none},
           Row{"but what is above does", R"("mode":"shadow")", R"("max_amount":"1 usd")",
               Verdict::deny, Reason::amount_over_max},
       }) {
    const Decision d = both(row.inner, row.outer, charge_call(500));
    EXPECT_EQ(to_string(d.verdict), to_string(row.verdict)) << row.name;
    EXPECT_EQ(to_string(d.reason), to_string(row.reason)) << row.name;
  }
}

TEST(Narrow, CapsOfBothAreHeld) {
  const Decision d = both(R"("daily_cap":"10 usd")", R"("daily_cap":"7 usd")", charge_call(500));
  ASSERT_EQ(d.counted.size(), 2U);
  EXPECT_EQ(d.counted[0].hold.scope, "policy/bot/day/all/micro_usd");
  EXPECT_EQ(d.counted[1].hold.scope, "policy/above/day/all/micro_usd");
  EXPECT_EQ(d.counted[1].hold.limit, 7'000'000);
  for (const Counted& c : d.counted) EXPECT_EQ(c.hold.amount, 5'000'000);
}

TEST(Narrow, OneCapCountsOnce) {
  const Policy bot = stripe_policy(R"("daily_cap":"10 usd","caps":[{"per":"hour","calls":5}])");
  const Decision once = judged(bot, charge_call(500));
  const Decision d = narrow(once, judged(bot, charge_call(500)));
  EXPECT_EQ(d.counted.size(), once.counted.size());
  // A budget that both name has the lower limit.
  const Decision shared =
      both(R"("caps":[{"per":"day","usd":"9 usd","budget":"b"}])",
           R"("caps":[{"per":"day","usd":"4 usd","budget":"b"}])", charge_call(500));
  ASSERT_EQ(shared.counted.size(), 1U);
  EXPECT_EQ(shared.counted[0].limit, 4'000'000);
}

}  // namespace
}  // namespace octroi::policy
