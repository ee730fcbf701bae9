// A policy that parses has one text, which parses to the same policy; judging any call by it keeps
// the promises of decide(): a denial counts nothing, and everything that is counted can be
// reserved.
#include <cstdlib>

#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/decide.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

octroi::policy::Call call_of(std::string_view text) {
  using namespace octroi::policy;
  Call c;
  c.vendor = "stripe";
  c.operation = text.size() % 3 == 0 ? "" : "charges.create";
  c.method = "POST";
  c.path = "/v1/charges";
  c.direction = static_cast<Direction>(text.size() % 7);
  c.amount = static_cast<AmountState>(text.size() % 3);
  c.minor = MinorAmount{static_cast<std::int64_t>(text.size()) * 977, "usd", MinorUnits::stripe};
  c.run = std::string(text.substr(0, 40));
  c.customers = {std::string(text.substr(0, 20))};
  c.recipients = {std::string(text.substr(0, 30))};
  c.fields = {{"currency", std::string(text.substr(0, 10))}};
  c.key_id = "k";
  return c;
}

void judge(const octroi::policy::Policy& policy, std::string_view text) {
  using namespace octroi;
  using namespace octroi::policy;
  const UnixMillis now{1'763'726'400'000};
  const Call call = call_of(text);
  const Decision d = decide(policy, call, {now, nullptr});
  require(d.verdict != Verdict::deny || (d.counted.empty() && !d.message.empty()));
  require(explain(policy, call, {now, nullptr}).checks.size() < 100'000);
  ledger::Reservation r;
  r.id = "id";
  r.amount = d.amount;
  r.holds = d.holds();
  r.now = now;
  require(d.counted.size() > 64 || ledger::check_reservation(r).has_value());
  if (policy.endpoints.empty()) require(d.verdict == Verdict::deny || policy.mode == Mode::shadow);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const policy::ZoneFinder zones = [](const std::string& name) -> Result<policy::ZonePtr> {
    if (name == "UTC") return policy::TimeZone::utc();
    return fail(policy::Errc::bad_zone, "none here");
  };
  const auto parsed = policy::parse_policy("bot", text, zones);
  if (!parsed) {
    require(!parsed.error().message().empty());
    return 0;
  }
  const auto again = policy::parse_policy("bot", parsed->text, zones);
  require(again.has_value());
  require(again->text == parsed->text && again->hash == parsed->hash);
  require(again->caps == parsed->caps && again->fields == parsed->fields);
  require(again->endpoints == parsed->endpoints && again->expires == parsed->expires);
  judge(*parsed, text);
  return 0;
}
