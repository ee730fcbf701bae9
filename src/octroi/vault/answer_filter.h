// octroi/vault/answer_filter.h: what stands between a vendor's answer and the agent: the answer is
// unpacked, searched for the real key (scrub.h) and kept, up to a limit, for whoever settles it.
//
// A guarded exchange does the same for what is no body: heads, interim answers and trailers. It
// also takes what is written after the agent has left, so that a call that costs is read to its end
// and settled by what the vendor said.
// Thread  the exchange's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/http/body_filter.h"
#include "octroi/http/server.h"
#include "octroi/vault/inflate.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/scrub.h"

namespace octroi::vault {

class AnswerFilter final : public http::BodyFilter {
 public:
  /// `reader` may be null, and outlives this.
  AnswerFilter(std::shared_ptr<const Needles> needles, std::size_t keep,
               AnswerReader* reader = nullptr)
      : scrubber_(std::move(needles)), reader_(reader), keep_(keep) {}

  Task<Result<http::Filtering>> begin(http::ResponseHead& head,
                                      std::optional<std::uint64_t> length) override;
  Task<http::Passing> pass(ByteView piece, http::Exchange& client) override;
  Task<http::Passing> end(http::Exchange& client) override;
  void abandon() noexcept override {}

  [[nodiscard]] const http::Headers& headers() const { return headers_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& body() const { return body_; }
  [[nodiscard]] bool whole() const { return whole_; }
  /// Whether all of it came, kept or not.
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::uint64_t found() const { return scrubber_.found(); }
  /// The length of what the vendor sends, where it said so.
  [[nodiscard]] std::optional<std::uint64_t> announced() const { return announced_; }
  /// Also for answers without a body, which no filter is asked about.
  void see(const http::ResponseHead& head);

 private:
  Task<http::Passing> show(std::string text, http::Exchange& client);
  void remember(std::string_view plain);

  Scrubber scrubber_;
  AnswerReader* reader_;
  std::unique_ptr<Inflater> inflater_;
  std::size_t keep_;
  std::string body_;
  http::Headers headers_;
  int status_ = 0;
  std::optional<std::uint64_t> announced_;
  bool whole_ = false;
  bool cut_ = false;    // more came than is kept
  bool ended_ = false;  // it came to its end
};

/// What a search leaves of an answer is known when it is over. A short answer whose length the
/// vendor knew is held until then, and goes out at once with its length.
class GuardedExchange final : public http::Exchange {
 public:
  GuardedExchange(http::Exchange& agent, std::shared_ptr<const Needles> needles,
                  AnswerFilter& filter, bool to_the_end)
      : agent_(agent), needles_(std::move(needles)), filter_(filter), to_the_end_(to_the_end) {}

  http::RequestHead& request() override { return agent_.request(); }
  http::BodySource& body() override { return agent_.body(); }
  const http::Peer& peer() const override { return agent_.peer(); }
  net::Loop& loop() override { return agent_.loop(); }
  Task<Result<>> interim(http::ResponseHead head) override;
  Task<Result<>> respond(http::ResponseHead head, std::string body) override;
  Task<Result<>> start(http::ResponseHead head, std::optional<std::uint64_t> length) override;
  Task<Result<>> write(ByteView chunk) override;
  Task<Result<>> finish(const http::Headers& trailers) override;
  void abort() noexcept override { agent_.abort(); }
  void abort_as(std::uint32_t code) noexcept override { agent_.abort_as(code); }
  Task<Result<std::unique_ptr<net::Stream>>> upgrade(http::ResponseHead head) override;
  void on_gone(void (*call)(void*), void* context) override;
  bool started() const noexcept override { return agent_.started(); }
  std::uint64_t sent() const noexcept override { return agent_.sent(); }

  [[nodiscard]] bool agent_left() const { return left_; }
  /// From now on a 401 that says that the token is bad (oauth.h) is kept from the agent.
  void withhold_bad_token() { withholds_ = true; }
  /// Whether that came, and nothing was told to the agent.
  [[nodiscard]] bool withheld() const { return withheld_; }

 private:
  /// What became of a write, as the relay should see it.
  Result<> taken(Result<> written);
  [[nodiscard]] bool may_hold() const;
  /// It became longer than was to be expected.
  Task<Result<>> let_go();

  http::Exchange& agent_;
  std::shared_ptr<const Needles> needles_;
  AnswerFilter& filter_;
  bool to_the_end_;
  bool left_ = false;
  bool withholds_ = false;
  bool withheld_ = false;
  std::optional<http::ResponseHead> held_;
  std::optional<std::uint64_t> held_length_;  // of a body that does not come (HEAD)
  std::string held_body_;
};

}  // namespace octroi::vault
