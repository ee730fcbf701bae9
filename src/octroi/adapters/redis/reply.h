// octroi/adapters/redis/reply.h: the bytes of the Redis protocol (RESP2): commands out, replies in.
//
// Bounds   a reply nests at most 7 deep, has at most kMostItems elements and kMostBytes bytes; a
//          server that says more is no server of ours, and the connection ends.
// Errors   Errc::protocol. An error reply is a value: its words are the server's and may repeat
//          what was sent, so only its first word (code()) is ever shown.
// Thread   one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"

struct redisReader;

namespace octroi::redis {

enum class Errc : std::uint8_t {
  unreachable,  // no connection, or it was lost
  timeout,      // it does not answer
  protocol,     // what came is not RESP
  refused,      // it answered with an error
};
ErrorInfo error_info(Errc e);

struct Reply {
  enum class Type : std::uint8_t { nothing, integer, text, status, error, list };
  Type type = Type::nothing;
  std::int64_t integer = 0;
  std::string text;          // text, status, error
  std::vector<Reply> items;  // list

  [[nodiscard]] bool is_error() const { return type == Type::error; }
  /// Of an error: "NOSCRIPT", "WRONGPASS". Empty where there is no such word.
  [[nodiscard]] std::string_view code() const;
  /// The integer at this place of a list; 0 where there is none.
  [[nodiscard]] std::int64_t at(std::size_t i) const {
    return i < items.size() ? items[i].integer : 0;
  }
  bool operator==(const Reply&) const = default;
};

/// Appends one command.
void write_command(std::string& out, std::span<const std::string_view> words);

class ReplyReader {
 public:
  static constexpr std::size_t kMostItems = 4096;
  static constexpr std::size_t kMostBytes = 1 << 20;

  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  [[nodiscard]] Result<> feed(ByteView bytes);
  /// The next whole reply, or none yet.
  [[nodiscard]] Result<std::optional<Reply>> next();

 private:
  struct Building;
  struct Deleter {
    void operator()(redisReader* r) const;
  };
  std::unique_ptr<Building> building_;  // outlives the reader, which gives up its half reply
  std::unique_ptr<redisReader, Deleter> reader_;
  std::size_t unread_ = 0;  // bytes since the last whole reply
};

}  // namespace octroi::redis
