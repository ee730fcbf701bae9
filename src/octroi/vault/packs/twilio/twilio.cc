#include "octroi/vault/packs/twilio/twilio.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/twilio/questions.h"

namespace octroi::vault {

namespace {

using enum policy::Direction;

constexpr MicroUsd micro(std::int64_t n) { return MicroUsd::from_raw_unchecked(n); }

// By country code, longest first where one begins with another. In millionths of a dollar: a text
// part, a picture message, a minute; rounded up, carrier fees included.
constexpr std::array<PhoneRate, 28> kRates = {{
    {"1", "US", micro(13'000), micro(35'000), micro(30'000)},
    {"31", "NL", micro(110'000), micro(300'000), micro(150'000)},
    {"32", "BE", micro(120'000), micro(300'000), micro(150'000)},
    {"33", "FR", micro(90'000), micro(300'000), micro(150'000)},
    {"34", "ES", micro(90'000), micro(300'000), micro(150'000)},
    {"351", "PT", micro(60'000), micro(300'000), micro(150'000)},
    {"353", "IE", micro(90'000), micro(300'000), micro(150'000)},
    {"358", "FI", micro(100'000), micro(300'000), micro(150'000)},
    {"36", "HU", micro(110'000), micro(300'000), micro(150'000)},
    {"39", "IT", micro(100'000), micro(300'000), micro(250'000)},
    {"40", "RO", micro(90'000), micro(300'000), micro(150'000)},
    {"41", "CH", micro(90'000), micro(300'000), micro(300'000)},
    {"420", "CZ", micro(90'000), micro(300'000), micro(150'000)},
    {"43", "AT", micro(110'000), micro(300'000), micro(250'000)},
    {"44", "GB", micro(60'000), micro(300'000), micro(60'000)},
    {"45", "DK", micro(70'000), micro(300'000), micro(100'000)},
    {"46", "SE", micro(80'000), micro(300'000), micro(100'000)},
    {"47", "NO", micro(90'000), micro(300'000), micro(150'000)},
    {"48", "PL", micro(60'000), micro(300'000), micro(100'000)},
    {"49", "DE", micro(120'000), micro(300'000), micro(150'000)},
    {"52", "MX", micro(80'000), micro(300'000), micro(100'000)},
    {"55", "BR", micro(80'000), micro(300'000), micro(150'000)},
    {"61", "AU", micro(70'000), micro(300'000), micro(100'000)},
    {"64", "NZ", micro(120'000), micro(300'000), micro(150'000)},
    {"65", "SG", micro(70'000), micro(300'000), micro(60'000)},
    {"81", "JP", micro(100'000), micro(300'000), micro(250'000)},
    {"91", "IN", micro(90'000), micro(300'000), micro(80'000)},
    {"972", "IL", micro(250'000), micro(300'000), micro(150'000)},
}};
constexpr PhoneRate kDearest = {"", "", micro(400'000), micro(500'000), micro(5'000'000)};

constexpr std::string_view kWhatsapp = "whatsapp:";

/// Areas of +1 that are other countries, or cost whom they are sent to, where a call costs many
/// times as much.
constexpr std::array<std::string_view, 28> kIslands = {
    "1242", "1246", "1264", "1268", "1284", "1340", "1345", "1441", "1473", "1649",
    "1658", "1664", "1670", "1671", "1684", "1721", "1758", "1767", "1784", "1787",
    "1809", "1829", "1849", "1868", "1869", "1876", "1900", "1939"};

/// Areas of +1 that are Canada.
constexpr auto kCanadian = std::to_array<int>(
    {204, 226, 236, 249, 250, 257, 263, 289, 306, 343, 354, 365, 367, 368, 382, 403,
     416, 418, 428, 431, 437, 438, 450, 468, 474, 506, 514, 519, 548, 579, 581, 584,
     587, 600, 604, 613, 622, 633, 639, 644, 647, 655, 672, 677, 683, 688, 705, 709,
     742, 753, 778, 780, 782, 807, 819, 825, 867, 873, 879, 902, 905});
static_assert(std::ranges::is_sorted(kCanadian));

/// `number` begins with 1.
bool is_canadian(std::string_view number) {
  int area = 0;
  for (const char c : number.substr(1, 3)) area = area * 10 + (c - '0');
  return std::ranges::binary_search(kCanadian, area);
}

struct Row {
  std::string_view method;
  std::string_view path;  // below /2010-04-01/Accounts/{sid}
  std::string_view name;
  policy::Direction direction;
};
constexpr std::array<Row, 11> kTable = {{
    {"POST", "/Messages.json", "messages.create", message},
    {"GET", "/Messages.json", "messages.list", read},
    {"GET", "/Messages/{id}.json", "messages.fetch", read},
    {"POST", "/Messages/{id}.json", "messages.update", write},
    {"DELETE", "/Messages/{id}.json", "messages.delete", write},
    {"POST", "/Calls.json", "calls.create", message},
    {"GET", "/Calls.json", "calls.list", read},
    {"GET", "/Calls/{id}.json", "calls.fetch", read},
    {"POST", "/Calls/{id}.json", "calls.update", write},
    {"GET", "/IncomingPhoneNumbers.json", "incoming_phone_numbers.list", read},
    {"GET", "/Balance.json", "balance.fetch", read},
}};
constexpr std::size_t kAccount = 900;
constexpr std::string_view kFetchAccount = "accounts.fetch";
constexpr std::size_t kUnknown = 1000;
constexpr std::string_view kAccounts = "/2010-04-01/Accounts/";
constexpr std::size_t kSidSize = 34;

/// "AC…" out of the path, and what follows it.
struct AccountPath {
  std::string_view sid;
  std::string_view rest;
};
std::optional<AccountPath> account_path(std::string_view path) {
  if (!path.starts_with(kAccounts)) return std::nullopt;
  path.remove_prefix(kAccounts.size());
  if (path.size() < kSidSize || !path.starts_with("AC")) return std::nullopt;
  return AccountPath{path.substr(0, kSidSize), path.substr(kSidSize)};
}

/// The account, and what Basic credentials are made of.
struct Real {
  std::string_view account;
  std::string_view basic;
};
Real parts_of(std::string_view real) {
  const std::size_t colon = std::min(real.find(':'), real.size());
  const std::string_view account = real.substr(0, colon);
  const std::string_view rest = real.substr(std::min(colon + 1, real.size()));
  return rest.find(':') == std::string_view::npos ? Real{account, real} : Real{account, rest};
}

class TwilioPack final : public VendorPack {
 public:
  std::vector<std::string> hosts() const override { return {"api.twilio.com"}; }
  KeyShape shape() const override { return KeyShape::pair; }
  Result<> check_credential(const Secret& real) const override {
    OCTROI_CHECK(VendorPack::check_credential(real));
    const std::string_view text = real.reveal_text();
    if (!text.starts_with("AC") || text.find(':') != kSidSize)
      return fail(Errc::bad_sealed, "write Twilio's credential as AC…:token or AC…:SK…:secret");
    return {};
  }
  std::vector<Hidden> hidden(const Secret& real, const ledger::VaultKey& shown) const override {
    const std::string_view text = real.reveal_text();
    const Real parts = parts_of(text);
    std::vector<Hidden> out;
    out.push_back({real.clone(), "vault_redacted"});
    const std::size_t colon = parts.basic.find(':');
    if (colon != std::string_view::npos)
      out.push_back({Secret(parts.basic.substr(colon + 1)), "vault_redacted"});
    out.push_back({Secret(parts.account), shown.pair_id});
    return out;
  }
  bool hides_per_key() const override { return true; }

  Form::Rules form_rules() const override {
    static constexpr std::array<std::string_view, 3> kRepeatable = {
        "MediaUrl", "StatusCallbackEvent", "PersistentAction"};
    return {.max_fields = 128, .repeatable = kRepeatable};
  }
  Form::Rules query_rules() const override { return {.max_fields = 64, .free_names = true}; }

  bool takes(const Operation& operation, const Input& input) const override {
    if (input.body_kind == BodyKind::none) return operation.direction != message;
    return input.body_kind == BodyKind::form && operation.direction != read;
  }

  bool has_operation(std::string_view name) const override {
    return name == kFetchAccount || names_operation(kTable, name);
  }

  Operation route(std::string_view method, std::string_view path) const override {
    if (method == "HEAD") method = "GET";
    const auto account = account_path(path);
    if (account && account->rest == ".json" && method == "GET")
      return {std::string(kFetchAccount), read, kAccount};
    if (account) {
      for (std::size_t i = 0; i < kTable.size(); ++i) {
        if (kTable[i].method == method && path_matches(kTable[i].path, account->rest))
          return {std::string(kTable[i].name), kTable[i].direction, i};
      }
    }
    return {"", write, kUnknown};
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    policy::Call call = call_of(operation, input);
    if (operation.direction != read && !input.query.empty())
      return fail(Errc::ambiguous, "parameters stand in the query of a request that sends");
    for (const auto& [name, value] : input.form.fields()) call.fields.emplace_back(name, value);
    if (operation.name.empty()) {
      call.amount = policy::AmountState::unknown;
      return call;
    }
    if (operation.direction != message) return call;
    OCTROI_TRY(const auto to, input.form.value("To"));
    if (!to || to->empty()) return fail(Errc::ambiguous, "To: names nobody");
    const PhoneRate rate = phone_rate(*to);
    call.recipients.emplace_back(*to);
    call.countries.emplace_back(rate.country.empty() ? "??" : rate.country);
    call.amount = policy::AmountState::known;
    if (operation.name == "calls.create") return with_time(input, rate, std::move(call));
    OCTROI_TRY(const auto text, input.form.value("Body"));
    const auto media = input.form.values("MediaUrl");
    const bool from_template = input.form.mentions("ContentSid");
    const std::int64_t segments = from_template ? 10 : sms_segments(text.value_or(""));
    OCTROI_TRY(call.usd, media.empty() ? rate.sms.times(segments) : rate.mms.times(1));
    return call;
  }

  void prepare(Sending s) const override {
    const Real parts = parts_of(s.real.reveal_text());
    set_basic(s.head.headers, Secret(parts.basic));
    if (const auto account = account_path(s.input.path)) {
      s.input.path =
          std::string(kAccounts) + std::string(parts.account) + std::string(account->rest);
    }
  }

  /// Only the account that the agent was told is its own.
  Result<> check_account(const Input& input, const ledger::VaultKey& shown) const override {
    const auto account = account_path(input.path);
    if (account && account->sid != shown.pair_id)
      return fail(Errc::denied, "the path names another account than this key's");
    return {};
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    Outcome out = outcome_by(status, headers, "twilio-request-id");
    if (out.state != Outcome::State::done || !whole || operation.direction != message) return out;
    const auto doc = json::parse(body);
    if (!doc) return out;
    out.object = std::string(doc->root().string("sid").value_or(""));
    const auto price = doc->root().string("price");
    const auto unit = doc->root().string("price_unit");
    if (price && unit && http::equal_ignoring_case(*unit, "usd")) {
      if (const auto usd = twilio::price_of(*price)) out.usd = *usd;
    }
    out.price_due = !price && !out.object.empty();
    return out;
  }

  const VendorQuestions* questions() const override { return &questions_; }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    json::Writer w;
    w.begin_object();
    // Twilio's own codes for "authenticate" and "forbidden"; its SDKs show code and message.
    w.field("code", out.head.status == 401 ? 20003 : 20403);
    w.field("message", denial.reason + ": " + denial.message);
    w.field("more_info", "");
    w.field("status", out.head.status);
    w.end_object();
    out.body = std::move(w).take();
    return out;
  }

 private:
  static Result<policy::Call> with_time(const Input& input, const PhoneRate& rate,
                                        policy::Call call) {
    OCTROI_TRY(const auto limit, input.form.value("TimeLimit"));
    std::int64_t seconds = 0;
    if (limit) {
      OCTROI_TRY(seconds, parse_minor("TimeLimit", *limit));
    }
    if (seconds == 0) {
      // Without one a call may last hours; and zero ends none.
      call.amount = policy::AmountState::unknown;
      return call;
    }
    OCTROI_TRY(call.usd, rate.minute.times((seconds + 59) / 60));
    return call;
  }

  twilio::Questions questions_;
};

}  // namespace

std::int64_t sms_segments(std::string_view utf8) {
  std::int64_t units = 0;
  bool wide = false;
  std::int64_t extended = 0;
  for (const char c : utf8) {
    const auto b = static_cast<unsigned char>(c);
    if (b >= 0x80) wide = true;
    if (c == '`') wide = true;  // the one printable ASCII character that the short alphabet lacks
    if (std::string_view("^{}\\[~]|").find(c) != std::string_view::npos) ++extended;
    if ((b & 0xc0U) != 0x80) ++units;  // a character begins
    if (b >= 0xf0) ++units;            // of two UTF-16 units
  }
  const std::int64_t size = wide ? units : units + extended;
  const std::int64_t one = wide ? 70 : 160;
  const std::int64_t part = wide ? 67 : 153;
  return size <= one ? 1 : (size + part - 1) / part;
}

PhoneRate phone_rate(std::string_view to) {
  if (to.starts_with(kWhatsapp)) to.remove_prefix(kWhatsapp.size());
  const std::string_view number = to.substr(to.starts_with('+') ? 1 : to.size());
  // Whatever else it is (a SIP address, a client's name), a number in it is not where it goes.
  if (number.empty() || number.find_first_not_of("0123456789") != std::string_view::npos)
    return kDearest;
  for (const std::string_view island : kIslands) {
    if (number.starts_with(island)) return kDearest;
  }
  const PhoneRate* best = &kDearest;
  for (const PhoneRate& r : kRates) {
    if (number.starts_with(r.prefix) && r.prefix.size() >= best->prefix.size()) best = &r;
  }
  PhoneRate out = *best;
  if (out.country == "US" && is_canadian(number)) out.country = "CA";
  return out;
}

std::unique_ptr<VendorPack> make_twilio_pack() { return std::make_unique<TwilioPack>(); }

}  // namespace octroi::vault
