#include "octroi/adapters/redis/reply.h"

#include <algorithm>

#include <hiredis/hiredis.h>

namespace octroi::redis {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::unreachable:
      return {"redis.unreachable", ErrorKind::unavailable};
    case Errc::timeout:
      return {"redis.timeout", ErrorKind::timeout};
    case Errc::protocol:
      return {"redis.protocol", ErrorKind::unavailable};
    case Errc::refused:
      return {"redis.refused", ErrorKind::refused};
  }
  return {"redis.unknown", ErrorKind::internal};
}

std::string_view Reply::code() const {
  if (!is_error()) return {};
  const std::string_view word = std::string_view(text).substr(0, text.find(' '));
  const bool code = word.size() <= 32 && std::ranges::all_of(word, [](char c) {
                      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
                    });
  return code ? word : std::string_view{};
}

void write_command(std::string& out, std::span<const std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word);
    out.append("\r\n");
  }
}

/// hiredis finds where things end; what it finds is put straight into Reply.
struct ReplyReader::Building {
  Reply root;
  bool begun = false;

  Reply* place(const redisReadTask* task) {
    if (task->parent == nullptr) {
      root = {};
      begun = true;
      return &root;
    }
    return &static_cast<Reply*>(task->parent->obj)->items.at(static_cast<std::size_t>(task->idx));
  }

  static Building& of(const redisReadTask* task) { return *static_cast<Building*>(task->privdata); }
  static void* text(const redisReadTask* task, char* data, std::size_t size) {
    Reply* r = of(task).place(task);
    r->type = task->type == REDIS_REPLY_ERROR    ? Reply::Type::error
              : task->type == REDIS_REPLY_STATUS ? Reply::Type::status
                                                 : Reply::Type::text;
    r->text.assign(data, size);
    return r;
  }
  static void* list(const redisReadTask* task, int elements) {
    if (elements < 0 || static_cast<std::size_t>(elements) > kMostItems) return nullptr;
    Reply* r = of(task).place(task);
    r->type = Reply::Type::list;
    r->items.resize(static_cast<std::size_t>(elements));
    return r;
  }
  static void* integer(const redisReadTask* task, long long value) {
    Reply* r = of(task).place(task);
    r->type = Reply::Type::integer;
    r->integer = value;
    return r;
  }
  static void* nothing(const redisReadTask* task) { return of(task).place(task); }
  static void drop(void* /*root*/) {}

  static redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions all{text, list, integer, nothing, drop};
    return &all;
  }
};

void ReplyReader::Deleter::operator()(redisReader* r) const { redisReaderFree(r); }

ReplyReader::ReplyReader()
    : building_(std::make_unique<Building>()),
      reader_(redisReaderCreateWithFunctions(Building::functions())) {
  if (reader_) reader_->privdata = building_.get();
}
ReplyReader::~ReplyReader() = default;

Result<> ReplyReader::feed(ByteView bytes) {
  if (!reader_) return fail(Errc::protocol, "redis: no memory for its replies");
  unread_ += bytes.size();
  if (redisReaderFeed(reader_.get(), reinterpret_cast<const char*>(bytes.data()), bytes.size()) !=
      REDIS_OK) {
    return fail(Errc::protocol, "redis: what it answers is not its protocol");
  }
  return {};
}

Result<std::optional<Reply>> ReplyReader::next() {
  void* whole = nullptr;
  if (!reader_ || redisReaderGetReply(reader_.get(), &whole) != REDIS_OK) {
    return fail(Errc::protocol, "redis: what it answers is not its protocol");
  }
  if (whole == nullptr) {
    if (unread_ <= kMostBytes) return std::optional<Reply>();
    return fail(Errc::protocol, "redis: a reply is larger than any that was asked for");
  }
  unread_ = reader_->len - reader_->pos;
  return std::optional<Reply>(std::exchange(building_->root, {}));
}

}  // namespace octroi::redis
