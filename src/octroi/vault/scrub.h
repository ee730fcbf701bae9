// octroi/vault/scrub.h: keeps a real key out of what agents are shown, however the vendor writes
// it.
//
// Found    the key in any case; in base64 and base64url at each of the three alignments, also with
//          line breaks; in hexadecimal; and all of these with any of their characters written as a
//          percent-escape, a JSON or JavaScript escape (\u0073, \x73, \/) or an HTML entity (named,
//          decimal, hexadecimal). One level: an encoding of an encoding is not looked into.
// Streams  a Scrubber holds back only what could still become a match, so that an event stream is
//          not delayed; a match across pieces is found.
// Instead  stands the needle's replacement, which any of these languages can hold.
// Thread   Needles are immutable; a Scrubber belongs to one body.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/secret.h"
#include "octroi/http/message.h"

namespace octroi::vault {

class Needles {
 public:
  Needles() = default;
  Needles(Needles&&) = default;
  Needles& operator=(Needles&&) = default;
  Needles(const Needles&) = delete;
  Needles& operator=(const Needles&) = delete;

  /// `replacement` is letters, digits and '_'. Secrets under 6 bytes are not searched for: they
  /// would be found in everything.
  void add(const Secret& secret, std::string replacement);
  [[nodiscard]] bool empty() const { return patterns_.empty(); }

  struct Look {
    enum class Found : std::uint8_t { no, perhaps, yes } found = Found::no;
    std::size_t size = 0;
    const std::string* replacement = nullptr;
  };
  /// Where one may begin, from `at` on; the end when nowhere.
  [[nodiscard]] std::size_t next(std::string_view text, std::size_t at) const {
    while (at < text.size() && !may_begin(text, at)) ++at;
    return at;
  }
  /// What begins at `at`. `whole`: nothing follows.
  [[nodiscard]] Look look(std::string_view text, std::size_t at, bool whole) const;

 private:
  enum class Case : std::uint8_t {
    folded,  // letters match in either case
    base64   // exact, '+' is '-', '/' is '_', and line breaks do not count
  };
  struct Pattern {
    Secret text;
    Case letters = Case::folded;
    std::size_t replacement = 0;
  };
  static bool same(char a, char wanted, Case letters);
  [[nodiscard]] bool may_begin(std::string_view text, std::size_t at) const {
    const auto first = static_cast<unsigned char>(text[at]);
    return begins_[first] &&
           (at + 1 == text.size() || second_[first].test(static_cast<unsigned char>(text[at + 1])));
  }
  Look match(const Pattern& p, std::string_view text, std::size_t at, std::size_t next,
             bool whole) const;
  void add_pattern(std::string text, Case letters, std::size_t replacement);

  std::vector<Pattern> patterns_;
  std::vector<std::string> replacements_;
  std::array<bool, 256> begins_{};                       // a pattern may begin with this byte
  std::array<std::vector<std::uint16_t>, 256> first_{};  // and these do
  std::array<std::bitset<256>, 256> second_{};           // and this byte may follow it then
};

/// Of a text that is there whole.
[[nodiscard]] std::string scrub(const Needles& needles, std::string_view text);
/// Values are cleaned; a field whose name holds a secret goes.
void scrub(const Needles& needles, http::Headers& headers);

class Scrubber {
 public:
  explicit Scrubber(std::shared_ptr<const Needles> needles) : needles_(std::move(needles)) {}
  /// What may be shown now.
  [[nodiscard]] std::string feed(std::string_view piece);
  /// The rest.
  [[nodiscard]] std::string finish();
  [[nodiscard]] std::uint64_t found() const { return found_; }

 private:
  std::string run(bool whole);
  std::shared_ptr<const Needles> needles_;
  std::string held_;
  std::uint64_t found_ = 0;
};

}  // namespace octroi::vault
