// SessionManager over the wire: shows a credential, reads refusals, bodies and metered streams.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/http/sse.h"
#include "octroi/json/value.h"
#include "octroi/net/deadline.h"
#include "octroi/net/ssrf.h"
#include "octroi/wallet/session_turn.h"

namespace octroi::wallet {

namespace {

constexpr std::uint64_t kMostRefusal = 64 * 1024;
/// A service holds a stream for a minute while it waits for a top-up.
constexpr Millis kStreamSilence{90'000};

struct Conversation {
  std::unique_ptr<http::ClientExchange> exchange;
  http::ResponseHead head;
};

Task<Result<Conversation>> converse(http::Client* client, const http::Request* request,
                                    http::ClientTimeouts timeouts) {
  http::Origin origin = http::origin_of(request->url);
  origin.protocol = request->protocol;
  Conversation c;
  OCTROI_CO_TRY(c.exchange, co_await client->open_surely(std::move(origin), timeouts));
  http::RequestHead head;
  head.method = request->method;
  head.target = request->url.target;
  head.authority = request->url.authority();
  head.scheme = request->url.scheme;
  head.headers = request->headers;
  OCTROI_CO_CHECK(co_await c.exchange->send_head(head, request->body.size()));
  if (!request->body.empty()) OCTROI_CO_CHECK(co_await c.exchange->write(as_bytes(request->body)));
  OCTROI_CO_CHECK(co_await c.exchange->finish({}));
  do {
    OCTROI_CO_TRY(c.head, co_await c.exchange->head());
  } while (c.head.status < 200 && c.head.status != 101);
  co_return std::move(c);
}

Error no_answer() { return {Errc::network, "no complete answer in time"}; }

std::optional<Sat> sat_member(const json::Value& object, std::string_view name) {
  const auto raw = object.optional_int64(name);
  if (!raw || !*raw) return std::nullopt;
  const auto sat = Sat::from_raw(**raw);
  return sat ? std::optional(*sat) : std::nullopt;
}

std::string short_text(std::string_view text) {
  std::string out(text.substr(0, 300));
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace

/// Sends the turn's request with a credential, to the origin that sold it and nowhere else:
/// redirects are not followed.
Task<Result<SessionManager::Answer>> SessionManager::show(Turn* turn, mpp::Challenge challenge,
                                                          std::string payload) {
  if (!turn->request.private_targets) {
    if (auto allowed = net::check_public_host(turn->request.http.url.host); !allowed)
      co_return fail(network_error(allowed.error()));
  }
  OCTROI_CO_TRY(const Proof proof, make_proof(challenge, std::move(payload)));
  http::Request request = turn->request.http;
  if (request.headers.has(proof.field)) {
    co_return fail(Errc::field_taken,
                   fmt::format("the session's credential would go into {0}, which the request has "
                               "already; leave {0} out",
                               proof.field));
  }
  request.headers.set(proof.field, proof.value.reveal_text());
  http::ClientTimeouts timeouts;
  timeouts.first_byte = turn->request.timeout;
  timeouts.idle = std::max(turn->request.timeout, kStreamSilence);
  auto talked = co_await net::within(client_.loop(), turn->request.timeout,
                                     converse(&client_, &request, timeouts));
  if (!talked) co_return fail(no_answer());
  if (!*talked) co_return fail(network_error(talked->error()));
  co_return Answer{std::move((*talked)->exchange), std::move((*talked)->head)};
}

/// Takes the fresh challenge along, and what the service says to be the reason.
Task<Result<SessionManager::Refusal>> SessionManager::read_refusal(Turn* turn, Answer* answer) {
  turn->fresh.reset();
  ReadOffers read = read_offers(answer->head.headers, clock_.now());
  if (!read.sessions.empty()) turn->fresh = std::move(read.sessions.front());
  Refusal refusal;
  auto body = co_await net::within(client_.loop(), turn->request.timeout,
                                   http::read_all(answer->exchange->body(), kMostRefusal));
  answer->exchange.reset();
  if (!body || !*body) co_return refusal;
  const auto document = json::parse(**body);
  if (!document || !document->root().is_object()) co_return refusal;
  if (const auto type = document->root().string("type"))
    refusal.problem = mpp::parse_problem_type(*type);
  if (const auto detail = document->root().string("detail")) refusal.detail = short_text(*detail);
  refusal.spent = sat_member(document->root(), "balanceSpent");
  co_return refusal;
}

Task<Result<>> SessionManager::read_body(Turn* turn, Answer* answer) {
  FetchResult& result = turn->result;
  const bool stream = answer->head.status / 100 == 2 &&
                      http::is_event_stream(answer->head.headers.get("Content-Type").value_or(""));
  result.response.status = answer->head.status;
  result.response.headers = answer->head.headers;
  result.response.body.clear();
  if (stream) co_return co_await read_stream(turn, answer);
  auto body =
      co_await net::within(client_.loop(), turn->request.timeout,
                           http::read_all(answer->exchange->body(), turn->request.max_body));
  if (!body) co_return fail(no_answer());
  if (!*body) co_return fail(network_error(body->error()));
  result.response.body = std::move(**body);
  co_return Result<>{};
}

/// A stream that may run dry. Payment events are the wallet's: the application does not see them.
struct SessionManager::Stream {
  SessionManager* manager;
  Turn* turn;
  Answer* answer;
  Msat before;  // spent of the session before this answer
  Msat dry_at;  // what was spent when it last ran dry
  bool topping_up = false;
  bool timed_out = false;
  std::optional<Error> failure;
  TaskGroup tasks;  // the last member: a top-up under way uses the others

  Result<> pass_on(std::string_view bytes) {
    if (turn->request.on_stream) {
      turn->result.streamed = true;
      return turn->request.on_stream(as_bytes(bytes));
    }
    std::string& body = turn->result.response.body;
    if (body.size() + bytes.size() > turn->request.max_body)
      return fail(Errc::too_large, "the answer is larger than the limit; raise --max-size");
    body += bytes;
    return {};
  }

  Result<> take(const http::SseEvent& event) {
    if (event.type == mpp::lightning::kNeedTopUpEvent) {
      note_spent(event.data);
      dry_at = turn->use.spent;
      if (!topping_up) tasks.start(manager->top_up_stream(this));
      return {};
    }
    if (event.type == mpp::lightning::kSessionTimeoutEvent) {
      note_spent(event.data);
      timed_out = true;
      return {};
    }
    if (event.type == mpp::lightning::kReceiptEvent) {
      const auto receipt = json::parse(event.data);
      if (receipt && receipt->root().is_object()) {
        turn->use.stream_receipt = receipt->root().to_json();
        if (const auto spent = sat_member(receipt->root(), "spent")) note_stream_total(*spent);
      }
      return {};
    }
    return pass_on(event.bytes);
  }

  void note_spent(std::string_view data) {
    const auto balance = mpp::lightning::parse_balance_event(data);
    if (balance && balance->session_id == turn->use.id) turn->use.spent = to_msat(balance->spent);
  }
  /// The receipt at the end: what this stream came to, its first unit included.
  void note_stream_total(Sat spent) {
    const auto total = before.plus(to_msat(spent));
    if (total) turn->use.spent = std::max(turn->use.spent, *total);
  }
};

Task<Result<>> SessionManager::read_stream(Turn* turn, Answer* answer) {
  const Msat before = turn->use.spent.minus(turn->charged).value_or(Msat{});
  Stream stream{this, turn, answer, before, {}, false, false, std::nullopt, {}};
  http::SseFramer framer;
  Result<> outcome;
  while (outcome) {
    auto piece = co_await answer->exchange->body().next();
    if (!piece) {
      outcome = fail(network_error(piece.error()));
      break;
    }
    if (piece->empty()) break;
    framer.feed(as_text(*piece));
    for (;;) {
      auto event = framer.next();
      if (!event) outcome = fail(network_error(event.error()));
      if (!event || !*event) break;
      outcome = stream.take(**event);
      if (!outcome) break;
    }
  }
  // A payment that is under way is waited for: its outcome is to be written down.
  co_await stream.tasks.join();
  if (outcome) {
    if (const auto rest = framer.finish()) outcome = stream.pass_on(rest->bytes);
  }
  const Msat spent = turn->use.spent;
  if (auto kept = turn->book->change(turn->use.id,
                                     [&](SessionRecord& r) {
                                       r.spent = std::max(r.spent, spent);
                                       r.last_used = clock_.now();
                                     });
      kept && *kept) {
    turn->know(**kept);
  }
  if (stream.failure) co_return fail(*std::move(stream.failure));
  if (stream.timed_out) {
    co_return fail(Errc::session_ended,
                   "the session ran dry and the service did not wait longer for a top-up; what "
                   "came before has been delivered");
  }
  co_return outcome;
}

/// Beside the stream, which waits for it. It may run dry again before the answer to the top-up is
/// here: then more is spent than was when this one began. A notice that is only repeated costs
/// nothing.
Task<void> SessionManager::top_up_stream(Stream* stream) {
  stream->topping_up = true;
  std::optional<Msat> covered;
  while (!stream->failure && (!covered || stream->dry_at > *covered)) {
    covered = stream->dry_at;
    stream->turn->fresh.reset();
    auto done = co_await top_up(stream->turn, stream->turn->use.id);
    if (!done) stream->failure = std::move(done).error();
  }
  stream->topping_up = false;
  if (stream->failure) stream->answer->exchange->abort();
}

}  // namespace octroi::wallet
