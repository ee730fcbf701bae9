#include "octroi/http/prefixed_stream.h"

#include <algorithm>

namespace octroi::http {

namespace {

class PrefixedStream final : public net::Stream {
 public:
  PrefixedStream(std::unique_ptr<net::Stream> inner, ByteView prefix)
      : inner_(std::move(inner)), prefix_(prefix.begin(), prefix.end()) {}

  net::IoResult read_now(std::span<std::uint8_t> into) override {
    if (used_ == prefix_.size()) return inner_->read_now(into);
    const std::size_t n = std::min(into.size(), prefix_.size() - used_);
    std::copy_n(prefix_.begin() + static_cast<std::ptrdiff_t>(used_), n, into.begin());
    used_ += n;
    if (used_ == prefix_.size()) {
      prefix_ = {};
      used_ = 0;
    }
    return {net::IoStatus::ok, n};
  }
  net::IoResult write_now(std::span<const ByteView> parts) override {
    return inner_->write_now(parts);
  }
  void shutdown_write() override { inner_->shutdown_write(); }
  void close() noexcept override { inner_->close(); }
  [[nodiscard]] net::Endpoint peer() const override { return inner_->peer(); }
  [[nodiscard]] net::Loop& loop() override { return inner_->loop(); }
  [[nodiscard]] std::string_view alpn() const override { return inner_->alpn(); }
  [[nodiscard]] bool is_tls() const override { return inner_->is_tls(); }
  [[nodiscard]] bool peer_gone() noexcept override {
    return used_ == prefix_.size() && inner_->peer_gone();
  }
  // Waiting happens after would_block only, and by then the prefix has been read.
  void arm(net::Direction d, Waiter& w, Millis timeout) override { inner_->arm(d, w, timeout); }
  void disarm(net::Direction d) noexcept override { inner_->disarm(d); }

 private:
  std::unique_ptr<net::Stream> inner_;
  Bytes prefix_;
  std::size_t used_ = 0;
};

}  // namespace

std::unique_ptr<net::Stream> with_prefix(std::unique_ptr<net::Stream> stream, ByteView prefix) {
  if (prefix.empty()) return stream;
  return std::make_unique<PrefixedStream>(std::move(stream), prefix);
}

}  // namespace octroi::http
