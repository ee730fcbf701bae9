// octroi/ledger/vault_key_contract.h: what every ledger::VaultKeys must do, as tests. For tests
// only; instantiated as StoreContract is.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/ledger/vault_keys.h"

namespace octroi::ledger {

class VaultKeyContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  VaultKeys& keys() { return *fixture_->store().vault_keys(); }
  VaultKeyList list() {
    auto out = sync(keys().list_vault_keys());
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : VaultKeyList{};
  }
  static VaultKey key(std::string id) {
    VaultKey k;
    k.id = id;
    k.pair_id = "AC" + id;
    k.secret_hash.fill(static_cast<std::uint8_t>(id.back()));
    k.pair_hash.fill(static_cast<std::uint8_t>(id.front()));
    k.live = false;
    k.vendor = "stripe";
    k.policy = "bot";
    k.name = "näme";
    k.server = "mcp";
    k.agent = "helper";
    k.run = "run-" + id;
    k.expires = kStart + Millis(5);
    k.created = k.changed = kStart;
    return k;
  }
  bool add(VaultKey k) {
    auto out = sync(keys().add_vault_key(std::move(k)));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(false);
  }
  std::vector<std::string> change(VaultKeyFilter which, VaultKeyState state) {
    auto out = sync(keys().change_vault_keys(std::move(which), state, kStart + Millis(9)));
    EXPECT_TRUE(out) << out.error().message();
    auto ids = out.value_or(std::vector<std::string>{});
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  static VaultKeyFilter only(std::string id) {
    VaultKeyFilter f;
    f.id = std::move(id);
    return f;
  }

  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(VaultKeyContract, AKeyComesBackAsItWasAdded) {
  const VaultKey wanted = key("one");
  ASSERT_TRUE(add(wanted));
  VaultKey bare;
  bare.id = "two";
  bare.pair_id = "ACtwo";
  ASSERT_TRUE(add(bare));
  const VaultKeyList got = list();
  ASSERT_EQ(got.keys.size(), 2U);
  const VaultKey& k = got.keys[0];
  EXPECT_EQ(k.id, wanted.id);
  EXPECT_EQ(k.secret_hash, wanted.secret_hash);
  EXPECT_EQ(k.pair_hash, wanted.pair_hash);
  EXPECT_EQ(k.pair_id, wanted.pair_id);
  EXPECT_EQ(k.live, wanted.live);
  EXPECT_EQ(k.name, wanted.name);
  EXPECT_EQ(k.server, wanted.server);
  EXPECT_EQ(k.agent, wanted.agent);
  EXPECT_EQ(k.run, wanted.run);
  EXPECT_EQ(k.expires, wanted.expires);
  EXPECT_EQ(k.state, VaultKeyState::active);
  EXPECT_EQ(got.keys[1].expires, std::nullopt);
  EXPECT_TRUE(got.keys[1].live);
}

TEST_P(VaultKeyContract, AnIdIsTakenOnce) {
  ASSERT_TRUE(add(key("one")));
  EXPECT_FALSE(add(key("one")));
  VaultKey other = key("two");
  other.pair_id = "ACone";
  EXPECT_FALSE(add(other));
  EXPECT_EQ(list().keys.size(), 1U);
}

TEST_P(VaultKeyContract, EveryChangeRaisesTheVersion) {
  const auto version = [this] { return sync(keys().vault_keys_version()).value_or(-1); };
  const std::int64_t first = version();
  ASSERT_TRUE(add(key("one")));
  const std::int64_t added = version();
  EXPECT_GT(added, first);
  EXPECT_EQ(list().version, added);
  EXPECT_EQ(change(only("one"), VaultKeyState::paused), std::vector<std::string>{"one"});
  const std::int64_t paused = version();
  EXPECT_GT(paused, added);
  ASSERT_TRUE(sync(keys().put_credential("stripe", "c2VhbGVk", kStart)));
  EXPECT_GT(version(), paused);
}

TEST_P(VaultKeyContract, RevokedIsFinal) {
  ASSERT_TRUE(add(key("one")));
  EXPECT_EQ(change(only("one"), VaultKeyState::paused), std::vector<std::string>{"one"});
  EXPECT_EQ(change(only("one"), VaultKeyState::active), std::vector<std::string>{"one"});
  EXPECT_EQ(change(only("one"), VaultKeyState::revoked), std::vector<std::string>{"one"});
  EXPECT_TRUE(change(only("one"), VaultKeyState::active).empty());
  EXPECT_TRUE(change(only("none"), VaultKeyState::revoked).empty());
  const VaultKey k = list().keys.front();
  EXPECT_EQ(k.state, VaultKeyState::revoked);
  EXPECT_EQ(k.changed, kStart + Millis(9));
}

TEST_P(VaultKeyContract, ManyAreChangedByWhatTheyAreFor) {
  for (const char* id : {"a", "b", "c", "d"}) {
    VaultKey k = key(id);
    if (std::string_view(id) == "b") k.agent = "other";
    if (std::string_view(id) == "c") k.policy = "other";
    if (std::string_view(id) == "d") k.vendor = "other";
    ASSERT_TRUE(add(k));
  }
  using Ids = std::vector<std::string>;
  VaultKeyFilter f;
  f.run = "run-a";
  EXPECT_EQ(change(f, VaultKeyState::paused), Ids{"a"});
  f = {};
  f.agent = "other";
  EXPECT_EQ(change(f, VaultKeyState::paused), Ids{"b"});
  f = {};
  f.policy = "other";
  EXPECT_EQ(change(f, VaultKeyState::paused), Ids{"c"});
  f = {};
  f.vendor = "other";
  EXPECT_EQ(change(f, VaultKeyState::paused), Ids{"d"});
  f.agent = "nobody";
  EXPECT_TRUE(change(f, VaultKeyState::revoked).empty());
  EXPECT_EQ(change({}, VaultKeyState::revoked), (Ids{"a", "b", "c", "d"}));
}

TEST_P(VaultKeyContract, WhatGovernsAKeyComesBack) {
  VaultKey k = key("one");
  k.parent = "above";
  k.canary = true;
  k.networks = "10.0.0.0/8,::1";
  k.line = "first";
  ASSERT_TRUE(add(k));
  ASSERT_TRUE(add(key("two")));
  const VaultKeyList got = list();
  EXPECT_EQ(got.keys[0].parent, "above");
  EXPECT_TRUE(got.keys[0].canary);
  EXPECT_EQ(got.keys[0].networks, "10.0.0.0/8,::1");
  EXPECT_EQ(counted_as(got.keys[0]), "first");
  EXPECT_FALSE(got.keys[1].canary);
  EXPECT_EQ(counted_as(got.keys[1]), "two");
}

TEST_P(VaultKeyContract, RevokingTakesEverythingBelowAlong) {
  for (const auto& [id, parent] :
       {std::pair<const char*, const char*>{"a", ""}, {"b", "a"}, {"c", "b"}, {"d", ""}}) {
    VaultKey k = key(id);
    k.parent = parent;
    ASSERT_TRUE(add(k));
  }
  using Ids = std::vector<std::string>;
  EXPECT_EQ(change(only("b"), VaultKeyState::paused), Ids{"b"});
  EXPECT_EQ(change(only("b"), VaultKeyState::revoked), (Ids{"b", "c"}));
  EXPECT_EQ(change(only("a"), VaultKeyState::revoked), Ids{"a"});
  EXPECT_EQ(list().keys[3].state, VaultKeyState::active);
}

TEST_P(VaultKeyContract, ARotatedKeyEndsWhenTheNewOneIsThere) {
  ASSERT_TRUE(add(key("one")));  // ends 5 ms after the start
  VaultKey bare = key("bare");
  bare.expires.reset();
  ASSERT_TRUE(add(bare));
  const auto rotate = [this](VaultKey fresh, const char* old, Millis ends) {
    auto out = sync(keys().rotate_vault_key(std::move(fresh), old, kStart + ends));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(false);
  };
  const std::int64_t before = list().version;
  EXPECT_TRUE(rotate(key("two"), "one", Millis(50)));
  EXPECT_TRUE(rotate(key("next"), "bare", Millis(50)));
  EXPECT_FALSE(rotate(key("two"), "bare", Millis(1)));  // the id is taken
  EXPECT_FALSE(rotate(key("lost"), "nobody", Millis(1)));
  change(only("one"), VaultKeyState::revoked);
  EXPECT_FALSE(rotate(key("late"), "one", Millis(1)));
  const VaultKeyList got = list();
  EXPECT_GT(got.version, before);
  ASSERT_EQ(got.keys.size(), 4U);
  EXPECT_EQ(got.keys[0].expires, kStart + Millis(5));  // never later than it was
  EXPECT_EQ(got.keys[1].expires, kStart + Millis(50));
}

TEST_P(VaultKeyContract, KeysBelowGoOnBelowTheKeyThatFollows) {
  const auto below = [this](const char* id, const char* parent) {
    VaultKey k = key(id);
    k.parent = parent;
    ASSERT_TRUE(add(k));
  };
  const auto parents = [this] {
    std::map<std::string, std::string> out;
    for (const VaultKey& k : list().keys) out[k.id] = k.parent;
    return out;
  };
  using Parents = std::map<std::string, std::string>;
  ASSERT_TRUE(add(key("top")));
  ASSERT_TRUE(add(key("other")));
  below("child1", "top");
  below("child2", "top");
  below("grandchild", "child1");
  below("stranger", "other");
  const auto rotate = [this](VaultKey fresh, const char* old) {
    return sync(keys().rotate_vault_key(std::move(fresh), old, kStart + Millis(50)))
        .value_or(false);
  };
  // What is not done moves nothing.
  EXPECT_FALSE(rotate(key("other"), "top"));
  EXPECT_FALSE(rotate(key("lost"), "nobody"));
  EXPECT_EQ(parents()["child1"], "top");
  ASSERT_TRUE(rotate(key("top2"), "top"));
  EXPECT_EQ(parents(), (Parents{{"top", ""},
                                {"top2", ""},
                                {"other", ""},
                                {"child1", "top2"},
                                {"child2", "top2"},
                                {"grandchild", "child1"},
                                {"stranger", "other"}}));
  // One in the middle stays below what it was below.
  VaultKey middle = key("child3");
  middle.parent = "top2";
  ASSERT_TRUE(rotate(middle, "child1"));
  EXPECT_EQ(parents()["grandchild"], "child3");
  EXPECT_EQ(parents()["child3"], "top2");
  // The one that ends takes nothing along any more; the one that follows takes all.
  EXPECT_EQ(change(only("top"), VaultKeyState::revoked).size(), 1U);
  EXPECT_EQ(change(only("top2"), VaultKeyState::revoked).size(), 5U);
}

TEST_P(VaultKeyContract, AKeyThatFollowsIsPausedAsTheOneBefore) {
  ASSERT_TRUE(add(key("top")));
  VaultKey child = key("child");
  child.parent = "top";
  ASSERT_TRUE(add(child));
  const VaultKey as_it_was_read = key("top2");  // active
  change(only("top"), VaultKeyState::paused);
  ASSERT_TRUE(
      sync(keys().rotate_vault_key(as_it_was_read, "top", kStart + Millis(50))).value_or(false));
  for (const VaultKey& k : list().keys) {
    if (k.id == "top2") {
      EXPECT_EQ(k.state, VaultKeyState::paused);
    } else if (k.id == "child") {
      EXPECT_EQ(k.parent, "top2");
    }
  }
}

TEST_P(VaultKeyContract, WhoRotatesAtOnceLosesNoChild) {
  ASSERT_TRUE(add(key("top")));
  VaultKey child = key("child");
  child.parent = "top";
  ASSERT_TRUE(add(child));
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      auto fresh = key("next" + std::to_string(i));
      if (sync(keys().rotate_vault_key(std::move(fresh), "top", kStart + Millis(50)))
              .value_or(false))
        ++made;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(made.load(), 6);
  for (const VaultKey& k : list().keys) {
    if (k.id == "child") EXPECT_TRUE(k.parent.starts_with("next")) << k.parent;
  }
}

TEST_P(VaultKeyContract, ACredentialIsReplaced) {
  EXPECT_EQ(sync(keys().find_credential("stripe")).value_or("x"), std::nullopt);
  ASSERT_TRUE(sync(keys().put_credential("stripe", "one", kStart)));
  ASSERT_TRUE(sync(keys().put_credential("stripe", "two", kStart)));
  ASSERT_TRUE(sync(keys().put_credential("resend", "three", kStart)));
  EXPECT_EQ(sync(keys().find_credential("stripe")).value_or("x"), "two");
}

// --- real keys that take the place of one another

using Versions = std::map<std::string, std::int64_t>;  // by "vendor/state"

class CredentialContract : public VaultKeyContract {
 protected:
  std::vector<Credential> credentials() {
    auto out = sync(keys().list_credentials());
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::vector<Credential>{});
  }
  Versions versions() {
    Versions out;
    for (const Credential& c : credentials())
      out[c.vendor + "/" + std::string(to_string(c.state))] = c.version;
    return out;
  }
  std::int64_t registered(const char* sealed = "A") {
    EXPECT_TRUE(sync(keys().put_credential("stripe", sealed, kStart)));
    return versions()["stripe/current"];
  }
  std::int64_t staged(const char* sealed = "B", Millis until = Millis(90)) {
    const auto out =
        sync(keys().stage_credential("stripe", sealed, kStart + Millis(1), kStart + until));
    EXPECT_TRUE(out) << out.error().message();
    return out && *out ? **out : -1;
  }
  bool switched(std::int64_t from, std::int64_t to,
                std::optional<UnixMillis> keep_until = kStart + Millis(50)) {
    const auto out = sync(keys().switch_credential(
        {"stripe", from, to, "acct_1", kStart + Millis(2), kStart + Millis(3), keep_until}));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(false);
  }
  std::optional<std::int64_t> back(std::int64_t from, Millis at = Millis(10)) {
    const auto out = sync(keys().roll_back_credential("stripe", from, kStart + at));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::optional<std::int64_t>{});
  }
  std::string in_use() {
    return sync(keys().find_credential("stripe"))
        .value_or(std::optional<std::string>{})
        .value_or("none");
  }
};

TEST_P(CredentialContract, WhatIsStagedIsNotUsed) {
  EXPECT_EQ(staged(), -1);  // beside nothing
  EXPECT_TRUE(credentials().empty());
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  EXPECT_NE(a, b);
  EXPECT_EQ(in_use(), "A");
  EXPECT_EQ(versions(), (Versions{{"stripe/current", a}, {"stripe/pending", b}}));
  const Credential pending = credentials()[1];
  EXPECT_EQ(pending.sealed, "B");
  EXPECT_EQ(pending.until, kStart + Millis(90));
  EXPECT_EQ(pending.verified, std::nullopt);
}

TEST_P(CredentialContract, ASwitchKeepsTheOneBeforeForAWhile) {
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  ASSERT_TRUE(switched(a, b));
  EXPECT_EQ(in_use(), "B");
  EXPECT_EQ(versions(), (Versions{{"stripe/current", b}, {"stripe/previous", a}}));
  const auto now = credentials();
  EXPECT_EQ(now[0].sealed, "A");
  EXPECT_EQ(now[0].until, kStart + Millis(50));
  EXPECT_EQ(now[1].account, "acct_1");
  EXPECT_EQ(now[1].verified, kStart + Millis(2));
  EXPECT_EQ(now[1].since, kStart + Millis(3));
  EXPECT_EQ(now[1].until, std::nullopt);
  // The third wipes the first.
  const std::int64_t c = staged("C");
  ASSERT_TRUE(switched(b, c));
  EXPECT_EQ(versions(), (Versions{{"stripe/current", c}, {"stripe/previous", b}}));
}

TEST_P(CredentialContract, WithoutAnOverlapNothingIsKept) {
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  ASSERT_TRUE(switched(a, b, std::nullopt));
  EXPECT_EQ(versions(), (Versions{{"stripe/current", b}}));
  EXPECT_EQ(back(b), std::nullopt);
  EXPECT_EQ(in_use(), "B");
}

TEST_P(CredentialContract, ASwitchWantsTheVersionsThatWereLookedAt) {
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  EXPECT_FALSE(switched(a + 1000, b));
  EXPECT_FALSE(switched(a, b + 1000));
  EXPECT_FALSE(switched(b, a));
  const std::int64_t c = staged("C");  // somebody else's
  EXPECT_FALSE(switched(a, b));
  EXPECT_EQ(in_use(), "A");
  EXPECT_EQ(versions(), (Versions{{"stripe/current", a}, {"stripe/pending", c}}));
  EXPECT_EQ(credentials()[0].until, std::nullopt);
  const std::int64_t again = registered("D");  // replaces whatever there was
  EXPECT_FALSE(switched(a, c));
  EXPECT_EQ(versions(), (Versions{{"stripe/current", again}}));
  ASSERT_TRUE(sync(keys().put_credential("resend", "R", kStart)));
  EXPECT_EQ(versions().size(), 2U);
}

TEST_P(CredentialContract, AWayBackAndForth) {
  const std::int64_t a = registered();
  EXPECT_EQ(back(a), std::nullopt);  // nothing was before
  const std::int64_t b = staged();
  ASSERT_TRUE(switched(a, b));
  const std::int64_t c = staged("C");
  EXPECT_EQ(back(a), std::nullopt);              // not in use any more
  EXPECT_EQ(back(b, Millis(50)), std::nullopt);  // over
  EXPECT_EQ(versions()["stripe/pending"], c);
  EXPECT_EQ(back(b), a);
  EXPECT_EQ(in_use(), "A");
  EXPECT_EQ(versions(), (Versions{{"stripe/current", a}, {"stripe/previous", b}}));
  EXPECT_EQ(credentials()[0].since, kStart + Millis(10));
  EXPECT_EQ(credentials()[0].until, std::nullopt);
  EXPECT_EQ(credentials()[1].until, kStart + Millis(50));  // as before
  EXPECT_EQ(back(a), b);
  EXPECT_EQ(in_use(), "B");
}

TEST_P(CredentialContract, WhatIsOverIsWiped) {
  const auto wiped = [this](Millis at) {
    const auto out = sync(keys().wipe_credentials(kStart + at));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::vector<Credential>{});
  };
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  ASSERT_TRUE(switched(a, b));
  const std::int64_t c = staged("C");
  const std::int64_t before = *sync(keys().vault_keys_version());
  EXPECT_TRUE(wiped(Millis(49)).empty());
  EXPECT_EQ(*sync(keys().vault_keys_version()), before);
  const auto first = wiped(Millis(50));
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].version, a);
  EXPECT_EQ(first[0].state, CredentialState::previous);
  EXPECT_EQ(first[0].sealed, "");
  EXPECT_TRUE(wiped(Millis(50)).empty());  // told once
  EXPECT_GT(*sync(keys().vault_keys_version()), before);
  EXPECT_EQ(back(b), std::nullopt);
  ASSERT_EQ(wiped(Millis(90)).size(), 1U);
  EXPECT_FALSE(switched(b, c));
  EXPECT_EQ(versions(), (Versions{{"stripe/current", b}}));
}

TEST_P(CredentialContract, WhatIsPendingCanBeDropped) {
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  const auto drop = [this](std::int64_t version) {
    return sync(keys().drop_credential("stripe", version)).value_or(false);
  };
  EXPECT_FALSE(drop(a));
  EXPECT_TRUE(drop(b));
  EXPECT_FALSE(drop(b));
  EXPECT_EQ(versions(), (Versions{{"stripe/current", a}}));
  EXPECT_NE(staged("B"), b);  // a version is one for ever
}

TEST_P(CredentialContract, OfManyAtOnceOneWins) {
  const std::int64_t a = registered();
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const std::int64_t mine = staged();
      if (switched(a, mine)) ++won;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_LE(won.load(), 1);  // none, when each took the place of what another had staged
  EXPECT_EQ(versions().count("stripe/current"), 1U);
  if (won.load() == 0) {
    EXPECT_EQ(in_use(), "A");
    ASSERT_TRUE(switched(a, versions()["stripe/pending"]));
  }
  EXPECT_EQ(in_use(), "B");
  EXPECT_EQ(versions()["stripe/previous"], a);
}

TEST_P(CredentialContract, AllAreSealedAnewOrNone) {
  const std::int64_t a = registered();
  const std::int64_t b = staged();
  ASSERT_TRUE(sync(keys().put_credential("resend", "R", kStart)));
  const std::int64_t r = versions()["resend/current"];
  const auto resealed = [this](std::vector<Resealed> all) {
    const auto out = sync(keys().reseal_credentials(std::move(all), kStart + Millis(5)));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(false);
  };
  struct Row {
    const char* name;
    std::vector<Resealed> all;
  };
  const Row refused[] = {
      {"nothing of what there is", {}},
      {"one is left out", {{"stripe", a, "A", "A2"}, {"stripe", b, "B", "B2"}}},
      {"one is not what it was",
       {{"stripe", a, "A", "A2"}, {"stripe", b, "other", "B2"}, {"resend", r, "R", "R2"}}},
      {"one is not there",
       {{"stripe", a, "A", "A2"}, {"stripe", b, "B", "B2"}, {"resend", r + 9, "R", "R2"}}},
      {"a new one that is there",
       {{"stripe", a, "A", "A2"},
        {"stripe", b, "B", "B2"},
        {"resend", r, "R", "R2"},
        {"resend", 0, "", "X"}}},
  };
  for (const Row& row : refused) {
    SCOPED_TRACE(row.name);
    EXPECT_FALSE(resealed(row.all));
    for (const Credential& c : credentials()) EXPECT_EQ(c.sealed.size(), 1U);
  }
  const auto before = sync(keys().vault_keys_version()).value_or(0);
  EXPECT_TRUE(resealed({{"stripe", a, "A", "A2"},
                        {"stripe", b, "B", "B2"},
                        {"resend", r, "R", "R"},
                        {"\nsigner", 0, "", "S"}}));
  EXPECT_GT(sync(keys().vault_keys_version()).value_or(0), before);
  const auto now = credentials();
  ASSERT_EQ(now.size(), 4U);
  EXPECT_EQ(now[0].vendor, "\nsigner");
  EXPECT_EQ(now[0].state, CredentialState::current);
  EXPECT_EQ(now[0].sealed, "S");
  EXPECT_EQ(now[1].sealed, "R");
  EXPECT_EQ(now[2].sealed, "A2");
  EXPECT_EQ(now[2].state, CredentialState::current);
  EXPECT_EQ(now[3].sealed, "B2");
  EXPECT_EQ(now[3].state, CredentialState::pending);
  EXPECT_EQ(now[3].until, kStart + Millis(90));
  // A number that a later one may not get again.
  EXPECT_GT(staged("C"), now[0].version);
}

TEST_P(VaultKeyContract, ThreadsThatAddTheSameIdAgreeOnOne) {
  std::atomic<int> added{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 4; ++n) {
        if (add(key("same"))) ++added;
        EXPECT_TRUE(add(key("own" + std::to_string(i) + "x" + std::to_string(n))));
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(added.load(), 1);
  EXPECT_EQ(list().keys.size(), 33U);
}

}  // namespace octroi::ledger
