#include "octroi/vault/inflate.h"

#include <utility>

#include <brotli/decode.h>
#include <zlib.h>

#include "octroi/http/headers.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

tl::unexpected<Error> damaged() {
  return fail(Errc::encoded_answer, "the vendor's answer is compressed and damaged");
}

class ZlibInflater final : public Inflater {
 public:
  enum class Is : std::uint8_t {
    gzip,
    deflate  // with a wrapper (RFC 1950), which some leave out
  };
  explicit ZlibInflater(Is is) : is_(is), unsure_(is == Is::deflate) { begin(15 + 32); }
  ~ZlibInflater() override { ::inflateEnd(&stream_); }
  ZlibInflater(const ZlibInflater&) = delete;
  ZlibInflater& operator=(const ZlibInflater&) = delete;

  Result<std::string> take() override {
    while (!input_.empty() || more_) {
      if (done_) OCTROI_CHECK(begin_next());
      if (unsure_) begun_ += input_;
      std::string out(kPiece, '\0');
      int code = run(out);
      if (code == Z_DATA_ERROR && unsure_ && stream_.total_out == 0) {
        unsure_ = false;
        ::inflateEnd(&stream_);
        begin(-15);
        input_ = std::exchange(begun_, {});
        code = run(out);
      }
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return damaged();
      if (stream_.total_out > 0) unsure_ = false;
      out.resize(kPiece - stream_.avail_out);
      input_.erase(0, input_.size() - stream_.avail_in);
      done_ = code == Z_STREAM_END;
      // It may hold more than had room, also where nothing more comes in.
      more_ = !done_ && stream_.avail_out == 0;
      if (!out.empty()) return out;
      if (!done_) break;
    }
    return std::string();
  }
  bool complete() const override { return done_ && input_.empty(); }

 private:
  void begin(int bits) {
    stream_ = {};
    ::inflateInit2(&stream_, bits);
  }
  /// RFC 1952 section 2.2: a file is one member after the other.
  Result<> begin_next() {
    if (is_ != Is::gzip) return damaged();
    ::inflateReset(&stream_);
    done_ = false;
    return {};
  }
  int run(std::string& out) {
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(input_.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    return ::inflate(&stream_, Z_NO_FLUSH);
  }

  z_stream stream_{};
  const Is is_;
  bool unsure_;        // nothing came out yet: it may have no wrapper
  std::string begun_;  // all that went in so far, while that is so
  bool more_ = false;
  bool done_ = false;
};

struct BrotliEnd {
  void operator()(BrotliDecoderState* s) const { ::BrotliDecoderDestroyInstance(s); }
};

class BrotliInflater final : public Inflater {
 public:
  BrotliInflater() : state_(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  Result<std::string> take() override {
    if (input_.empty() && !more_) return std::string();
    if (done_) return damaged();
    std::string out(kPiece, '\0');
    std::size_t left_in = input_.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(input_.data());
    std::size_t left_out = out.size();
    auto* to = reinterpret_cast<std::uint8_t*>(out.data());
    const auto code =
        ::BrotliDecoderDecompressStream(state_.get(), &left_in, &in, &left_out, &to, nullptr);
    if (code == BROTLI_DECODER_RESULT_ERROR) return damaged();
    out.resize(kPiece - left_out);
    input_.erase(0, input_.size() - left_in);
    more_ = code == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    done_ = code == BROTLI_DECODER_RESULT_SUCCESS;
    return out;
  }
  bool complete() const override { return done_ && input_.empty(); }

 private:
  std::unique_ptr<BrotliDecoderState, BrotliEnd> state_;
  bool more_ = false;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Inflater> Inflater::make(std::string_view coding) {
  using http::equal_ignoring_case;
  if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip"))
    return std::make_unique<ZlibInflater>(ZlibInflater::Is::gzip);
  if (equal_ignoring_case(coding, "deflate"))
    return std::make_unique<ZlibInflater>(ZlibInflater::Is::deflate);
  if (equal_ignoring_case(coding, "br")) return std::make_unique<BrotliInflater>();
  return nullptr;
}

}  // namespace octroi::vault
