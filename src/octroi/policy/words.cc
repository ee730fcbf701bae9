#include <algorithm>
#include <array>

#include "octroi/base/bytes.h"
#include "octroi/crypto/hash.h"
#include "octroi/policy/decide.h"
#include "octroi/policy/text.h"

namespace octroi::policy {
namespace {

template <class E, std::size_t N>
std::optional<E> find_word(const std::array<E, N>& all, std::string_view text) {
  const auto it = std::ranges::find_if(all, [&](E e) { return to_string(e) == text; });
  return it == all.end() ? std::nullopt : std::optional(*it);
}

struct DurationUnit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

std::string_view to_string(Direction d) {
  switch (d) {
    case Direction::read:
      return "read";
    case Direction::write:
      return "write";
    case Direction::charge:
      return "charge";
    case Direction::refund:
      return "refund";
    case Direction::payout:
      return "payout";
    case Direction::message:
      return "message";
    case Direction::usage:
      return "usage";
  }
  return "unknown";
}

std::optional<Direction> direction_from_string(std::string_view text) {
  return find_word(
      std::array{Direction::read, Direction::write, Direction::charge, Direction::refund,
                 Direction::payout, Direction::message, Direction::usage},
      text);
}

std::string_view to_string(Period p) {
  switch (p) {
    case Period::hour:
      return "hour";
    case Period::day:
      return "day";
    case Period::month:
      return "month";
    case Period::run:
      return "run";
    case Period::lifetime:
      return "lifetime";
  }
  return "unknown";
}

std::optional<Period> period_from_string(std::string_view text) {
  return find_word(
      std::array{Period::hour, Period::day, Period::month, Period::run, Period::lifetime}, text);
}

std::string_view to_string(CountedBy b) {
  switch (b) {
    case CountedBy::policy:
      return "policy";
    case CountedBy::key:
      return "key";
    case CountedBy::agent:
      return "agent";
    case CountedBy::run:
      return "run";
    case CountedBy::customer:
      return "customer";
  }
  return "unknown";
}

std::optional<CountedBy> counted_by_from_string(std::string_view text) {
  return find_word(std::array{CountedBy::policy, CountedBy::key, CountedBy::agent, CountedBy::run,
                              CountedBy::customer},
                   text);
}

std::string_view to_string(FieldTest t) {
  switch (t) {
    case FieldTest::one_of:
      return "one_of";
    case FieldTest::none_of:
      return "none_of";
    case FieldTest::like:
      return "like";
    case FieldTest::at_most:
      return "at_most";
    case FieldTest::at_least:
      return "at_least";
    case FieldTest::present:
      return "present";
    case FieldTest::absent:
      return "absent";
  }
  return "unknown";
}

std::optional<FieldTest> field_test_from_string(std::string_view text) {
  return find_word(
      std::array{FieldTest::one_of, FieldTest::none_of, FieldTest::like, FieldTest::at_most,
                 FieldTest::at_least, FieldTest::present, FieldTest::absent},
      text);
}

std::string_view to_string(BrakeAction a) {
  switch (a) {
    case BrakeAction::deny:
      return "deny";
    case BrakeAction::pause:
      return "pause";
  }
  return "unknown";
}

std::string_view to_string(WhenUnknown w) {
  switch (w) {
    case WhenUnknown::deny:
      return "deny";
    case WhenUnknown::lookup:
      return "lookup";
    case WhenUnknown::assume_max:
      return "assume_max";
  }
  return "unknown";
}

std::string_view to_string(Mode m) {
  switch (m) {
    case Mode::enforce:
      return "enforce";
    case Mode::shadow:
      return "shadow";
  }
  return "unknown";
}

std::string_view to_string(Verdict v) {
  switch (v) {
    case Verdict::allow:
      return "allow";
    case Verdict::deny:
      return "deny";
    case Verdict::approve:
      return "approve";
    case Verdict::lookup:
      return "lookup";
  }
  return "unknown";
}

std::string_view to_string(Reason r) {
  switch (r) {
    case Reason::none:
      return "none";
    case Reason::expired:
      return "policy_expired";
    case Reason::wrong_vendor:
      return "wrong_vendor";
    case Reason::operation_unknown:
      return "operation_unknown";
    case Reason::operation_denied:
      return "operation_denied";
    case Reason::customer_denied:
      return "customer_denied";
    case Reason::customer_unknown:
      return "customer_unknown";
    case Reason::recipient_denied:
      return "recipient_denied";
    case Reason::country_denied:
      return "country_denied";
    case Reason::sender_denied:
      return "sender_denied";
    case Reason::field_denied:
      return "field_denied";
    case Reason::amount_unknown:
      return "amount_unknown";
    case Reason::amount_over_max:
      return "amount_over_max";
    case Reason::currency_refused:
      return "currency_refused";
    case Reason::run_missing:
      return "run_missing";
    case Reason::needs_approval:
      return "needs_approval";
    case Reason::cap_exceeded:
      return "cap_exceeded";
    case Reason::velocity_exceeded:
      return "velocity_exceeded";
    case Reason::duplicate:
      return "duplicate";
    case Reason::clock_went_back:
      return "clock_went_back";
  }
  return "unknown";
}

std::optional<Millis> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::size_t unit = 0;
  if (text.empty() || text.size() > 32) return std::nullopt;
  while (!text.empty()) {
    std::int64_t n = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9') {
      n = n * 10 + (text[digits++] - '0');
    }
    text.remove_prefix(digits);
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const std::string_view name = text.substr(0, letters);
    text.remove_prefix(letters);
    while (unit < kDurationUnits.size() && kDurationUnits.at(unit).name != name) ++unit;
    if (digits == 0 || unit == kDurationUnits.size()) return std::nullopt;
    total += n * kDurationUnits.at(unit++).ms;
  }
  return Millis(total);
}

std::string format_duration(Millis d) {
  std::int64_t left = d.count();
  std::string out;
  for (const DurationUnit& unit : kDurationUnits) {
    if (left >= unit.ms) out += fmt::format("{}{}", left / unit.ms, unit.name);
    left %= unit.ms;
  }
  return out.empty() ? "0s" : out;
}

std::string scope_part(std::string_view value) {
  const bool plain = value.size() <= 96 && std::ranges::all_of(value, [](char c) {
                       return c > 0x20 && c < 0x7f && c != '/' && c != '#';
                     });
  if (plain) return std::string(value);
  return "#" + to_hex(crypto::sha256(as_bytes(value)));
}

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_domain_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > 253 || text.front() == '.' || text.back() == '.') return false;
  return text.find("..") == std::string_view::npos && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

bool is_plain_address(std::string_view text) {
  return !text.empty() && text.size() <= 320 && std::ranges::count(text, '@') <= 1 &&
         std::ranges::none_of(text, [](char c) {
           return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
                  std::string_view(",;<>\"()\\").find(c) != std::string_view::npos;
         });
}

}  // namespace octroi::policy
