// octroi/policy/policy_testing.h: short ways to make policies and calls. For tests only.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "octroi/policy/decide.h"

namespace octroi::policy {

inline constexpr UnixMillis kNow{1'763'726'400'000};  // 2025-11-21T12:00:00Z

inline ZoneFinder system_zones() {
  return [](const std::string& name) { return TimeZone::load(name); };
}

inline Policy policy_of(std::string_view text) {
  auto parsed = parse_policy("bot", text, system_zones());
  if (!parsed) {
    ADD_FAILURE() << parsed.error().message() << "\n" << text;
    return {};
  }
  return *std::move(parsed);
}

/// A policy for Stripe with these members.
inline Policy stripe_policy(std::string_view members = "") {
  return policy_of(fmt::format(R"({{"vendor":"stripe","endpoints":["*"]{}{}}})",
                               members.empty() ? "" : ",", members));
}

/// A charge of that many cents for cus_1.
inline Call charge_call(std::int64_t cents, std::string currency = "usd") {
  Call c;
  c.vendor = "stripe";
  c.operation = "charges.create";
  c.method = "POST";
  c.path = "/v1/charges";
  c.direction = Direction::charge;
  c.amount = AmountState::known;
  c.minor = MinorAmount{cents, std::move(currency), MinorUnits::stripe};
  c.customers = {"cus_1"};
  c.fields = {{"amount", std::to_string(cents)}, {"currency", "usd"}};
  c.key_id = "k1";
  c.run = "run-1";
  c.agent = "helper";
  return c;
}

inline Call message_call(std::string to) {
  Call c;
  c.vendor = "stripe";
  c.operation = "messages.create";
  c.method = "POST";
  c.path = "/messages";
  c.direction = Direction::message;
  c.recipients = {std::move(to)};
  c.key_id = "k1";
  return c;
}

inline Call read_call() {
  Call c;
  c.vendor = "stripe";
  c.operation = "customers.list";
  c.method = "GET";
  c.path = "/v1/customers";
  c.direction = Direction::read;
  c.key_id = "k1";
  return c;
}

inline Decision judged(const Policy& policy, const Call& call, UnixMillis now = kNow,
                       const Rates* rates = nullptr) {
  return decide(policy, call, {now, rates});
}

}  // namespace octroi::policy
