#include "octroi/l402/caveat.h"

#include <algorithm>
#include <charconv>

namespace octroi::l402 {
namespace {

constexpr std::string_view kServices = "services";
constexpr std::string_view kCapabilities = "_capabilities";
constexpr std::string_view kValidUntil = "_valid_until";
constexpr std::string_view kMaxRequests = "_max_requests";
constexpr std::string_view kMeter = "_meter";

/// Decimal digits without sign or leading zero.
template <class Int>
std::optional<Int> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0') || text[0] < '0' || text[0] > '9')
    return std::nullopt;
  Int value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Calls `each` with every item of a comma list until it returns false; false then.
template <class F>
bool each_item(std::string_view list, F each) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (!each(list.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

bool list_contains(std::string_view list, std::string_view item) {
  return !each_item(list, [&](std::string_view other) { return other != item; });
}

bool list_is_subset(std::string_view list, std::string_view of) {
  return each_item(list, [&](std::string_view item) { return list_contains(of, item); });
}

bool is_name_list(std::string_view list) { return each_item(list, is_caveat_name); }

struct ServiceEntry {
  std::string_view name;
  std::uint8_t tier = 0;
};

std::optional<ServiceEntry> parse_service(std::string_view item) {
  const std::size_t colon = item.find(':');
  if (colon == std::string_view::npos || !is_caveat_name(item.substr(0, colon)))
    return std::nullopt;
  const auto tier = parse_number<std::uint8_t>(item.substr(colon + 1));
  if (!tier) return std::nullopt;
  return ServiceEntry{.name = item.substr(0, colon), .tier = *tier};
}

/// The tier that a checked `services` value gives a name; the first entry counts.
std::optional<std::uint8_t> tier_of(std::string_view services, std::string_view name) {
  std::optional<std::uint8_t> tier;
  each_item(services, [&](std::string_view item) {
    const auto entry = parse_service(item);
    if (entry && entry->name == name) tier = entry->tier;
    return !tier;
  });
  return tier;
}

bool is_service_list(std::string_view list) {
  return each_item(list, [](std::string_view item) { return parse_service(item).has_value(); });
}

bool services_restrict(std::string_view later, std::string_view earlier) {
  return each_item(later, [&](std::string_view item) {
    const auto entry = parse_service(item);
    const auto before = entry ? tier_of(earlier, entry->name) : std::nullopt;
    return before && entry->tier <= *before;
  });
}

/// Whether a condition's name is `<service><suffix>`.
bool is_about(std::string_view name, std::string_view service, std::string_view suffix) {
  return name.size() == service.size() + suffix.size() && name.starts_with(service) &&
         name.ends_with(suffix);
}

// Digits compare as numbers of any length, so that no value overflows into being small.
std::string_view strip_zeros(std::string_view digits) {
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  return digits;
}
bool number_at_most(std::string_view a, std::string_view b) {
  a = strip_zeros(a);
  b = strip_zeros(b);
  return a.size() != b.size() ? a.size() < b.size() : a <= b;
}

/// Within the bound, or one of the list.
bool constraint_allows(std::string_view constraint, std::string_view value) {
  if (all_digits(constraint)) return all_digits(value) && number_at_most(value, constraint);
  return list_contains(constraint, value);
}
bool constraint_restricts(std::string_view later, std::string_view earlier) {
  if (all_digits(earlier)) return all_digits(later) && number_at_most(later, earlier);
  return list_is_subset(later, earlier);
}

tl::unexpected<Error> widened(std::string_view what) {
  return fail(Errc::caveat_denied,
              std::string(what) + ": a later caveat allows more than an earlier one");
}
tl::unexpected<Error> bad_value(std::string_view what) {
  return fail(Errc::malformed, std::string(what) + ": the caveat's value breaks its grammar");
}

/// What has been read so far, one slot a condition.
class Checker {
 public:
  Checker(const CaveatRange& caveats, const ServiceView& service)
      : caveats_(caveats), service_(service) {}

  Result<> read(std::string_view caveat) {
    const auto condition = split_caveat(caveat);
    if (!condition) return {};
    if (condition->name == kServices) return read_services(condition->value);
    if (is_about(condition->name, service_.name, kCapabilities))
      return read_capabilities(condition->value);
    if (is_about(condition->name, service_.name, kValidUntil))
      return read_valid_until(condition->value);
    if (is_about(condition->name, service_.name, kMaxRequests))
      return read_max_requests(condition->value);
    if (is_about(condition->name, service_.name, kMeter)) return read_meter(condition->value);
    return {};
  }

  [[nodiscard]] Result<CaveatGrant> decide(UnixMillis now) const {
    const auto tier = services_ ? tier_of(*services_, service_.name) : std::nullopt;
    if (!tier) return fail(Errc::caveat_denied, "services: the token is not for this service");
    if (*tier < service_.tier)
      return fail(Errc::caveat_denied, "services: the token's tier is too low");
    CaveatGrant grant{
        .tier = *tier, .valid_until = std::nullopt, .max_requests = max_requests_, .meter = meter_};
    if (valid_until_) {
      grant.valid_until = from_unix_seconds(*valid_until_);
      if (now >= *grant.valid_until)
        return fail(Errc::expired, "valid_until: the token has expired; pay again");
    }
    for (const std::string_view needed : service_.capabilities) {
      if (!capabilities_ || !list_contains(*capabilities_, needed)) {
        return fail(Errc::caveat_denied, "capabilities: the token lacks what this request needs");
      }
    }
    for (const Fact& fact : service_.facts) OCTROI_CHECK(check_constraint(fact));
    return grant;
  }

 private:
  Result<> read_services(std::string_view value) {
    if (!is_service_list(value)) return bad_value("services");
    if (services_ && !services_restrict(value, *services_)) return widened("services");
    services_ = value;
    return {};
  }

  Result<> read_capabilities(std::string_view value) {
    if (!is_name_list(value)) return bad_value("capabilities");
    if (capabilities_ && !list_is_subset(value, *capabilities_)) return widened("capabilities");
    capabilities_ = value;
    return {};
  }

  Result<> read_valid_until(std::string_view value) {
    // Beyond any year that means something, so that milliseconds cannot overflow.
    constexpr std::int64_t kEndOfTime = 253'402'300'800;  // year 10000
    const auto seconds = parse_number<std::int64_t>(value);
    if (!seconds || *seconds > kEndOfTime) return bad_value("valid_until");
    if (valid_until_ && *seconds > *valid_until_) return widened("valid_until");
    valid_until_ = seconds;
    return {};
  }

  Result<> read_max_requests(std::string_view value) {
    const auto number = parse_number<std::int64_t>(value);
    if (!number) return bad_value("max_requests");
    if (max_requests_ && *number > *max_requests_) return widened("max_requests");
    max_requests_ = number;
    return {};
  }

  Result<> read_meter(std::string_view value) {
    const std::size_t colon = value.find(':');
    if (colon == std::string_view::npos || !is_caveat_name(value.substr(0, colon)))
      return bad_value("meter");
    const std::string_view unit = value.substr(0, colon);
    const auto number = parse_number<std::int64_t>(value.substr(colon + 1));
    if (!number) return bad_value("meter");
    if (!meter_) {
      meter_ =
          MeterGrant{.unit = unit, .bound = *number, .first = *number, .sold_until = std::nullopt};
      if (valid_until_) meter_->sold_until = from_unix_seconds(*valid_until_);
      return {};
    }
    if (unit != meter_->unit || *number > meter_->bound) return widened("meter");
    meter_->bound = *number;
    return {};
  }

  [[nodiscard]] Result<> check_constraint(const Fact& fact) const {
    std::optional<std::string_view> last;
    for (const CaveatView& caveat : caveats_) {
      const auto condition = split_caveat(caveat.id);
      if (!condition || condition->name != fact.name) continue;
      if (last && !constraint_restricts(condition->value, *last)) return widened(fact.name);
      last = condition->value;
    }
    if (last && !constraint_allows(*last, fact.value)) {
      return fail(Errc::caveat_denied,
                  std::string(fact.name) + ": the token's constraint does not allow this request");
    }
    return {};
  }

  const CaveatRange& caveats_;
  const ServiceView& service_;
  std::optional<std::string_view> services_;
  std::optional<std::string_view> capabilities_;
  std::optional<std::int64_t> valid_until_;
  std::optional<std::int64_t> max_requests_;
  std::optional<MeterGrant> meter_;
};

}  // namespace

std::optional<Condition> split_caveat(std::string_view caveat) {
  const std::size_t equals = caveat.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  return Condition{.name = caveat.substr(0, equals), .value = caveat.substr(equals + 1)};
}

bool is_caveat_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > 0x20 && c < 0x7f && c != ',' && c != ':' && c != '=' && c != '"' && c != '\\';
  });
}

Result<CaveatGrant> check_caveats(const CaveatRange& caveats, const ServiceView& service,
                                  UnixMillis now) {
  Checker checker(caveats, service);
  for (const CaveatView& caveat : caveats) OCTROI_CHECK(checker.read(caveat.id));
  return checker.decide(now);
}

}  // namespace octroi::l402
