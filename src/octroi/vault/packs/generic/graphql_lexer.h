// octroi/vault/packs/generic/graphql_lexer.h: the tokens of a GraphQL document.
//
// Refused, beside what is no token, is what servers cut or read differently:
//   a carriage return without a line feed   ends a comment in graphql-js, not in graphql-ruby
//   U+0085, U+2028, U+2029                  end a line for some readers
//   1e3, 1.5-3                              other tokens in graphql-ruby's C parser
//   \u{…}                                   came with a later draft
//   "\\u0041"                               older graphql-ruby undoes escapes twice
//   a block string with a backslash, a carriage return, a fourth quote at its end, a tab in its
//   indentation, or a line of spaces at its beginning or end that is longer than the indentation
//
// Errors   Errc::ambiguous, with the line.
// Thread   pure.
// Source   GraphQL, October 2021, sections 2.1 and 2.9.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"

namespace octroi::vault::generic {

struct GraphqlToken {
  enum class Kind : std::uint8_t {
    punctuator,  // `{`, `...`
    name,        // keywords, too
    number,      // as it was written
    string,      // text is its value
    end          // behind the last
  } kind = Kind::end;
  std::string text;
  std::size_t at = 0;  // where it begins, in bytes
};

/// Most tokens of a document.
inline constexpr std::size_t kMostGraphqlTokens = 20'000;

/// The last of them is the end.
[[nodiscard]] Result<std::vector<GraphqlToken>> graphql_tokens(std::string_view document);

/// Errc::ambiguous: "query, line 3: …".
[[nodiscard]] tl::unexpected<Error> graphql_error(std::string_view document, std::size_t at,
                                                  std::string_view message);

/// Where a reader stands in the tokens of a document. REQUIRES that the last is the end.
class GraphqlCursor {
 public:
  GraphqlCursor(std::string_view document, std::vector<GraphqlToken> tokens)
      : document_(document), tokens_(std::move(tokens)) {}

  [[nodiscard]] const GraphqlToken& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  [[nodiscard]] bool at_end() const { return peek().kind == GraphqlToken::Kind::end; }
  [[nodiscard]] bool at(std::string_view punctuator) const {
    return peek().kind == GraphqlToken::Kind::punctuator && peek().text == punctuator;
  }
  [[nodiscard]] bool at_word(std::string_view word) const {
    return peek().kind == GraphqlToken::Kind::name && peek().text == word;
  }
  /// The token, which stays where it is.
  const GraphqlToken& advance() { return tokens_[next_++]; }
  bool take(std::string_view punctuator);
  [[nodiscard]] Result<> expect(std::string_view punctuator);
  /// "expected the name of a field"
  [[nodiscard]] Result<const GraphqlToken*> name(std::string_view of);
  [[nodiscard]] tl::unexpected<Error> wrong(const GraphqlToken& where,
                                            std::string_view message) const {
    return graphql_error(document_, where.at, message);
  }
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view message) const {
    return wrong(peek(), message);
  }

 private:
  std::string_view document_;
  std::vector<GraphqlToken> tokens_;
  std::size_t next_ = 0;
};

}  // namespace octroi::vault::generic
