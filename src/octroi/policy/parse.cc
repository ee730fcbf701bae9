#include <algorithm>
#include <set>
#include <utility>

#include "octroi/crypto/hash.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/currency.h"
#include "octroi/policy/text.h"

namespace octroi::policy {
namespace {

constexpr std::size_t kMaxEntries = 1000;                   // of a list
constexpr std::size_t kMaxText = 512;                       // bytes of an entry
constexpr std::int64_t kMostExact = std::int64_t{1} << 53;  // what every reader of JSON gets right
constexpr Millis kShortest = Millis(1000);
constexpr Millis kLongestDedupe = std::chrono::hours(24 * 7);
constexpr Millis kLongestBrake = std::chrono::hours(24);

tl::unexpected<Error> wrong(std::string_view path, std::string_view what) {
  return fail(Errc::bad_policy, fmt::format("{}: {}", path, what));
}

bool is_printable(std::string_view text) {
  return !text.empty() && text.size() <= kMaxText && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

/// An object whose keys are all asked for; a key that nobody asked for is an error.
class Section {
 public:
  [[nodiscard]] static Result<Section> of(const json::Value& value, std::string path) {
    if (!value.is_object()) return wrong(path.empty() ? "the policy" : path, "not an object");
    return Section(value, std::move(path));
  }

  [[nodiscard]] std::string path(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }
  [[nodiscard]] std::optional<json::Value> take(std::string_view key) {
    asked_.insert(std::string(key));
    return value_.find(key);
  }

  [[nodiscard]] Result<std::optional<std::string>> text(std::string_view key) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    auto text = value->as_string();
    if (!text || !is_printable(*text)) return wrong(path(key), "write a text of 1 to 512 bytes");
    return std::string(*text);
  }

  [[nodiscard]] Result<std::optional<MicroUsd>> dollars(std::string_view key) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    const auto text = value->as_string();
    if (!text) return wrong(path(key), "write an amount in dollars, like \"50 usd\"");
    auto amount = parse_usd(*text);
    if (!amount || amount->count() > ledger::kMaxSpend /* raw: bounded */) {
      return wrong(path(key), "write an amount in dollars, like \"50 usd\"");
    }
    return *amount;
  }

  [[nodiscard]] Result<std::optional<std::int64_t>> count(std::string_view key) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    auto n = value->as_int64();
    if (!n || *n < 0 || *n > ledger::kMaxSpend) return wrong(path(key), "write a whole number");
    return *n;
  }

  [[nodiscard]] Result<std::optional<Millis>> duration(std::string_view key, Millis longest) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    const auto text = value->as_string();
    const auto parsed = text ? parse_duration(*text) : std::nullopt;
    if (!parsed || *parsed < kShortest || *parsed > longest) {
      return wrong(path(key), fmt::format("write a duration from 1s to {}, like \"60s\"",
                                          format_duration(longest)));
    }
    return *parsed;
  }

  template <class E>
  [[nodiscard]] Result<std::optional<E>> word(std::string_view key, std::string_view choices,
                                              std::optional<E> (*find)(std::string_view)) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    const auto text = value->as_string();
    const auto found = text ? find(*text) : std::nullopt;
    if (!found) return wrong(path(key), fmt::format("write one of {}", choices));
    return *found;
  }

  /// A list of texts; one text alone is a list of one.
  [[nodiscard]] Result<std::optional<std::vector<std::string>>> list(std::string_view key) {
    const auto value = take(key);
    if (!value) return std::nullopt;
    std::vector<std::string> out;
    if (value->is_string()) {
      OCTROI_TRY(auto text, one_text(*value, path(key)));
      out.push_back(std::move(text));
      return out;
    }
    if (!value->is_array()) return wrong(path(key), "write a list of texts");
    std::set<std::string> seen;
    for (const json::Value& item : value->elements()) {
      OCTROI_TRY(auto text, one_text(item, fmt::format("{}[{}]", path(key), out.size())));
      if (!seen.insert(text).second) {
        return wrong(fmt::format("{}[{}]", path(key), out.size()), "stands there twice");
      }
      out.push_back(std::move(text));
      if (out.size() > kMaxEntries) return wrong(path(key), "at most 1000 entries");
    }
    return out;
  }

  /// Each element of a list of objects; one object alone is a list of one.
  template <class T, class Parse>
  [[nodiscard]] Result<std::vector<T>> sections(std::string_view key, Parse parse) {
    std::vector<T> out;
    const auto value = take(key);
    if (!value) return out;
    if (!value->is_array()) return wrong(path(key), "write a list");
    for (const json::Value& item : value->elements()) {
      OCTROI_TRY(auto section, Section::of(item, fmt::format("{}[{}]", path(key), out.size())));
      OCTROI_TRY(T parsed, parse(section));
      OCTROI_CHECK(section.finish());
      out.push_back(std::move(parsed));
      if (out.size() > 32) return wrong(path(key), "at most 32 entries");
    }
    return out;
  }

  [[nodiscard]] Result<> finish() const {
    for (const auto& [key, value] : value_.members()) {
      if (asked_.contains(std::string(key))) continue;
      std::string known;
      for (const std::string& name : asked_) known += (known.empty() ? "" : ", ") + name;
      return wrong(path(key), fmt::format("is not known here; there are {}", known));
    }
    return {};
  }

 private:
  Section(const json::Value& value, std::string path) : value_(value), path_(std::move(path)) {}
  [[nodiscard]] static Result<std::string> one_text(const json::Value& value,
                                                    std::string_view path) {
    const auto text = value.as_string();
    if (!text || !is_printable(*text)) return wrong(path, "write a text of 1 to 512 bytes");
    return std::string(*text);
  }

  json::Value value_;
  std::string path_;
  std::set<std::string> asked_;
};

constexpr std::string_view kDirections = "charge, refund, payout, message, usage, write, read";

Result<std::vector<Endpoint>> parse_endpoints(Section& in, std::string_view key) {
  std::vector<Endpoint> out;
  OCTROI_TRY(const auto texts, in.list(key));
  if (!texts) return out;
  for (std::size_t i = 0; i < texts->size(); ++i) {
    auto endpoint = parse_endpoint((*texts)[i]);
    if (!endpoint) {
      return wrong(fmt::format("{}[{}]", in.path(key), i), std::move(endpoint).error().message());
    }
    out.push_back(*std::move(endpoint));
  }
  return out;
}

Result<Cap> parse_cap(Section& in) {
  Cap cap;
  OCTROI_TRY(const auto period,
             in.word<Period>("per", "hour, day, month, run, lifetime", &period_from_string));
  if (!period) return wrong(in.path("per"), "is missing: hour, day, month, run or lifetime");
  cap.period = *period;
  OCTROI_TRY(cap.direction, in.word<Direction>("direction", kDirections, &direction_from_string));
  OCTROI_TRY(const auto by, in.word<CountedBy>("by", "policy, key, agent, run, customer",
                                               &counted_by_from_string));
  cap.by = by.value_or(CountedBy::policy);
  OCTROI_TRY(const auto budget, in.text("budget"));
  if (budget) {
    if (!is_policy_name(*budget)) {
      return wrong(in.path("budget"), "a name of letters, digits, '-', '_' and '.'");
    }
    cap.budget = *budget;
  }
  OCTROI_TRY(cap.usd, in.dollars("usd"));
  OCTROI_TRY(cap.calls, in.count("calls"));
  if (!cap.usd && !cap.calls) return wrong(in.path("usd"), "is missing, and calls as well");
  if (cap.usd && cap.direction == Direction::read) {
    return wrong(in.path("usd"), "reads move no money; write calls");
  }
  return cap;
}

/// The short keys; they stand before those of `caps`.
Result<std::vector<Cap>> parse_caps(Section& in) {
  std::vector<Cap> caps;
  constexpr std::pair<std::string_view, Period> kShort[] = {{"hourly_cap", Period::hour},
                                                            {"daily_cap", Period::day},
                                                            {"monthly_cap", Period::month},
                                                            {"run_cap", Period::run},
                                                            {"lifetime_cap", Period::lifetime}};
  for (const auto& [key, period] : kShort) {
    OCTROI_TRY(const auto usd, in.dollars(key));
    if (!usd) continue;
    Cap cap;
    cap.period = period;
    cap.usd = *usd;
    caps.push_back(std::move(cap));
  }
  OCTROI_TRY(auto more, in.sections<Cap>("caps", &parse_cap));
  std::ranges::move(more, std::back_inserter(caps));
  std::set<std::string> seen;
  for (const Cap& cap : caps) {
    for (const bool dollars : {true, false}) {
      if (!(dollars ? cap.usd.has_value() : cap.calls.has_value())) continue;
      const auto what = fmt::format("{}{}{}{}{}", static_cast<int>(cap.period),
                                    cap.direction ? to_string(*cap.direction) : "",
                                    static_cast<int>(cap.by), dollars, cap.budget);
      if (!seen.insert(what).second) {
        return wrong(in.path("caps"),
                     fmt::format("two caps say how much in {} {}", dollars ? "usd a" : "calls a",
                                 to_string(cap.period)));
      }
    }
  }
  return caps;
}

Result<std::vector<DirectionLimit>> parse_max_amounts(Section& in) {
  std::vector<DirectionLimit> out;
  const auto value = in.take("max_amounts");
  if (!value) return out;
  OCTROI_TRY(auto section, Section::of(*value, in.path("max_amounts")));
  for (const Direction d : {Direction::charge, Direction::refund, Direction::payout,
                            Direction::message, Direction::usage}) {
    OCTROI_TRY(const auto usd, section.dollars(to_string(d)));
    if (usd) out.push_back({d, *usd});
  }
  OCTROI_CHECK(section.finish());
  return out;
}

Result<FieldRule> parse_field_rule(Section& in) {
  FieldRule rule;
  OCTROI_TRY(auto field, in.text("field"));
  if (!field) return wrong(in.path("field"), "is missing");
  rule.field = *std::move(field);
  int tests = 0;
  for (const FieldTest test : {FieldTest::one_of, FieldTest::none_of, FieldTest::like}) {
    OCTROI_TRY(auto values, in.list(to_string(test)));
    if (!values) continue;
    if (values->empty()) return wrong(in.path(to_string(test)), "names nothing");
    rule.test = test;
    rule.values = *std::move(values);
    ++tests;
  }
  for (const FieldTest test : {FieldTest::at_most, FieldTest::at_least}) {
    const auto value = in.take(to_string(test));
    if (!value) continue;
    const auto n = value->as_int64();
    if (!n || *n > kMostExact || *n < -kMostExact) {
      return wrong(in.path(to_string(test)), "write a whole number");
    }
    rule.test = test;
    rule.bound = *n;
    ++tests;
  }
  for (const FieldTest test : {FieldTest::present, FieldTest::absent}) {
    const auto value = in.take(to_string(test));
    if (!value) continue;
    const auto yes = value->as_bool();
    if (!yes || !*yes) return wrong(in.path(to_string(test)), "write true, or leave it out");
    rule.test = test;
    ++tests;
  }
  if (tests != 1) {
    return wrong(in.path("field"),
                 "needs one of one_of, none_of, like, at_most, at_least, present, absent");
  }
  OCTROI_TRY(rule.endpoints, parse_endpoints(in, "endpoints"));
  return rule;
}

std::optional<BrakeAction> brake_action_from_string(std::string_view text) {
  if (text == to_string(BrakeAction::deny)) return BrakeAction::deny;
  if (text == to_string(BrakeAction::pause)) return BrakeAction::pause;
  return std::nullopt;
}

Result<std::optional<Brake>> parse_brake(Section& in) {
  const auto value = in.take("velocity");
  if (!value) return std::nullopt;
  OCTROI_TRY(auto section, Section::of(*value, in.path("velocity")));
  Brake brake;
  OCTROI_TRY(brake.calls, section.count("calls"));
  OCTROI_TRY(brake.usd, section.dollars("usd"));
  OCTROI_TRY(const auto per, section.duration("per", kLongestBrake));
  OCTROI_TRY(const auto then,
             section.word<BrakeAction>("then", "deny, pause", &brake_action_from_string));
  OCTROI_TRY(const auto by, section.word<CountedBy>("by", "policy, key, agent, run, customer",
                                                    &counted_by_from_string));
  OCTROI_CHECK(section.finish());
  if (!brake.calls && !brake.usd) {
    return wrong(section.path("calls"), "is missing, and usd as well");
  }
  if (!per) return wrong(section.path("per"), "is missing, like \"10s\"");
  brake.per = *per;
  brake.then = then.value_or(BrakeAction::deny);
  brake.by = by.value_or(CountedBy::key);
  return brake;
}

std::optional<WhenUnknown> for_amount(std::string_view text) {
  for (const WhenUnknown w : {WhenUnknown::deny, WhenUnknown::lookup, WhenUnknown::assume_max}) {
    if (text == to_string(w)) return w;
  }
  return std::nullopt;
}

std::optional<WhenUnknown> for_customer(std::string_view text) {
  const auto found = for_amount(text);
  return found == WhenUnknown::assume_max ? std::nullopt : found;
}

std::optional<Mode> mode_from_string(std::string_view text) {
  if (text == to_string(Mode::enforce)) return Mode::enforce;
  if (text == to_string(Mode::shadow)) return Mode::shadow;
  return std::nullopt;
}

// --- lists ---

Result<> parse_countries(Section& in, Policy& policy) {
  OCTROI_TRY(auto list, in.list("countries"));
  for (std::string& code : list.value_or(std::vector<std::string>{})) {
    for (char& c : code) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    const bool letters = std::ranges::all_of(code, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (code.size() != 2 || !letters) {
      return wrong(in.path("countries"), fmt::format("\"{}\" is not two letters, like DE", code));
    }
    policy.countries.push_back(std::move(code));
  }
  return {};
}

Result<> parse_people(Section& in, Policy& policy) {
  for (const std::string_view key : {"customers", "recipients", "countries", "senders"}) {
    const auto list = in.take(key);
    if (list && list->is_array() && list->size() == 0) {
      return wrong(in.path(key), "names nobody: leave it out where anybody is meant");
    }
  }
  OCTROI_TRY(auto customers, in.list("customers"));
  policy.customers = std::move(customers).value_or(std::vector<std::string>{});
  OCTROI_TRY(auto recipients, in.list("recipients"));
  for (const std::string& pattern : recipients.value_or(std::vector<std::string>{})) {
    if (!is_plain_address(pattern)) {
      return wrong(in.path("recipients"), fmt::format("\"{}\" is not an address, a number or a "
                                                      "pattern like *@example.com or +49*",
                                                      pattern));
    }
    policy.recipients.push_back(folded(pattern));
  }
  OCTROI_CHECK(parse_countries(in, policy));
  OCTROI_TRY(auto senders, in.list("senders"));
  for (const std::string& sender : senders.value_or(std::vector<std::string>{})) {
    policy.senders.push_back(folded(sender));
    if (!is_domain_pattern(policy.senders.back())) {
      return wrong(in.path("senders"),
                   fmt::format("\"{}\" is not a domain like example.com or *.example.com", sender));
    }
  }
  return {};
}

Result<> parse_time(Section& in, Policy& policy, const ZoneFinder& zones) {
  OCTROI_TRY(const auto zone, in.text("time_zone"));
  if (zone) {
    auto found = zones(*zone);
    if (!found) return wrong(in.path("time_zone"), found.error().message());
    policy.time_zone = *std::move(found);
  }
  OCTROI_TRY(const auto expires, in.text("expires"));
  if (!expires) return {};
  const auto when = from_rfc3339(*expires);
  if (!when) {
    return wrong(in.path("expires"), "write a date and time like 2026-12-31T00:00:00Z");
  }
  policy.expires = UnixMillis{when->seconds() * 1000};
  return {};
}

/// Fields that only make sense together.
Result<> check_whole(const Policy& policy) {
  if (policy.unknown_amount == WhenUnknown::assume_max && !policy.max_amount) {
    return wrong("unknown_amount", "assume_max needs max_amount");
  }
  for (const DirectionLimit& limit : policy.max_amounts) {
    if (policy.max_amount && limit.usd > *policy.max_amount) {
      return wrong(fmt::format("max_amounts.{}", to_string(limit.direction)),
                   "is more than max_amount");
    }
  }
  return {};
}

}  // namespace

bool is_policy_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Result<Policy> parse_policy(std::string name, const json::Value& document,
                            const ZoneFinder& zones) {
  Policy p;
  if (!is_policy_name(name)) {
    return wrong("name", "1 to 64 letters, digits, '-', '_' and '.'");
  }
  p.name = std::move(name);
  OCTROI_TRY(Section in, Section::of(document, ""));
  OCTROI_TRY(const auto vendor, in.text("vendor"));
  if (!vendor) return wrong("vendor", "is missing");
  p.vendor = *vendor;
  OCTROI_TRY(const auto mode, in.word<Mode>("mode", "enforce, shadow", &mode_from_string));
  p.mode = mode.value_or(Mode::enforce);
  OCTROI_TRY(p.endpoints, parse_endpoints(in, "endpoints"));
  OCTROI_TRY(p.max_amount, in.dollars("max_amount"));
  OCTROI_TRY(p.max_amounts, parse_max_amounts(in));
  OCTROI_TRY(p.caps, parse_caps(in));
  OCTROI_CHECK(parse_people(in, p));
  OCTROI_CHECK(parse_time(in, p, zones));
  OCTROI_TRY(p.fields, in.sections<FieldRule>("fields", &parse_field_rule));
  OCTROI_TRY(p.velocity, parse_brake(in));
  OCTROI_TRY(p.approve_over, in.dollars("approve_over"));
  OCTROI_TRY(p.approve, parse_endpoints(in, "approve"));
  OCTROI_TRY(const auto dedupe, in.duration("dedupe", kLongestDedupe));
  p.dedupe = dedupe.value_or(Millis{});
  OCTROI_TRY(const auto amount,
             in.word<WhenUnknown>("unknown_amount", "deny, lookup, assume_max", &for_amount));
  p.unknown_amount = amount.value_or(WhenUnknown::deny);
  OCTROI_TRY(const auto customer,
             in.word<WhenUnknown>("unknown_customer", "deny, lookup", &for_customer));
  p.unknown_customer = customer.value_or(WhenUnknown::deny);
  OCTROI_CHECK(in.finish());
  OCTROI_CHECK(check_whole(p));
  p.text = to_text(p);
  p.hash = crypto::sha256(as_bytes(p.text));
  return p;
}

Result<Policy> parse_policy(std::string name, std::string_view json_text, const ZoneFinder& zones) {
  auto document = json::parse(json_text);
  if (!document) return wrong("the policy", document.error().message());
  return parse_policy(std::move(name), document->root(), zones);
}

}  // namespace octroi::policy
