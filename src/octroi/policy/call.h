// octroi/policy/call.h: what a vendor pack found out about one request, in words that are the same
// for every vendor. A policy judges this and nothing else, so what is not here cannot be allowed by
// mistake: what a pack could not find out is said as such, and refuses.
//
// Thread   values.
// Source   issue 6 "Policy", "Vendor packs".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/money/money.h"
#include "octroi/policy/currency.h"

namespace octroi::policy {

/// What a call does with money or in the world.
enum class Direction : std::uint8_t {
  read,     // changes nothing
  write,    // changes something, but moves no money and reaches nobody
  charge,   // takes money from a customer
  refund,   // gives it back
  payout,   // sends it elsewhere
  message,  // reaches somebody: text messages, calls, mail
  usage,    // costs the owner of the key: tokens of a model
};
/// "read", "write", "charge", …
[[nodiscard]] std::string_view to_string(Direction d);
[[nodiscard]] std::optional<Direction> direction_from_string(std::string_view text);

/// How much a call spends.
enum class AmountState : std::uint8_t {
  none,     // the call cannot spend anything
  known,    // `usd`, or `minor` with its currency
  unknown,  // it may spend, but its amount is not in the request (a capture, a price's id)
};

struct Call {
  std::string vendor;
  std::string operation;  // "charges.create"; empty: the pack does not know this one
  std::string method;     // upper case
  std::string path;       // canonical, without query
  Direction direction = Direction::write;

  AmountState amount = AmountState::none;
  std::optional<MicroUsd> usd;       // when the pack counts in dollars (estimates)
  std::optional<MinorAmount> minor;  // what stands in the request
  bool looked_up = false;  // the door has asked the vendor already: `lookup` is no answer any more

  std::vector<std::string> customers;
  bool customer_unknown = false;        // there is one, but only the vendor knows which
  std::vector<std::string> recipients;  // addresses, telephone numbers, destination accounts
  std::vector<std::string> countries;   // of the recipients, two capital letters each
  std::vector<std::string> sender_domains;
  std::vector<std::pair<std::string, std::string>> fields;  // of the body: name as sent, value
  bool unread = false;  // there is a body of which nobody knows the fields

  std::int64_t count = 1;  // calls or messages that this request stands for (a batch)
  std::string run, agent, key_id;
};

}  // namespace octroi::policy
