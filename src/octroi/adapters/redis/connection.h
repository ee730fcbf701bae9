// octroi/adapters/redis/connection.h: one connection: pipelined commands over a net::Stream, each
// answered in order or all failed when it ends.
//
// Deadline  a command that is not answered in time ends the connection: what comes later would
//           answer something else.
// Ending    closed() becomes set, every command that waits fails, and so does every later one.
// Thread    its loop's.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/redis/reply.h"
#include "octroi/base/clock.h"
#include "octroi/base/function.h"
#include "octroi/net/stream.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::redis {

class Connection {
 public:
  using Done = UniqueFunction<void(Result<Reply>)>;

  Connection(net::Loop& loop, std::unique_ptr<net::Stream> stream, Millis deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Messages of channels, which answer no command.
  void on_push(std::function<void(const Reply&)> hear) { hear_ = std::move(hear); }

  void send(std::span<const std::string_view> words, Done done);
  Task<Result<Reply>> ask(std::vector<std::string> words);

  [[nodiscard]] Event& closed() { return closed_; }
  /// Why it ended.
  [[nodiscard]] const std::optional<Error>& why() const { return why_; }
  void close(Error why);

 private:
  static constexpr std::size_t kMostWaiting = 16'384;
  struct Waiting {
    std::uint64_t number;
    Millis until;
    Done done;
  };
  struct Flusher : net::Deferred {
    explicit Flusher(Connection& c)
        : Deferred([](Deferred& d) { static_cast<Flusher&>(d).connection.flush(); }),
          connection(c) {}
    Connection& connection;
  };

  Task<void> read();
  Task<void> write();
  Task<void> watch();
  void flush();
  void take(Reply reply);

  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
  const Millis deadline_;
  ReplyReader replies_;
  std::deque<Waiting> waiting_;
  std::uint64_t sent_ = 0;
  std::string out_;
  bool writing_ = false;  // the task has the rest
  Semaphore to_write_{0};
  std::function<void(const Reply&)> hear_;
  Event closed_;
  std::optional<Error> why_;
  Flusher flusher_{*this};
  TaskGroup tasks_;
};

}  // namespace octroi::redis
