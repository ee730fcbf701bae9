// Sessions that pay for what an answer holds: events, tokens, bytes; and what happens when their
// money ends before the answer does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/http/sse.h"
#include "octroi/paywall/session_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::SessionTest;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string event(int n) { return "data: event " + std::to_string(n) + "\n\n"; }
std::string events(int from, int to) {
  std::string out;
  for (int n = from; n <= to; ++n) out += event(n);
  return out;
}

struct Seen {
  std::string type;
  std::string data;
};
std::vector<Seen> events_in(std::string_view body) {
  std::vector<Seen> out;
  http::SseFramer framer;
  framer.feed(body);
  for (;;) {
    const auto next = framer.next();
    if (!next || !*next) return out;
    if ((*next)->dispatched)
      out.push_back({std::string((*next)->type), std::string((*next)->data)});
  }
}
int count(std::string_view body, std::string_view type) {
  int n = 0;
  for (const Seen& e : events_in(body)) n += e.type == type ? 1 : 0;
  return n;
}
std::string data_of(std::string_view body, std::string_view type) {
  for (const Seen& e : events_in(body)) {
    if (e.type == type) return e.data;
  }
  return {};
}
std::int64_t number(std::string_view json_text, std::string_view key) {
  const auto document = json::parse(json_text);
  return document ? document->root().int64(key).value_or(-1) : -1;
}
/// Without the events that are ours.
std::string without(std::string body, std::string_view type) {
  const std::size_t at = body.find("event: " + std::string(type) + "\n");
  if (at == std::string::npos) return body;
  return body.erase(at, body.find("\n\n", at) + 2 - at);
}

class GateMetered : public SessionTest {
 protected:
  /// A stream may still wait: it ends before what all gates share, as in the application.
  ~GateMetered() override {
    readers.cancel();
    door_.reset();
  }
  /// 2 sat a unit, a deposit of 40.
  static ServiceSettings by(std::string unit, std::uint64_t per = 1) {
    ServiceSettings s = prepaid();
    s.session.unit = std::move(unit);
    s.session.per = per;
    s.session.hold = Millis(5'000);
    return s;
  }
  static Msat sat(std::int64_t n) { return to_msat(Sat::from_raw_unchecked(n)); }

  /// What the upstream sends, piece by piece.
  struct Script {
    std::vector<std::string> pieces;
    Fields fields = {{"Content-Type", "text/event-stream"}};
    Millis gap{0};
    bool dies = false;  // instead of an end
    int sent = 0;       // pieces that it could write
  };
  static Task<void> play(net::Loop* loop, http::Exchange* x, std::shared_ptr<Script> script) {
    std::ignore = co_await http::read_all(x->body(), 1 << 20);
    http::ResponseHead head;
    for (const auto& [name, value] : script->fields) head.headers.add(name, value);
    std::ignore = co_await x->start(std::move(head), std::nullopt);
    for (const std::string& piece : script->pieces) {
      if (!co_await x->write(as_bytes(piece))) co_return;
      ++script->sent;
      if (script->gap > Millis(0)) co_await loop->sleep(script->gap);
    }
    if (script->dies) {
      co_await loop->sleep(Millis(30));
      x->abort();
      co_return;
    }
    std::ignore = co_await x->finish({});
  }
  std::shared_ptr<Script> upstream_plays(Script script) {
    auto shared = std::make_shared<Script>(std::move(script));
    upstream_answer = [this, shared](http::Exchange& x) { return play(&loop, &x, shared); };
    return shared;
  }
  std::shared_ptr<Script> upstream_streams(std::string body) {
    return upstream_plays({.pieces = {std::move(body)}});
  }

  /// A client that reads an answer while the test goes on.
  struct Reader {
    int status = 0;
    std::string body;
    bool whole = false;
    bool ended = false;
  };
  static Task<void> read_into(GateMetered* self, http::Request request,
                              std::shared_ptr<Reader> reader) {
    auto x = co_await self->client->open_with(http::origin_of(request.url), {}, true);
    if (!x) co_return;
    http::RequestHead head;
    head.method = request.method;
    head.target = request.url.target;
    head.authority = request.url.authority();
    head.headers = std::move(request.headers);
    std::ignore = co_await (*x)->send_head(head, request.body.size());
    if (!request.body.empty()) {
      std::ignore = co_await (*x)->write(as_bytes(request.body));
      std::ignore = co_await (*x)->finish({});
    }
    auto answer = co_await (*x)->head();
    if (!answer) {
      reader->ended = true;
      co_return;
    }
    reader->status = answer->status;
    for (;;) {
      auto piece = co_await (*x)->body().next();
      reader->ended = !piece || piece->empty();
      reader->whole = piece && piece->empty();
      if (reader->ended) co_return;
      reader->body += as_text(*piece);
    }
  }
  std::shared_ptr<Reader> reads(const std::string& credential, Ask what = {}) {
    what.fields.emplace_back("Authorization", credential);
    auto reader = std::make_shared<Reader>();
    readers.start(read_into(this, request(what), reader));
    return reader;
  }
  bool ends(const std::shared_ptr<Reader>& reader) {
    return wait_for([&] { return reader->ended; });
  }

  /// A session whose opening request cost one unit, and what shows it.
  struct Held {
    Opened opened;
    std::string bearer;
    [[nodiscard]] PaymentHash id() const { return opened.id; }
  };
  Held hold_one(const Ask& what = {}) {
    Held out;
    out.opened = open(what);
    out.bearer = bearer_with(out.opened.challenge, out.opened.id);
    return out;
  }
  /// A further deposit by another connection.
  void top_up(const PaymentHash& id) {
    const auto challenge = fresh();
    EXPECT_EQ(show(top_up_with(challenge, id)).status, 200);
  }
  Msat spent(const PaymentHash& id) { return session(id).spent; }
  /// The gate settles after the client has its answer.
  bool spends(const PaymentHash& id, Msat amount) {
    const bool done = wait_for([&] { return spent(id) == amount; });
    EXPECT_EQ(format(spent(id)), format(amount));
    return done;
  }

  TaskGroup readers;
};

// --- events -------------------------------------------------------------------------------------

TEST_F(GateMetered, ChallengeNamesTheUnit) {
  begin(by("chunk", 5));
  const auto request = request_of(fresh());
  EXPECT_EQ(request.unit_type, "chunk");
  EXPECT_EQ(request.amount, 2_sat);
  EXPECT_EQ(request.deposit_amount, 40_sat);
}

TEST_F(GateMetered, EventsAreBilledAndPassUnchangedWithAReceiptBeforeTheLastWord) {
  begin(by("chunk"));
  const auto held = hold_one();
  EXPECT_EQ(spent(held.id()), sat(2)) << "an answer that is no stream is one chunk";
  const std::string body = ": hello\n\nid: 7\nevent: tick\r\ndata: a\r\n\r\n" + events(1, 4) +
                           "retry: 100\n\n" + std::string(kDone);
  upstream_streams(body);
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(ends(reader));
  EXPECT_TRUE(reader->whole);
  EXPECT_EQ(without(reader->body, "payment-receipt"), body);
  EXPECT_THAT(reader->body, EndsWith("\n\n" + std::string(kDone)));
  const std::string receipt = data_of(reader->body, "payment-receipt");
  EXPECT_EQ(number(receipt, "units"), 5);
  EXPECT_EQ(number(receipt, "spent"), 10);
  EXPECT_THAT(receipt, HasSubstr(held.id().hex()));
  EXPECT_THAT(receipt, HasSubstr("\"method\":\"lightning\""));
  EXPECT_EQ(events_in(reader->body).at(events_in(reader->body).size() - 2).type, "payment-receipt");
  spends(held.id(), sat(12));
  EXPECT_THAT(metrics.exposition(),
              HasSubstr("octroi_session_units_total{service=\"api\",unit=\"chunk\"} 6\n"));
}

TEST_F(GateMetered, SeveralUnitsForOnePriceAreBilledInParts) {
  begin(by("chunk", 4));
  const auto held = hold_one();
  EXPECT_EQ(spent(held.id()), 500_msat);
  upstream_streams(events(1, 3));
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(number(data_of(reader->body, "payment-receipt"), "spent"), 2) << "whole sat, up";
  spends(held.id(), 2000_msat);
}

TEST_F(GateMetered, AnEventPassesWithoutWaitingForTheNext) {
  begin(by("chunk"));
  const auto held = hold_one();
  const auto script =
      upstream_plays({.pieces = {event(1), event(2), event(3)}, .gap = Millis(300)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return reader->body == event(1); }));
  EXPECT_EQ(script->sent, 1);
  ASSERT_TRUE(wait_for([&] { return reader->body == events(1, 2); }));
  EXPECT_EQ(script->sent, 2);
  ASSERT_TRUE(ends(reader));
  spends(held.id(), sat(8));
}

TEST_F(GateMetered, AStreamThatRunsDryWaitsForATopUpOfAnotherConnectionAndFinishes) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_streams(events(1, 30) + std::string(kDone));
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "payment-need-topup") == 1; }));
  EXPECT_EQ(without(reader->body, "payment-need-topup"), events(1, 19)) << "one was spent before";
  const std::string need = data_of(reader->body, "payment-need-topup");
  EXPECT_THAT(need, HasSubstr(held.id().hex()));
  EXPECT_EQ(number(need, "balanceSpent"), 40);
  EXPECT_EQ(number(need, "balanceRequired"), 2);
  pause(Millis(50));
  EXPECT_FALSE(reader->ended);
  top_up(held.id());
  ASSERT_TRUE(ends(reader));
  EXPECT_TRUE(reader->whole);
  EXPECT_EQ(without(without(reader->body, "payment-need-topup"), "payment-receipt"),
            events(1, 30) + std::string(kDone));
  EXPECT_EQ(number(data_of(reader->body, "payment-receipt"), "units"), 30);
  spends(held.id(), sat(62));
}

TEST_F(GateMetered, MoneyThatCameToAnotherReplicaIsSeenInTheStore) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_streams(events(1, 22));
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "payment-need-topup") == 1; }));
  // No bell rings for this.
  const auto came =
      net::run_until(loop, store.sessions()->give_back(held.id(), sat(10), clock.now()));
  ASSERT_TRUE(came);
  ASSERT_TRUE(ends(reader));
  EXPECT_THAT(reader->body, HasSubstr(event(22)));
}

TEST_F(GateMetered, AStreamThatNobodyTopsUpEndsWithSessionTimeout) {
  auto s = by("chunk");
  s.session.hold = Millis(100);
  begin(std::move(s));
  const auto held = hold_one();
  const auto script = upstream_plays({.pieces = std::vector<std::string>(4000, event(1))});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(ends(reader));
  EXPECT_TRUE(reader->whole) << "the answer ends in good order";
  EXPECT_EQ(count(reader->body, ""), 19);
  EXPECT_EQ(events_in(reader->body).back().type, "session-timeout");
  EXPECT_EQ(data_of(reader->body, "session-timeout"), data_of(reader->body, "payment-need-topup"));
  EXPECT_EQ(count(reader->body, "payment-receipt"), 0);
  spends(held.id(), sat(40));
  EXPECT_EQ(session(held.id()).state, ledger::SessionState::open) << "it may be topped up later";
}

TEST_F(GateMetered, AHeldStreamDoesNotReadTheUpstream) {
  begin(by("chunk"));
  const auto held = hold_one();
  std::vector<std::string> pieces(200, ": " + std::string(100'000, 'x') + "\n\n");
  pieces.insert(pieces.begin(), events(1, 30));
  const auto script = upstream_plays({.pieces = std::move(pieces)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "payment-need-topup") == 1; }));
  pause(Millis(200));
  EXPECT_LT(script->sent, 150) << "what the sockets hold, and no more";
}

TEST_F(GateMetered, ASessionClosedInMidStreamEndsIt) {
  for (const bool dry : {false, true}) {
    begin(by("chunk"));
    const auto held = hold_one();
    upstream_plays(
        {.pieces = std::vector<std::string>(dry ? 60 : 15, event(1)), .gap = Millis(dry ? 0 : 50)});
    const auto reader = reads(held.bearer);
    ASSERT_TRUE(wait_for([&] {
      return dry ? count(reader->body, "payment-need-topup") == 1 : count(reader->body, "") == 2;
    }));
    const auto r = show(close_with(fresh(), held.id()));
    EXPECT_EQ(r.status, 200) << r.body;
    ASSERT_TRUE(ends(reader));
    EXPECT_TRUE(reader->whole);
    EXPECT_EQ(events_in(reader->body).back().type, "payment-receipt");
    EXPECT_LT(count(reader->body, ""), 30);
    const auto closed = session(held.id());
    EXPECT_EQ(closed.refund.amount.plus(closed.spent).value(), sat(40));
    gate.reset();
    door_.reset();
    upstream_.reset();
    desk.reset();
  }
}

TEST_F(GateMetered, AClientThatLeavesPaysForWhatWasSent) {
  begin(by("chunk"));
  const auto held = hold_one();
  const auto script =
      upstream_plays({.pieces = std::vector<std::string>(15, event(1)), .gap = Millis(40)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "") == 3; }));
  readers.cancel();
  ASSERT_TRUE(wait_for([&] { return session(held.id()).balance() >= sat(28); }))
      << format(spent(held.id()));
  pause(Millis(200));
  EXPECT_GE(spent(held.id()), sat(2 + 6));
  EXPECT_LE(spent(held.id()), sat(2 + 10)) << "and for no more than was on its way";
  EXPECT_LT(script->sent, 10) << "the upstream was told";
}

TEST_F(GateMetered, AClientThatLeavesADryStreamEndsTheWaiting) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_streams(events(1, 30));
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "payment-need-topup") == 1; }));
  readers.cancel();
  ASSERT_TRUE(wait_for([&] { return access.records.size() >= 3; }));
  top_up(held.id());
  pause(Millis(100));
  EXPECT_EQ(spent(held.id()), sat(40)) << "nothing is taken for nobody";
}

TEST_F(GateMetered, ADeadUpstreamCostsWhatWasDelivered) {
  begin(by("chunk"));
  const auto held = hold_one();
  for (const int n : {0, 3}) {
    std::vector<std::string> pieces(static_cast<std::size_t>(n), event(1));
    pieces.emplace_back("data: ha");
    upstream_plays({.pieces = std::move(pieces), .dies = true});
    const Msat before = spent(held.id());
    const auto reader = reads(held.bearer);
    ASSERT_TRUE(ends(reader));
    EXPECT_FALSE(reader->whole) << "the client is cut";
    EXPECT_EQ(count(reader->body, ""), n);
    spends(held.id(), before.plus(sat(2 * n)).value());
  }
}

TEST_F(GateMetered, AnUpstreamThatNeverAnswersCostsNothing) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  EXPECT_EQ(show(held.bearer).status, 502);
  spends(held.id(), sat(2));
}

TEST_F(GateMetered, AnErrorAnswerCostsNothing) {
  begin(by("byte"));
  const auto held = hold_one();
  const Msat before = spent(held.id());
  upstream_says(429, {{"Content-Type", "application/json"}}, "{\"error\":\"slow down\"}");
  const auto r = show(held.bearer);
  EXPECT_EQ(r.status, 429);
  EXPECT_THAT(r.body, HasSubstr("slow down"));
  spends(held.id(), before);
}

TEST_F(GateMetered, AStreamThatLivesOnWhatItSetAsideIsNoIdleSession) {
  auto s = by("byte", 1000);
  s.session.idle_timeout = Millis(200);
  begin(std::move(s));
  const auto held = hold_one();
  upstream_plays({.pieces = std::vector<std::string>(8, ":\n\n"), .gap = Millis(100)});
  const auto reader = reads(held.bearer);
  for (int i = 0; i < 60 && !reader->ended; ++i) {
    pause(Millis(10));
    clock.advance(Millis(10));  // for the reaper, which runs beside it
  }
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(events_in(reader->body).back().type, "payment-receipt");
  EXPECT_GE(reader->body.size(), 24U);
  EXPECT_EQ(session(held.id()).state, ledger::SessionState::open);
}

TEST_F(GateMetered, AStreamIsCutWhenTheStoreCannotDebitIt) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_plays({.pieces = std::vector<std::string>(15, event(1)), .gap = Millis(20)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "") == 2; }));
  store.set_unavailable(true);
  ASSERT_TRUE(ends(reader));
  store.set_unavailable(false);
  EXPECT_FALSE(reader->whole);
  EXPECT_LT(count(reader->body, ""), 15);
  const auto delivered = sat(2 + 2 * count(reader->body, ""));
  EXPECT_GE(spent(held.id()), delivered) << "nothing passed that was not debited";
  EXPECT_LE(spent(held.id()), delivered.plus(sat(4)).value());
}

TEST_F(GateMetered, AnAnswerThatIsCutOffWithItsWorkerLeavesWhatItDidNotUse) {
  begin(by("byte", 10));
  const auto held = hold_one();
  const Msat before = spent(held.id());
  upstream_plays({.pieces = std::vector<std::string>(60, event(1)), .gap = Millis(20)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(wait_for([&] { return count(reader->body, "") == 5; }));
  const auto sent = static_cast<std::int64_t>(reader->body.size());
  door_.reset();
  gate.reset();
  EXPECT_GT(spent(held.id()), before.plus(Msat::from_raw_unchecked(sent * 200)).value());
  net::run_until(loop, shared().returns->give_all(*store.sessions(), clock.now()));
  EXPECT_LE(spent(held.id()), before.plus(Msat::from_raw_unchecked((sent + 18) * 200)).value());
  EXPECT_GE(spent(held.id()), before.plus(Msat::from_raw_unchecked(sent * 200)).value());
}

TEST_F(GateMetered, ManyStreamsOfOneSessionNeverOverdraw) {
  auto s = by("chunk");
  s.session.hold = Millis(2'000);
  s.session.deposit_multiplier = 200;
  begin(std::move(s));
  const auto held = hold_one();
  upstream_plays({.pieces = std::vector<std::string>(10, event(1)), .gap = Millis(1)});
  std::vector<std::shared_ptr<Reader>> all;
  for (int i = 0; i < 64; ++i) all.push_back(reads(held.bearer));
  int delivered = 0;
  int timeouts = 0;
  for (const auto& reader : all) {
    ASSERT_TRUE(ends(reader) || ends(reader));  // it may wait for as long as ends() does
    delivered += count(reader->body, "");
    timeouts += count(reader->body, "session-timeout");
    if (reader->status == 402) ++timeouts;
  }
  EXPECT_EQ(delivered, 199) << "all that the deposit pays, and not one more";
  EXPECT_GT(timeouts, 0);
  spends(held.id(), sat(400));
}

TEST_F(GateMetered, ASessionMayBeginWithAStreamWhichARepeatedOpenGetsAgain) {
  begin(by("chunk"));
  const std::string body = events(1, 3) + std::string(kDone);
  upstream_streams(body);
  const auto challenge = fresh();
  const std::string credential = open_with(challenge, returns.make());
  const auto reader = reads(credential);
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(without(reader->body, "payment-receipt"), body);
  const PaymentHash id = request_of(challenge).payment_hash;
  spends(id, sat(6));
  const auto again = show(credential);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, body);
  spends(id, sat(6));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateMetered, CompressedAnswersAreAskedForInPlainAndRefusedOtherwise) {
  begin(by("chunk"));
  const auto held = hold_one();
  upstream_says(200, {{"Content-Type", "text/event-stream"}, {"Content-Encoding", "gzip"}}, "\x1f");
  const auto r = get("/v1/data", {{"Authorization", held.bearer}, {"Accept-Encoding", "gzip, br"}});
  EXPECT_EQ(r.status, 502);
  EXPECT_THAT(r.body, HasSubstr("compress"));
  EXPECT_EQ(seen.back().headers.get("Accept-Encoding"), "identity");
  spends(held.id(), sat(2));
}

TEST_F(GateMetered, AnUpgradeIsNotPassedOn) {
  begin(by("byte"));
  const auto held = hold_one();
  upstream_answer = [](http::Exchange& x) { return plain_answer(&x); };
  raw("GET /v1/data HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n"
      "Authorization: " +
      held.bearer + "\r\n\r\n");
  EXPECT_FALSE(seen.back().headers.has("Upgrade"));
}

// --- bytes --------------------------------------------------------------------------------------

TEST_F(GateMetered, BytesAreBilledByLengthAndKibibytesWhole) {
  auto bytes = by("byte", 100);
  bytes.path = "^/bytes";
  bytes.name = ServiceName("bytes");
  begin(with({std::move(bytes), by("KiB")}));
  upstream_says(200, {}, std::string(150, 'x'));
  const auto first = hold_one({.target = "/bytes"});
  EXPECT_EQ(spent(first.id()), 3000_msat);
  upstream_says(200, {}, std::string(5000, 'x'));
  const auto second = hold_one();
  EXPECT_EQ(spent(second.id()), sat(10)) << "five begun KiB";
}

TEST_F(GateMetered, AnAnswerOfKnownLengthIsPaidBeforeItBegins) {
  begin(by("KiB"));
  const auto held = hold_one();
  upstream_says(200, {}, std::string(50 * 1024, 'x'));
  const auto r = show(held.bearer);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/insufficient-balance");
  EXPECT_EQ(member(r, "sessionId"), held.id().hex());
  EXPECT_THAT(r.body, Not(HasSubstr("xxx")));
  EXPECT_FALSE(challenge_lines(r).empty()) << "to top up with";
  spends(held.id(), sat(2));
}

TEST_F(GateMetered, AnAnswerThatIsNoStreamIsCutWhenItRunsDry) {
  auto s = by("KiB");
  s.session.hold = Millis(50);
  begin(std::move(s));
  const auto held = hold_one();
  upstream_plays({.pieces = std::vector<std::string>(30, std::string(1024, 'x')),
                  .fields = {{"Content-Type", "application/octet-stream"}},
                  .gap = Millis(3)});
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(ends(reader));
  EXPECT_FALSE(reader->whole);
  EXPECT_EQ(reader->body.find_first_not_of('x'), std::string::npos) << "nothing of ours in it";
  EXPECT_LE(reader->body.size(), 19 * 1024U);
  spends(held.id(), sat(40));
}

TEST_F(GateMetered, AStreamMayBeBilledByTheByte) {
  begin(by("byte", 10));
  const auto held = hold_one();
  const Msat before = spent(held.id());
  upstream_streams(events(1, 3));
  const auto reader = reads(held.bearer);
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(without(reader->body, "payment-receipt"), events(1, 3));
  const auto bytes = static_cast<std::int64_t>(events(1, 3).size());
  EXPECT_EQ(number(data_of(reader->body, "payment-receipt"), "units"), bytes);
  spends(held.id(), before.plus(Msat::from_raw_unchecked(bytes * 200)).value());
}

TEST_F(GateMetered, AHeadIsOneUnit) {
  begin(by("KiB"));
  const auto held = hold_one();
  std::ignore = ask({.method = "HEAD", .fields = {{"Authorization", held.bearer}}});
  spends(held.id(), sat(4));
}

// --- tokens -------------------------------------------------------------------------------------

constexpr std::string_view kAsk =
    R"({"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":50})";

/// 10 sat for a thousand tokens, a deposit of 200 sat: 20 000 tokens.
class GateTokens : public GateMetered {
 protected:
  void SetUp() override {
    auto s = by("token", 1000);
    s.price.msat = sat(10);
    begin(std::move(s));
    upstream_says(200, {{"Content-Type", "application/json"}},
                  R"({"choices":[],"usage":{"prompt_tokens":60,"completion_tokens":40}})");
    held = hold_one();
    EXPECT_EQ(spent(held.id()), sat(1)) << "a hundred tokens";
    before = sat(1);
  }
  std::shared_ptr<Reader> asks(std::string body) {
    return reads(held.bearer, {.method = "POST",
                               .fields = {{"Content-Type", "application/json"}},
                               .body = std::move(body)});
  }
  bool costs(std::int64_t tokens) {
    return spends(held.id(), before.plus(Msat::from_raw_unchecked(tokens * 10)).value());
  }
  Held held;
  Msat before;
};

TEST_F(GateTokens, AreThoseThatTheAnswerTells) {
  upstream_says(200, {{"Content-Type", "application/json"}},
                R"({"id":"c","choices":[{"message":{"content":"Hello"}}],)"
                R"("usage":{"prompt_tokens":9,"completion_tokens":1491,"total_tokens":1500}})");
  const auto reader = asks(std::string(kAsk));
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(reader->status, 200);
  EXPECT_EQ(seen.back().body, kAsk);
  costs(1500);
}

TEST_F(GateTokens, AreEstimatedWhereTheAnswerDoesNotTell) {
  const std::string answer(400, 'x');
  upstream_says(200, {{"Content-Type", "text/plain"}}, answer);
  ASSERT_TRUE(ends(asks("What?")));
  costs(2 + 100);
}

TEST_F(GateTokens, OfAChatStreamAreThoseOfItsLastEvent) {
  const std::string body =
      "data: "
      "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"Hello there\"}}],\"usage\":null}\n\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4}}\n\n"
      "data: [DONE]\n\n";
  upstream_streams(body);
  const auto reader = asks(R"({"stream":true,"stream_options":{"include_usage":true}})");
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(without(reader->body, "payment-receipt"), body);
  EXPECT_EQ(number(data_of(reader->body, "payment-receipt"), "units"), 24);
  costs(24);
}

TEST_F(GateTokens, OfAnAnthropicStreamAreItsInputAndTheLastOutput) {
  upstream_streams(
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
      "{\"input_tokens\":700,\"cache_read_input_tokens\":300,\"output_tokens\":1}}}\n\n"
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":"
      "{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":"
      "{\"output_tokens\":12}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  const auto reader = asks(R"({"stream":true,"max_tokens":100})");
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(events_in(reader->body).back().type, "payment-receipt");
  costs(1012);
}

TEST_F(GateTokens, OfAStreamThatDoesNotTellAreItsText) {
  upstream_streams(
      "data: {\"choices\":[{\"delta\":{\"content\":\"Hello there\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"!\"}}]}\n\ndata: [DONE]\n\n");
  ASSERT_TRUE(ends(asks(R"({"stream":true})")));
  costs(2 + 3 + 1);  // the request's six bytes, and both deltas
}

TEST_F(GateTokens, OfAStreamThatTurnsOutDearerAreNotGivenForNothing) {
  gate.reset();
  door_.reset();
  upstream_.reset();
  desk.reset();
  auto s = by("token", 1000);
  s.price.msat = sat(10);
  s.session.hold = Millis(100);
  begin(std::move(s));
  const std::string told =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":90000,\"completion_tokens\":1}}\n\n";
  upstream_streams("data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n" + told +
                   "data: [DONE]\n\n");
  const auto reader = asks(R"({"stream":true})");
  ASSERT_TRUE(ends(reader));
  EXPECT_THAT(reader->body, Not(HasSubstr("prompt_tokens")));
  EXPECT_EQ(events_in(reader->body).back().type, "session-timeout");
}

TEST_F(GateTokens, ThatARequestAnnouncesAreSetAsideBeforeTheUpstreamIsAsked) {
  const std::size_t asked = seen.size();
  auto reader = asks(R"({"messages":[],"max_tokens":20000})");
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(reader->status, 402);
  EXPECT_THAT(reader->body, HasSubstr("insufficient-balance"));
  EXPECT_EQ(number(reader->body, "balanceRequired"), 201);
  EXPECT_EQ(seen.size(), asked);
  reader = asks(R"({"messages":[],"max_tokens":19000})");
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(reader->status, 200);
  costs(100);  // what the answer told; the rest came back
}

TEST_F(GateTokens, OfARequestThatCanBeReadTwoWaysAreNotGuessed) {
  const auto reader = asks(R"({"max_tokens":1,"max_tokens":100000})");
  ASSERT_TRUE(ends(reader));
  EXPECT_EQ(reader->status, 400);
  costs(0);
}

TEST_F(GateTokens, BeyondTheDepositOpenTheSessionAndServeNothing) {
  const std::size_t asked = seen.size();
  const auto challenge = fresh();
  const auto r =
      post(R"({"max_tokens":30000})", {{"Authorization", open_with(challenge, returns.make())}});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/insufficient-balance");
  EXPECT_EQ(seen.size(), asked);
  EXPECT_EQ(spent(request_of(challenge).payment_hash), Msat());
}

TEST_F(GateTokens, ThatWereUsedBeyondTheBalanceTakeAllOfIt) {
  upstream_says(200, {{"Content-Type", "application/json"}},
                R"({"usage":{"prompt_tokens":1,"completion_tokens":1000000}})");
  const auto reader = asks(std::string(kAsk));
  ASSERT_TRUE(ends(reader));
  spends(held.id(), sat(200));
}

}  // namespace
}  // namespace octroi::paywall
