// octroi/base/log.h: the one way to say something: levelled, per module, redacted.
//
//   OCTROI_LOG(info, "paywall", "settled", {{"service", name}, {"amount_msat", 1500}});
//
// Every line passes through the Redactor, which knows each secret that was loaded and the shapes of
// payment credentials, preimages and macaroons, so that a slip elsewhere still prints nothing.
// Thread: any thread; lines are whole.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi {

enum class LogErrc : std::uint8_t {
  bad_level,  // not trace, debug, info, warn, error or off
  bad_file,   // the log file cannot be opened
};
ErrorInfo error_info(LogErrc e);

/// Replaces what must not be seen by "[redacted]". Registering is rare, redacting is every line.
class Redactor {
 public:
  Redactor();
  ~Redactor();
  /// From now on the value, its hex, base64 and base64url forms are cut out of every sink.
  /// Values under 8 bytes are ignored: they would blank ordinary words.
  void add(const Secret& secret);
  void add_text(std::string_view secret);
  [[nodiscard]] std::string redact(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
/// The process's redactor, used by every sink.
[[nodiscard]] Redactor& redactor();

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, bool> value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  template <std::signed_integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::uint64_t>(v)) {}
};

struct LogConfig {
  LogLevel level = LogLevel::info;
  bool json = false;                         // one JSON object a line instead of text
  std::string file;                          // empty: stderr
  std::uint64_t rotate_bytes = 64ULL << 20;  // the file is renamed to .1 … .N beyond this size
  int rotate_keep = 5;
  std::vector<std::pair<std::string, LogLevel>> modules;  // overrides by module name
};
/// Applies to every later line. On error the previous settings stay.
[[nodiscard]] Result<> configure_log(const LogConfig& config);

[[nodiscard]] bool log_enabled(LogLevel level, std::string_view module);
void log_line(LogLevel level, std::string_view module, std::string_view event,
              std::initializer_list<LogField> fields = {});

}  // namespace octroi

/// Evaluates its fields only when the line will be written.
#define OCTROI_LOG(level_, module_, ...)                                      \
  do {                                                                        \
    if (::octroi::log_enabled(::octroi::LogLevel::level_, (module_)))         \
      ::octroi::log_line(::octroi::LogLevel::level_, (module_), __VA_ARGS__); \
  } while (false)
