// octroi/http/h1_body.h: takes a message's body out of a connection's buffer, without copying it.
// Pure but for the buffer: no I/O. Internal to http.
#pragma once

#include "octroi/http/h1_buffer.h"
#include "octroi/http/h1_parser.h"

namespace octroi::http::h1 {

class BodyReader {
 public:
  explicit BodyReader(Limits trailer_limits)
      : trailers_parser_(HeadParser::Kind::trailers, trailer_limits) {}

  void begin(Framing framing) noexcept;

  struct Pull {
    enum class What : std::uint8_t { data, end, more, fault };
    What what = What::more;
    ByteView data;  // valid until the next call that touches the buffer
  };
  /// The next bytes that are in the buffer. Consumes what the call before gave out.
  [[nodiscard]] Pull pull(ReadBuffer& buffer);
  /// The peer ended: true when that is how this body ends.
  [[nodiscard]] bool end_of_stream() noexcept;

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] Fault fault() const noexcept { return fault_; }
  [[nodiscard]] Framing framing() const noexcept { return framing_; }
  /// Of a body of known length, what has not been given out.
  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
  [[nodiscard]] const Headers& trailers() const noexcept { return trailers_; }
  /// The bytes given out last are no longer needed.
  void release(ReadBuffer& buffer) noexcept {
    buffer.consume(given_);
    given_ = 0;
  }

 private:
  Pull pull_length(ReadBuffer& buffer) noexcept;
  Pull pull_chunked(ReadBuffer& buffer);
  Pull pull_trailers(ReadBuffer& buffer);
  Pull give(ByteView data) noexcept {
    given_ = data.size();
    return {Pull::What::data, data};
  }

  Framing framing_;
  Fault fault_ = Fault::none;
  bool ended_ = true;
  bool in_trailers_ = false;
  std::uint64_t left_ = 0;
  std::size_t given_ = 0;
  ChunkDecoder chunks_;
  HeadParser trailers_parser_;
  Headers trailers_;
};

}  // namespace octroi::http::h1
