#include "octroi/app/access_log.h"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

ErrorInfo error_info(AccessLogErrc e) {
  switch (e) {
    case AccessLogErrc::cannot_open:
      return {"access-log.cannot-open", ErrorKind::invalid};
  }
  return {"access-log.unknown", ErrorKind::internal};
}

Result<std::unique_ptr<FileAccessLog>> FileAccessLog::open(const std::string& target,
                                                           MetricRegistry& metrics) {
  if (target == "stdout")
    return std::unique_ptr<FileAccessLog>(new FileAccessLog(stdout, false, metrics));
  const int fd = ::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  std::FILE* file = fd < 0 ? nullptr : ::fdopen(fd, "a");
  if (file == nullptr) {
    if (fd >= 0) ::close(fd);
    return fail(AccessLogErrc::cannot_open,
                "telemetry.access_log: cannot open '" + target + "' for appending");
  }
  return std::unique_ptr<FileAccessLog>(new FileAccessLog(file, true, metrics));
}

FileAccessLog::FileAccessLog(std::FILE* file, bool owned, MetricRegistry& metrics)
    : file_(file),
      owned_(owned),
      dropped_(metrics.counter("octroi_access_log_dropped_total",
                               "Requests that are missing in the access log")),
      thread_([this] { run(); }) {}

FileAccessLog::~FileAccessLog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (owned_) std::fclose(file_);
}

void FileAccessLog::write(const paywall::AccessRecord& record) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= kMaxQueued) {
      dropped_.add();
      return;
    }
    first = queue_.empty();
    queue_.push_back(record);
  }
  if (first) wake_.notify_one();
}

namespace {
std::string line_of(const paywall::AccessRecord& r) {
  json::Writer w;
  w.begin_object()
      .field("time", to_rfc3339(r.when))
      .field("request_id", r.request_id)
      .field("client", r.client)
      .field("method", r.method)
      .field("host", r.host)
      .field("path", r.path)
      .field("service", r.service);
  if (!r.scheme.empty()) w.field("scheme", r.scheme);
  if (!r.intent.empty()) w.field("intent", r.intent);
  if (!r.challenge_id.empty()) w.field("challenge_id", r.challenge_id);
  w.field("status", r.status)
      .field("outcome", r.outcome)
      .field("duration_us", r.duration_micros)
      .field("bytes", r.sent_bytes)
      .end_object();
  return redactor().redact(std::move(w).take()) + "\n";
}
}  // namespace

void FileAccessLog::run() {
  std::vector<paywall::AccessRecord> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::swap(batch, queue_);
    }
    std::string text;
    for (const auto& record : batch) text += line_of(record);
    batch.clear();
    std::fwrite(text.data(), 1, text.size(), file_);
    std::fflush(file_);
  }
}

}  // namespace octroi::app
