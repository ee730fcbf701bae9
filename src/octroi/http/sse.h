// octroi/http/sse.h: cuts an event stream (text/event-stream) into its events, wherever the borders
// of its pieces fall, and keeps the exact bytes of each, so that it can be passed on unchanged.
//
//   framer.feed(piece);
//   for (;;) {
//     OCTROI_TRY(const auto event, framer.next());
//     if (!event) break;            // what is left over waits for the next piece
//     pass_on(event->bytes);
//   }
//   if (auto rest = framer.finish()) pass_on(rest->bytes);   // when the stream has ended
//
// The bytes of all events and of the rest, one after the other, are the bytes that were fed. An
// event is given as soon as its blank line is there: when that line ends in a CR and a LF comes
// only with the next piece, the LF opens the bytes of the next event.
//
// Errors  Errc::upstream_invalid: an event longer than the limit. Nothing comes after it.
// Thread  a value; one stream.
// Source  WHATWG HTML, "Server-sent events": parsing and interpreting an event stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/http/message.h"

namespace octroi::http {

/// Views into the framer: until its next call.
struct SseEvent {
  std::string_view bytes;  // as they came, the blank line included
  std::string_view type;   // of its `event` field; empty: "message"
  std::string_view data;   // its `data` fields, with LF between them
  /// What a reader gets to see: an event without a `data` field (a comment, a bare `id`) is none.
  bool dispatched = false;
};

class SseFramer {
 public:
  static constexpr std::size_t kMaxEvent = std::size_t{8} << 20;
  explicit SseFramer(std::size_t max_event = kMaxEvent) : max_event_(max_event) {}

  void feed(std::string_view piece);
  [[nodiscard]] Result<std::optional<SseEvent>> next();
  /// What came after the last blank line. A strict reader drops it, many do not: when it has data
  /// it counts as dispatched.
  [[nodiscard]] std::optional<SseEvent> finish();

  /// Of the last event that was given with it (reconnecting readers send it back).
  [[nodiscard]] const std::string& last_id() const { return last_id_; }
  /// The last `retry` field, in milliseconds.
  [[nodiscard]] std::optional<std::uint64_t> retry() const { return retry_; }
  /// Bytes that wait for the end of their event.
  [[nodiscard]] std::size_t pending() const { return buffer_.size() - begin_; }

 private:
  [[nodiscard]] bool take_line(std::string_view& line);
  void interpret(std::string_view line);
  [[nodiscard]] SseEvent take_event();

  std::size_t max_event_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of the event under way
  std::size_t line_ = 0;   // begin of the line under way
  std::size_t scan_ = 0;   // before it there is no end of that line
  bool started_ = false;   // past a byte order mark
  bool after_cr_ = false;  // a LF that comes now belongs to the line before
  bool failed_ = false;

  std::string type_;
  std::string data_;
  bool has_data_ = false;
  std::string id_;  // becomes last_id_ with its event
  std::string last_id_;
  std::optional<std::uint64_t> retry_;
  std::string shown_type_;  // of the event that was given last
  std::string shown_data_;
};

/// Whether a Content-Type names an event stream, whatever its parameters.
[[nodiscard]] bool is_event_stream(std::string_view content_type);

/// An event as bytes: `data` is cut into its lines.
[[nodiscard]] std::string format_sse(std::string_view type, std::string_view data);

}  // namespace octroi::http
