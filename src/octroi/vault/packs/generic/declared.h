// octroi/vault/packs/generic/declared.h: what a request and its answer say at the places that an
// operation of the configuration declares.
//
// Errors   Errc::ambiguous, with the field.
// Thread   pure.
#pragma once

#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/policy/call.h"
#include "octroi/vault/pack.h"

namespace octroi::vault::generic {

/// Customers and amount, looked up below `root`. REQUIRES that call.fields has all fields.
[[nodiscard]] Result<> read_request(const OperationSettings& operation, const Input& input,
                                    const json::Value& root, policy::Call& call);

/// Of an answer whose status says that it was done: whether it was, what it made and what it cost.
void read_answer(const OperationSettings& operation, std::string_view body, Outcome& out);

}  // namespace octroi::vault::generic
