// octroi/vault/inflate.h: an answer's body as it was before its Content-Encoding (RFC 9110 section
// 8.4.1): gzip, deflate (with and without its zlib wrapper) and br. What is compressed cannot be
// searched for a key.
//
// Memory   give() takes a piece, take() hands out at most 64 KiB at a time.
// Errors   Errc::encoded_answer: damaged, cut off or followed by more.
// Thread   one body.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/vault/errors.h"

namespace octroi::vault {

class Inflater {
 public:
  virtual ~Inflater() = default;
  /// What take() has not used yet stays.
  void give(std::string_view piece) { input_ += piece; }
  /// The next bytes; empty: it needs more.
  [[nodiscard]] virtual Result<std::string> take() = 0;
  /// Whether it ended where it should.
  [[nodiscard]] virtual bool complete() const = 0;

  /// For one coding of Content-Encoding; null for one that is not known.
  [[nodiscard]] static std::unique_ptr<Inflater> make(std::string_view coding);

 protected:
  std::string input_;
};

}  // namespace octroi::vault
