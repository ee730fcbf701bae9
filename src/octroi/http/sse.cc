#include "octroi/http/sse.h"

#include <algorithm>
#include <charconv>

#include "octroi/http/char_class.h"

namespace octroi::http {

namespace {
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Digits and nothing else; a number that does not fit is ignored like any other text.
std::optional<std::uint64_t> milliseconds(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
}  // namespace

void SseFramer::feed(std::string_view piece) {
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    line_ -= begin_;
    scan_ -= begin_;
    begin_ = 0;
  }
  buffer_.append(piece);
}

/// The next whole line, without its end. A line ends at CRLF, LF or CR; at a CR it ends at once,
/// and a LF that follows is skipped.
bool SseFramer::take_line(std::string_view& line) {
  if (after_cr_ && line_ < buffer_.size()) {
    if (buffer_[line_] == '\n') ++line_;
    after_cr_ = false;
    scan_ = line_;
  }
  const std::size_t end = buffer_.find_first_of("\r\n", scan_);
  if (end == std::string::npos) {
    scan_ = buffer_.size();
    return false;
  }
  line = std::string_view(buffer_).substr(line_, end - line_);
  line_ = end + 1;
  if (buffer_[end] == '\r') {
    // A LF that is here already stays with its line; one that is not may still come.
    if (line_ == buffer_.size()) {
      after_cr_ = true;
    } else if (buffer_[line_] == '\n') {
      ++line_;
    }
  }
  scan_ = line_;
  return true;
}

void SseFramer::interpret(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) id_ = value;
  } else if (name == "retry") {
    if (const auto time = milliseconds(value)) retry_ = time;
  }
}

SseEvent SseFramer::take_event() {
  SseEvent event;
  event.bytes = std::string_view(buffer_).substr(begin_, line_ - begin_);
  begin_ = line_;
  last_id_ = id_;
  shown_type_.swap(type_);
  shown_data_.swap(data_);
  type_.clear();
  data_.clear();
  event.dispatched = std::exchange(has_data_, false);
  if (event.dispatched) {
    event.type = shown_type_;
    event.data = shown_data_;
  }
  return event;
}

Result<std::optional<SseEvent>> SseFramer::next() {
  if (!started_) {
    const std::string_view text = buffer_;
    if (text.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(text)) {
      return std::optional<SseEvent>();
    }
    if (text.starts_with(kByteOrderMark)) line_ = scan_ = kByteOrderMark.size();
    started_ = true;
  }
  std::string_view line;
  while (!failed_ && take_line(line)) {
    if (line_ - begin_ > max_event_) break;
    if (line.empty()) return std::optional<SseEvent>(take_event());
    interpret(line);
  }
  if (failed_ || pending() > max_event_) {
    failed_ = true;
    return fail(Errc::upstream_invalid, "an event of the stream is longer than can be kept");
  }
  return std::optional<SseEvent>();
}

std::optional<SseEvent> SseFramer::finish() {
  if (pending() == 0) return std::nullopt;
  if (after_cr_ && line_ < buffer_.size() && buffer_[line_] == '\n') ++line_;
  if (line_ < buffer_.size()) interpret(std::string_view(buffer_).substr(line_));
  line_ = scan_ = buffer_.size();
  after_cr_ = false;
  return take_event();
}

bool is_event_stream(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t last = type.find_last_not_of(" \t");
  return last != std::string_view::npos &&
         equal_ignoring_case(type.substr(0, last + 1), "text/event-stream");
}

std::string format_sse(std::string_view type, std::string_view data) {
  std::string out;
  if (!type.empty()) out.append("event: ").append(type).append("\n");
  for (;;) {
    const std::size_t end = data.find('\n');
    out.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return out += '\n';
}

}  // namespace octroi::http
