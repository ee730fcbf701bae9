#include "octroi/adapters/redis/connection.h"

#include <array>

namespace octroi::redis {

namespace {
constexpr Millis kLook{20};

Errc errc_of(const Error& e) {
  return e.is(net::Errc::timeout) ? Errc::timeout : Errc::unreachable;
}
}  // namespace

Connection::Connection(net::Loop& loop, std::unique_ptr<net::Stream> stream, Millis deadline)
    : loop_(loop), stream_(std::move(stream)), deadline_(deadline) {
  tasks_.start(read());
  tasks_.start(write());
  tasks_.start(watch());
}

Connection::~Connection() { close({Errc::unreachable, "redis: the connection was given up"}); }

void Connection::close(Error why) {
  if (closed_.is_set()) return;
  const RunScope scope;  // nobody who is told runs in here
  why_ = std::move(why);
  closed_.set();
  flusher_.cancel();
  stream_->close();
  auto waiting = std::exchange(waiting_, {});
  for (auto& w : waiting) w.done(fail(*why_));
}

void Connection::send(std::span<const std::string_view> words, Done done) {
  if (why_) return done(fail(*why_));
  if (waiting_.size() >= kMostWaiting) {
    return done(fail(Errc::unreachable, "redis: too many commands wait for an answer"));
  }
  write_command(out_, words);
  waiting_.push_back({++sent_, loop_.now() + deadline_, std::move(done)});
  // What others say in this turn of the loop goes out with it.
  if (!writing_ && !flusher_.queued()) loop_.defer_to_end(flusher_);
}

Task<Result<Reply>> Connection::ask(std::vector<std::string> words) {
  struct Answer {
    Event there;
    std::optional<Result<Reply>> reply;
  };
  const auto answer = std::make_shared<Answer>();  // whoever asked may be gone by then
  {
    const std::vector<std::string_view> views(words.begin(), words.end());
    send(views, [answer](Result<Reply> r) {
      answer->reply = std::move(r);
      answer->there.set();
    });
  }
  co_await answer->there.wait();
  co_return *std::move(answer->reply);
}

void Connection::flush() {
  while (!out_.empty()) {
    const std::array<ByteView, 1> parts = {as_bytes(out_)};
    const auto sent = stream_->write_now(parts);
    switch (sent.status) {
      case net::IoStatus::ok:
        out_.erase(0, sent.size);
        continue;
      case net::IoStatus::would_block:
        writing_ = true;
        to_write_.release();
        return;
      case net::IoStatus::eof:
      case net::IoStatus::error:
        close({Errc::unreachable, "redis: the connection was lost"});
        return;
    }
  }
}

Task<void> Connection::write() {
  while (!why_) {
    co_await to_write_.acquire();
    while (!out_.empty() && !why_) {
      const std::string now = std::exchange(out_, {});
      const auto written = co_await net::write_all(*stream_, as_bytes(now), deadline_);
      if (!written) close({errc_of(written.error()), "redis: it takes no more commands"});
    }
    writing_ = false;
  }
}

Task<void> Connection::read() {
  std::array<std::uint8_t, 16 * 1024> buffer{};
  while (!why_) {
    const auto size = co_await net::read_some(*stream_, buffer, Millis(0));
    if (why_) co_return;
    if (!size || *size == 0) {
      close({Errc::unreachable, "redis: the connection was lost"});
      co_return;
    }
    auto fed = replies_.feed(ByteView(buffer).first(*size));
    while (fed && !why_) {
      auto reply = replies_.next();
      if (!reply) {
        fed = fail(std::move(reply).error());
      } else if (*reply) {
        take(**std::move(reply));
      } else {
        break;
      }
    }
    if (!fed) close(std::move(fed).error());
  }
}

void Connection::take(Reply reply) {
  const bool push = reply.type == Reply::Type::list && !reply.items.empty() &&
                    reply.items.front().text == "message";
  if (push && hear_) return hear_(reply);
  if (waiting_.empty()) return close({Errc::protocol, "redis: it answers what nobody asked"});
  Done done = std::move(waiting_.front().done);
  waiting_.pop_front();
  done(std::move(reply));
}

/// Looks twice: when this thread itself stood still, the answer may be there unread.
Task<void> Connection::watch() {
  std::uint64_t late = 0;
  while (!why_) {
    co_await loop_.sleep(kLook);
    if (waiting_.empty() || waiting_.front().until > loop_.now()) continue;
    if (waiting_.front().number == late) {
      close({Errc::timeout, "redis: it does not answer"});
      co_return;
    }
    late = waiting_.front().number;
  }
}

}  // namespace octroi::redis
