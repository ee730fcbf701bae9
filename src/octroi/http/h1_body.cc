#include "octroi/http/h1_body.h"

namespace octroi::http::h1 {

void BodyReader::begin(Framing framing) noexcept {
  framing_ = framing;
  fault_ = Fault::none;
  ended_ = framing.kind == BodyKind::none;
  in_trailers_ = false;
  left_ = framing.kind == BodyKind::length ? framing.length : 0;
  given_ = 0;
  if (!trailers_.empty()) trailers_.clear();
  if (framing.kind == BodyKind::chunked) {
    chunks_.reset();
    trailers_parser_.reset();
  }
}

BodyReader::Pull BodyReader::pull(ReadBuffer& buffer) {
  release(buffer);
  if (fault_ != Fault::none) return {Pull::What::fault, {}};
  if (ended_) return {Pull::What::end, {}};
  switch (framing_.kind) {
    case BodyKind::none:
      break;
    case BodyKind::length:
      return pull_length(buffer);
    case BodyKind::chunked:
      return in_trailers_ ? pull_trailers(buffer) : pull_chunked(buffer);
    case BodyKind::until_close:
      if (buffer.empty()) return {Pull::What::more, {}};
      return give(buffer.bytes());
  }
  return {Pull::What::end, {}};
}

BodyReader::Pull BodyReader::pull_length(ReadBuffer& buffer) noexcept {
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, buffer.size()));
  if (n == 0) return {Pull::What::more, {}};
  left_ -= n;
  ended_ = left_ == 0;
  return give(buffer.bytes().first(n));
}

BodyReader::Pull BodyReader::pull_chunked(ReadBuffer& buffer) {
  const ChunkDecoder::Piece piece = chunks_.next(buffer.text());
  switch (piece.what) {
    case ChunkDecoder::Piece::What::data:
      buffer.consume(piece.consumed - piece.data.size());
      return give(buffer.bytes().first(piece.data.size()));
    case ChunkDecoder::Piece::What::more:
      buffer.consume(piece.consumed);
      return {Pull::What::more, {}};
    case ChunkDecoder::Piece::What::end:
      buffer.consume(piece.consumed);
      in_trailers_ = true;
      return pull_trailers(buffer);
    case ChunkDecoder::Piece::What::fault:
      fault_ = chunks_.fault();
      return {Pull::What::fault, {}};
  }
  return {Pull::What::fault, {}};
}

BodyReader::Pull BodyReader::pull_trailers(ReadBuffer& buffer) {
  switch (trailers_parser_.parse(buffer.text())) {
    case Step::more:
      return {Pull::What::more, {}};
    case Step::fault:
      fault_ = trailers_parser_.fault();
      return {Pull::What::fault, {}};
    case Step::done:
      break;
  }
  trailers_parser_.copy_fields(trailers_);
  trailers_.filter(
      [](std::string_view name, std::string_view) { return !is_forbidden_trailer(name); });
  buffer.consume(trailers_parser_.size());
  ended_ = true;
  return {Pull::What::end, {}};
}

bool BodyReader::end_of_stream() noexcept {
  if (framing_.kind != BodyKind::until_close) return ended_;
  ended_ = true;
  return true;
}

}  // namespace octroi::http::h1
