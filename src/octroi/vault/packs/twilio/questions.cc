#include "octroi/vault/packs/twilio/questions.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "octroi/crypto/hash.h"

namespace octroi::vault::twilio {

namespace {

using json::Value;

constexpr std::string_view kMessages = "messages.create";
constexpr std::string_view kCalls = "calls.create";
/// Of the shape of an account's id; the real one is put in its place.
constexpr std::string_view kBase = "/2010-04-01/Accounts/AC00000000000000000000000000000000";
/// What Twilio puts before the texts of accounts that do not pay.
constexpr std::string_view kTrial = "Sent from your Twilio trial account - ";

std::string match_of(std::string_view operation, std::string_view to, std::string_view text) {
  crypto::Sha256 h;
  for (const std::string_view part : {operation, to, text}) {
    const std::string size = fmt::format("{}:", part.size());
    h.update(as_bytes(size));
    h.update(as_bytes(part));
  }
  return to_hex(h.finish()).substr(0, 32);
}

std::string text_of(const Value& o, std::string_view name) {
  return std::string(o.string(name).value_or(""));
}

bool is_counted(std::string_view operation) {
  return operation == kMessages || operation == kCalls;
}

bool is_sid(std::string_view text) {
  return text.size() == 34 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
         });
}

VendorItem item_of(const Value& o, std::string_view operation) {
  static constexpr std::array<std::string_view, 5> kNothingDone = {"failed", "canceled", "busy",
                                                                   "no-answer", "undelivered"};
  VendorItem item;
  item.object = text_of(o, "sid");
  item.created = time_of(text_of(o, "date_created"));
  std::string text = text_of(o, "body");
  if (text.starts_with(kTrial)) text.erase(0, kTrial.size());
  item.match = match_of(operation, text_of(o, "to"), text);
  if (const auto price = o.string("price")) {
    // In another currency than dollars what was held is what it counts.
    const auto usd = price_of(*price);
    if (usd && http::equal_ignoring_case(text_of(o, "price_unit"), "usd")) item.usd = *usd;
  } else {
    item.spent = std::ranges::find(kNothingDone, text_of(o, "status")) == kNothingDone.end();
    item.price_due = item.spent;
  }
  return item;
}

}  // namespace

Result<MicroUsd> price_of(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  if (digits.empty() || digits.starts_with('-')) return fail(Errc::ambiguous, "price");
  std::string fraction(text.substr(std::min(point + 1, text.size())));
  const bool more = fraction.size() > 6 && fraction.find_first_not_of('0', 6) != std::string::npos;
  fraction.resize(6, '0');
  digits += fraction;
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (error != std::errc() || end != digits.data() + digits.size())
    return fail(Errc::ambiguous, "price");
  return MicroUsd::from_raw(n + (more ? 1 : 0));
}

std::optional<UnixMillis> time_of(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 31 || text.substr(25) != " +0000") return std::nullopt;
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  const auto when =
      from_rfc3339(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month - kMonths.begin() + 1,
                               text.substr(5, 2), text.substr(17, 8)));
  return when ? std::optional(*when) : std::nullopt;
}

std::string Questions::match(const Operation& operation, const Input& input) const {
  // One that is sent later stands in no list before.
  if (!is_counted(operation.name) || input.form.mentions("SendAt")) return {};
  const auto to = input.form.value("To");
  const auto text = input.form.value("Body");
  if (!to || !*to || !text) return {};
  return match_of(operation.name, **to, text->value_or(""));
}

std::vector<VendorList> Questions::lists(UnixMillis from, UnixMillis /*to*/) const {
  // By days; one more, for accounts whose day is not that of UTC.
  const std::string day = to_rfc3339(from - Millis(86'400'000)).substr(0, 10);
  return {{fmt::format("{}/Messages.json?PageSize=1000&DateSent%3E={}", kBase, day),
           {std::string(kMessages)}},
          {fmt::format("{}/Calls.json?PageSize=1000&StartTime%3E={}", kBase, day),
           {std::string(kCalls)}}};
}

Result<VendorPage> Questions::read_list(std::string_view target, const Value& answer) const {
  const bool calls = target.find("/Calls.json") != std::string_view::npos;
  OCTROI_TRY(const Value rows, answer.array(calls ? "calls" : "messages"));
  VendorPage page;
  for (const Value o : rows.elements())
    page.items.push_back(item_of(o, calls ? kCalls : kMessages));
  page.next = text_of(answer, "next_page_uri");
  if (!page.next.empty() && !page.next.starts_with("/2010-04-01/Accounts/"))
    return fail(Errc::ambiguous, "Twilio's next page is somewhere else");
  return page;
}

std::string Questions::object(std::string_view operation, std::string_view id) const {
  if (!is_counted(operation) || !is_sid(id)) return {};
  return fmt::format("{}/{}/{}.json", kBase, operation == kCalls ? "Calls" : "Messages", id);
}

Result<VendorItem> Questions::read_object(const Value& answer) const {
  VendorItem item = item_of(answer, kMessages);
  if (item.object.empty()) return fail(Errc::ambiguous, "Twilio shows an object without a sid");
  return item;
}

}  // namespace octroi::vault::twilio
