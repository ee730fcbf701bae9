#include "octroi/base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/base/clock.h"

namespace octroi {

ErrorInfo error_info(LogErrc e) {
  switch (e) {
    case LogErrc::bad_level:
      return {"log.bad_level", ErrorKind::invalid};
    case LogErrc::bad_file:
      return {"log.bad_file", ErrorKind::invalid};
  }
  return {"log.unknown", ErrorKind::internal};
}

namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"trace", "debug", "info",
                                                         "warn",  "error", "off"};
constexpr std::size_t kLongestValue = 8192;

// ---- text ----

/// Length of the well-formed UTF-8 character at the front, or 0.
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // The second byte alone tells overlong forms, surrogates and what lies beyond U+10FFFF.
  const std::uint8_t second = byte(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
  return n;
}

/// Characters that end lines or steer a terminal though no byte of them is below 0x20: C1 controls,
/// the line and paragraph separators, and the marks that turn the direction of writing.
bool is_steering(std::string_view character) {
  if (character.size() == 2) {
    return character[0] == '\xc2' && static_cast<std::uint8_t>(character[1]) < 0xa0;
  }
  if (character.size() != 3 || character[0] != '\xe2') return false;
  const auto second = static_cast<std::uint8_t>(character[1]);
  const auto third = static_cast<std::uint8_t>(character[2]);
  return (second == 0x80 && third >= 0xa8 && third <= 0xae) ||
         (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

/// Control bytes, quotes and backslashes in JSON's form, which serves the text format as well; what
/// is not UTF-8 becomes U+FFFD, so that a JSON line is always valid.
void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (n == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
      continue;
    }
    const std::string_view character = text.substr(0, n);
    text.remove_prefix(n);
    const char c = character[0];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (n == 1 && (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else if (is_steering(character)) {
      unsigned point = n == 2 ? 0 : static_cast<std::uint8_t>(c) & 0x0fU;
      for (std::size_t i = 1; i < n; ++i)
        point = point << 6 | (static_cast<std::uint8_t>(character[i]) & 0x3fU);
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", n == 2 ? point | 0x80U : point);
    } else {
      out += character;
    }
  }
}

/// Whether the text format can show the value without quotes and stay easy to split.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

std::string shortened(std::string text) {
  if (text.size() <= kLongestValue) return text;
  std::size_t end = kLongestValue;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  const std::size_t cut = text.size() - end;
  text.resize(end);
  return text + fmt::format(" [{} bytes more]", cut);
}

/// A field whose name says that its value is a secret, whatever the value looks like.
bool is_secret_name(std::string_view key) {
  static constexpr std::array<std::string_view, 14> kNames = {
      "authorization", "cookie",     "receipt",  "secret",      "password",
      "passphrase",    "credential", "preimage", "macaroon",    "private_key",
      "seed",          "api_key",    "root_key", "access_token"};
  std::string name(key);
  for (char& c : name)
    c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view known) {
    return name == known || (name.size() > known.size() && name.ends_with(known) &&
                             name[name.size() - known.size() - 1] == '_');
  });
}

std::string clean(std::string_view text) { return shortened(redactor().redact(text)); }

std::string time_text(UnixMillis now) {
  std::string text = to_rfc3339(now);
  text.pop_back();
  return text + fmt::format(".{:03}Z", now.value - now.seconds() * 1000);
}

// ---- lines ----

struct Line {
  LogLevel level;
  std::string_view module;
  std::string_view event;
  std::initializer_list<LogField> fields;
};

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

/// Numbers and booleans as they are, text redacted; `quote` decides how the format shows text.
template <class Quote>
void append_value(std::string& out, const LogField& field, Quote quote) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    quote(out, is_secret_name(field.key) && !text->empty() ? "[redacted]" : clean(*text));
  } else if (const auto* truth = std::get_if<bool>(&field.value)) {
    out += *truth ? "true" : "false";
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *number);
  } else if (const auto* positive = std::get_if<std::uint64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *positive);
  }
}

std::string json_line(const Line& line) {
  std::string out =
      fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"module\":", time_text(system_clock().now()),
                  kLevelNames[static_cast<std::size_t>(line.level)]);
  append_json_string(out, line.module);
  out += ",\"event\":";
  append_json_string(out, clean(line.event));
  for (const LogField& field : line.fields) {
    out += ',';
    append_json_string(out, clean(field.key));
    out += ':';
    append_value(out, field, append_json_string);
  }
  out += "}\n";
  return out;
}

void append_text_value(std::string& out, std::string_view text) {
  if (is_plain(text)) {
    out += text;
  } else {
    append_json_string(out, text);
  }
}

std::string text_line(const Line& line) {
  std::string out = fmt::format("{} {:5} ", time_text(system_clock().now()),
                                kLevelNames[static_cast<std::size_t>(line.level)]);
  append_escaped(out, line.module);
  out += ": ";
  append_escaped(out, clean(line.event));
  for (const LogField& field : line.fields) {
    out += ' ';
    append_text_value(out, clean(field.key));
    out += '=';
    append_value(out, field, append_text_value);
  }
  out += '\n';
  return out;
}

// ---- where lines go ----

/// A file that renames itself to .1, and so on up to .keep, when it has grown; or stderr.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  ~Sink() { shut(); }

  [[nodiscard]] Result<> open_file(const LogConfig& config) {
    path_ = config.file;
    rotate_bytes_ = config.rotate_bytes;
    keep_ = std::max(config.rotate_keep, 0);
    if (path_.empty() || open_path()) return {};
    return fail(LogErrc::bad_file, fmt::format("log.file: cannot open {}: {}", path_,
                                               std::generic_category().message(errno)));
  }

  void write_line(std::string_view line) {
    if (rotate_bytes_ != 0 && fd_ != STDERR_FILENO && size_ != 0 &&
        size_ + line.size() > rotate_bytes_) {
      rotate();
    }
    size_ += line.size();
    while (!line.empty()) {
      const ssize_t n = ::write(fd_, line.data(), line.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;  // a full disk must not stop the service; the next line tries again
      line.remove_prefix(static_cast<std::size_t>(n));
    }
  }

 private:
  bool open_path() {
    const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    struct stat info{};
    size_ = fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
    fd_ = fd;
    return true;
  }
  void shut() {
    if (fd_ != STDERR_FILENO) close(std::exchange(fd_, STDERR_FILENO));
  }
  void rotate() {
    for (int i = keep_ - 1; i >= 1; --i) {
      std::rename(numbered(i).c_str(), numbered(i + 1).c_str());
    }
    if (keep_ > 0) {
      std::rename(path_.c_str(), numbered(1).c_str());
    } else {
      unlink(path_.c_str());
    }
    shut();
    open_path();  // on failure lines go to stderr rather than nowhere
  }
  [[nodiscard]] std::string numbered(int i) const { return fmt::format("{}.{}", path_, i); }

  std::string path_;
  std::uint64_t rotate_bytes_ = 0;
  int keep_ = 0;
  int fd_ = STDERR_FILENO;
  std::uint64_t size_ = 0;
};

/// What configure_log sets. The floor answers for most lines without a lock.
struct State {
  std::atomic<LogLevel> floor{LogLevel::info};
  std::atomic<bool> has_modules{false};
  std::shared_mutex settings_mutex;
  LogConfig config;
  std::mutex sink_mutex;
  std::unique_ptr<Sink> sink = std::make_unique<Sink>();
};

State& state() {
  static auto* const instance =
      new State;  // NOLINT(cppcoreguidelines-owning-memory): see redactor()
  return *instance;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  const auto found = std::find(kLevelNames.begin(), kLevelNames.end(), text);
  if (found == kLevelNames.end()) {
    return fail(LogErrc::bad_level, "a log level is trace, debug, info, warn, error or off");
  }
  return static_cast<LogLevel>(found - kLevelNames.begin());
}

Result<> configure_log(const LogConfig& config) {
  auto sink = std::make_unique<Sink>();
  OCTROI_CHECK(sink->open_file(config));
  LogLevel floor = config.level;
  for (const auto& [module, level] : config.modules) floor = std::min(floor, level);

  State& s = state();
  const std::unique_lock settings(s.settings_mutex);
  const std::lock_guard lock(s.sink_mutex);
  s.config = config;
  s.sink = std::move(sink);
  s.has_modules.store(!config.modules.empty());
  s.floor.store(floor);
  return {};
}

bool log_enabled(LogLevel level, std::string_view module) {
  State& s = state();
  if (level == LogLevel::off || level < s.floor.load(std::memory_order_relaxed)) return false;
  if (!s.has_modules.load(std::memory_order_relaxed)) return true;
  const std::shared_lock lock(s.settings_mutex);
  for (const auto& [name, least] : s.config.modules) {
    if (name == module) return level >= least;
  }
  return level >= s.config.level;
}

void log_line(LogLevel level, std::string_view module, std::string_view event,
              std::initializer_list<LogField> fields) {
  State& s = state();
  bool json = false;
  {
    const std::shared_lock lock(s.settings_mutex);
    json = s.config.json;
  }
  const Line line{level, module, event, fields};
  const std::string text = json ? json_line(line) : text_line(line);
  const std::lock_guard lock(s.sink_mutex);
  s.sink->write_line(text);
}

}  // namespace octroi
