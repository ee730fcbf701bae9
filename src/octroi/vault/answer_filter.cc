#include "octroi/vault/answer_filter.h"

#include <utility>

#include "octroi/vault/oauth.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kMostHeld = 64 * 1024;

/// The one coding, or nothing for none; an error for several or an unknown one.
Result<std::unique_ptr<Inflater>> inflater_for(const http::Headers& headers) {
  std::unique_ptr<Inflater> none;
  const auto fields = headers.all("content-encoding");
  if (fields.empty()) return none;
  if (fields.size() > 1)
    return fail(Errc::encoded_answer, "the vendor's answer has several codings");
  std::string_view coding = fields.front();
  while (coding.ends_with(' ')) coding.remove_suffix(1);
  if (coding.empty() || http::equal_ignoring_case(coding, "identity")) return none;
  auto found = Inflater::make(coding);
  if (found == nullptr)
    return fail(Errc::encoded_answer, "the vendor's answer has an unknown coding");
  return found;
}

}  // namespace

void AnswerFilter::see(const http::ResponseHead& head) {
  status_ = head.status;
  headers_ = head.headers;
  if (reader_ != nullptr) reader_->begin(status_, headers_);
}

Task<Result<http::Filtering>> AnswerFilter::begin(http::ResponseHead& head,
                                                  std::optional<std::uint64_t> length) {
  see(head);
  announced_ = length;
  OCTROI_CO_TRY(inflater_, inflater_for(head.headers));
  if (inflater_ != nullptr) {
    head.headers.remove("content-encoding");
    head.headers.remove("etag");  // of the bytes that came
  }
  head.headers.remove("content-md5");
  head.headers.remove("digest");
  head.headers.remove("content-digest");
  co_return http::Filtering::changed;
}

void AnswerFilter::remember(std::string_view plain) {
  if (reader_ != nullptr) reader_->read(plain);
  if (body_.size() + plain.size() > keep_) cut_ = true;
  if (!cut_) body_ += plain;
}

Task<http::Passing> AnswerFilter::show(std::string text, http::Exchange& client) {
  if (text.empty()) co_return http::Passing::on;
  auto written = co_await client.write(as_bytes(text));
  co_return written ? http::Passing::on : http::Passing::gone;
}

Task<http::Passing> AnswerFilter::pass(ByteView piece, http::Exchange& client) {
  if (inflater_ == nullptr) {
    remember(as_text(piece));
    co_return co_await show(scrubber_.feed(as_text(piece)), client);
  }
  inflater_->give(as_text(piece));
  for (;;) {
    auto plain = inflater_->take();
    if (!plain) co_return http::Passing::cut;
    if (plain->empty()) co_return http::Passing::on;
    remember(*plain);
    const auto passed = co_await show(scrubber_.feed(*plain), client);
    if (passed != http::Passing::on) co_return passed;
  }
}

Task<http::Passing> AnswerFilter::end(http::Exchange& client) {
  if (inflater_ != nullptr && !inflater_->complete()) co_return http::Passing::cut;
  ended_ = true;
  whole_ = !cut_;
  co_return co_await show(scrubber_.finish(), client);
}

Task<Result<>> GuardedExchange::interim(http::ResponseHead head) {
  if (left_) co_return Result<>{};
  scrub(*needles_, head.headers);
  auto told = co_await agent_.interim(std::move(head));
  co_return taken(std::move(told));
}

Task<Result<>> GuardedExchange::respond(http::ResponseHead head, std::string body) {
  scrub(*needles_, head.headers);
  return agent_.respond(std::move(head), std::move(body));
}

Task<Result<>> GuardedExchange::start(http::ResponseHead head,
                                      std::optional<std::uint64_t> length) {
  if (filter_.status() == 0) filter_.see(head);
  scrub(*needles_, head.headers);
  if ((!length && may_hold()) || (withholds_ && head.status == 401)) {
    held_ = std::move(head);
    held_length_ = length;
    co_return Result<>{};
  }
  auto started = co_await agent_.start(std::move(head), length);
  co_return taken(std::move(started));
}

bool GuardedExchange::may_hold() const {
  return filter_.announced() && *filter_.announced() <= kMostHeld;
}

Task<Result<>> GuardedExchange::let_go() {
  http::ResponseHead head = std::move(*held_);
  held_.reset();
  auto sent =
      co_await agent_.start(std::move(head), held_body_.empty() ? held_length_ : std::nullopt);
  const std::string body = std::move(held_body_);
  if (sent && !body.empty()) sent = co_await agent_.write(as_bytes(body));
  co_return taken(std::move(sent));
}

Result<> GuardedExchange::taken(Result<> written) {
  if (written || !to_the_end_) return written;
  left_ = true;
  return {};
}

Task<Result<>> GuardedExchange::write(ByteView chunk) {
  if (left_) co_return Result<>{};
  if (held_) {
    held_body_ += as_text(chunk);
    if (held_body_.size() > kMostHeld) co_return co_await let_go();  // it was packed
    co_return Result<>{};
  }
  auto written = co_await agent_.write(chunk);
  co_return taken(std::move(written));
}

Task<Result<>> GuardedExchange::finish(const http::Headers& trailers) {
  if (left_) co_return fail(http::Errc::closed, "the agent left");
  if (held_ && withholds_ && held_->status == 401 &&
      says_token_is_bad(filter_.headers(), filter_.body())) {
    held_.reset();
    withheld_ = true;
    co_return Result<>{};
  }
  http::Headers clean = trailers;
  scrub(*needles_, clean);
  if (held_ && held_length_ && held_body_.empty()) OCTROI_CO_CHECK(co_await let_go());
  if (held_ && clean.empty())
    co_return co_await agent_.respond(std::move(*held_), std::move(held_body_));
  if (held_) OCTROI_CO_CHECK(co_await let_go());
  co_return co_await agent_.finish(clean);
}

Task<Result<std::unique_ptr<net::Stream>>> GuardedExchange::upgrade(http::ResponseHead head) {
  std::ignore = head;
  co_return fail(http::Errc::unsupported, "a governed call cannot change its protocol");
}

void GuardedExchange::on_gone(void (*call)(void*), void* context) {
  // What may have cost something is not given up because nobody waits for it.
  if (to_the_end_) return;
  agent_.on_gone(call, context);
}

}  // namespace octroi::vault
