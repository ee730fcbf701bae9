// octroi/paywall/open_report.h: what a price source is going to be told about one request, gathered
// while its answer passes. The report itself is in the store (ledger/usage_reports.h) from before
// the request goes out; one that is never finished is reported as unseen.
//
// Thread  the exchange's loop.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/http/message.h"
#include "octroi/http/relay.h"
#include "octroi/http/sse.h"
#include "octroi/ledger/usage_reports.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/pricing/pricer.h"

namespace octroi::paywall {

class OpenReport {
 public:
  /// Of an answer's body; usage stands at its end. Of an event stream that is longer also its
  /// beginning, where some vendors tell what went in.
  static constexpr std::size_t kTail = std::size_t{16} << 10;
  static constexpr std::size_t kBeginning = std::size_t{2} << 10;

  OpenReport(std::string id, ledger::ReportKind kind) : id_(std::move(id)), kind_(kind) {}

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] ledger::ReportKind kind() const { return kind_; }

  void head(const http::ResponseHead& head) {
    answer_.status = head.status;
    answer_.content_type = head.headers.get("Content-Type").value_or("");
    answer_.content_encoding = head.headers.get("Content-Encoding").value_or("");
    stream_ = http::is_event_stream(answer_.content_type);
  }
  void body(ByteView piece) {
    if (stream_ && beginning_.size() < kBeginning)
      beginning_ += as_text(piece).substr(0, kBeginning - beginning_.size());
    answer_.tail += as_text(piece);
    if (answer_.tail.size() > 2 * kTail) cut();
  }
  /// What is told. Nobody saw an answer that its client did not wait for; a session pays nothing
  /// for an upstream that gave none, and no source is asked about that.
  [[nodiscard]] ledger::ReportedAnswer ended(http::RelayState state, Fate fate) {
    cut();
    if (was_cut_ && stream_) {
      // Two blank lines end whatever event either piece was cut in.
      answer_.tail = beginning_ + "\n\n" + answer_.tail.substr(kBeginning + 2);
    }
    answer_.complete = state == http::RelayState::complete;
    switch (fate) {
      case Fate::delivered:
        break;
      case Fate::abandoned:
        answer_ = {pricing::kUnseen, "", "", false, ""};
        break;
      case Fate::failed:
        answer_ = {kind_ == ledger::ReportKind::session ? ledger::kNoAnswer : 502, "", "", false,
                   ""};
        break;
    }
    return std::move(answer_);
  }

 private:
  void cut() {
    if (answer_.tail.size() <= kTail) return;
    answer_.tail.erase(0, answer_.tail.size() - kTail);
    was_cut_ = true;
  }

  std::string id_;
  ledger::ReportKind kind_;
  ledger::ReportedAnswer answer_;
  bool stream_ = false;
  bool was_cut_ = false;
  std::string beginning_;
};

}  // namespace octroi::paywall
