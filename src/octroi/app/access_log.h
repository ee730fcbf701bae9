// octroi/app/access_log.h: one line a request, as JSON, to standard output or a file, through the
// redactor. Written by a thread of its own: a slow disk never slows a request.
//
// The queue is bounded; beyond the bound a line is counted in octroi_access_log_dropped_total
// instead of being written, so that what is missing can be seen. Thread: write from any.
#pragma once

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "octroi/base/metrics.h"
#include "octroi/base/result.h"
#include "octroi/paywall/shared.h"

namespace octroi::app {

enum class AccessLogErrc : std::uint8_t {
  cannot_open,  // the file cannot be opened for appending
};
ErrorInfo error_info(AccessLogErrc e);

class FileAccessLog final : public paywall::AccessLog {
 public:
  /// "stdout" or a path, which is created 0640.
  [[nodiscard]] static Result<std::unique_ptr<FileAccessLog>> open(const std::string& target,
                                                                   MetricRegistry& metrics);
  ~FileAccessLog() override;
  void write(const paywall::AccessRecord& record) override;

 private:
  FileAccessLog(std::FILE* file, bool owned, MetricRegistry& metrics);
  void run();

  static constexpr std::size_t kMaxQueued = 65'536;
  std::FILE* file_;
  bool owned_;
  Counter& dropped_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<paywall::AccessRecord> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace octroi::app
