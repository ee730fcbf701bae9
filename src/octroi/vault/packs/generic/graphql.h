// octroi/vault/packs/generic/graphql.h: what a GraphQL request runs, read in the one way that
// leaves no second reading.
//
// A server gets the text of `query` as it came, so what is read here must be what every server
// reads, or nothing. Refused are thus texts outside the grammar, requests that run more than one
// operation, mutations that run more than one field, and the few things that the specification
// allows and servers read differently (graphql_lexer.h).
//
// Arguments are as the request gives them. What only the vendor's schema tells is not there: an
// argument's own default, and that one value stands for a list of it.
//
// Errors   Errc::ambiguous, with a message that names what is wrong and what to send instead.
// Thread   pure. The result owns what it holds.
// Source   GraphQL, October 2021, sections 2 and 6.4.1; GraphQL over HTTP, "Request".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::vault::generic {

struct GraphqlCall {
  enum class Kind : std::uint8_t { query, mutation } kind;
  /// Root fields by their names, not their aliases, in order; one that @skip leaves out, too.
  std::vector<std::string> fields;
  /// Of a mutation's only root field, variables filled in; an object. {} for queries.
  json::Document arguments;
};

/// Of a request's body. A request that runs something else than its body says ("?query=") is not
/// this function's to see.
[[nodiscard]] Result<GraphqlCall> read_graphql(const json::Value& body);

}  // namespace octroi::vault::generic
