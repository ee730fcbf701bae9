#include "octroi/l402/header.h"

#include <algorithm>

#include "octroi/l402/caveat.h"
#include "octroi/l402/macaroon.h"

namespace octroi::l402 {
namespace {

constexpr std::string_view kPreimageCondition = "preimage";
constexpr std::size_t kPreimageHexSize = 64;
// Before a macaroon is decoded: no text longer than this can be a macaroon within the limits.
constexpr std::size_t kMaxBase64Size = (kMaxMacaroonSize + 2) / 3 * 4;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<SchemeName> parse_scheme(std::string_view text) {
  if (equal_ignoring_case(text, "L402")) return SchemeName::l402;
  if (equal_ignoring_case(text, "LSAT")) return SchemeName::lsat;
  return std::nullopt;
}

std::string_view to_string(SchemeName scheme) {
  switch (scheme) {
    case SchemeName::l402:
      return "L402";
    case SchemeName::lsat:
      return "LSAT";
  }
  return "L402";
}

tl::unexpected<Error> malformed(std::string_view why) {
  return fail(Errc::malformed,
              "Authorization: " + std::string(why) +
                  "; the form is L402 <base64 macaroon>:<preimage as 64 hex digits>");
}

Result<Identifier> identifier_of(ByteView encoded) {
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(encoded));
  return decode_identifier(macaroon.identifier);
}

Result<Preimage> parse_preimage(std::string_view hex) {
  std::array<std::uint8_t, 32> bytes{};
  if (hex.size() != kPreimageHexSize || !from_hex_into(hex, bytes, HexCase::any)) {
    return fail(Errc::malformed, "credential: the preimage must be 64 hex digits");
  }
  Preimage preimage(bytes);
  secure_wipe(bytes.data(), bytes.size());
  return preimage;
}

/// Adds one more macaroon of the same credential; the same bytes twice are one.
Result<> add_macaroon(Credential& to, Bytes macaroon) {
  OCTROI_TRY(const Identifier id, identifier_of(macaroon));
  if (to.macaroons.empty()) to.id = id;
  if (id != to.id)
    return fail(Errc::two_credentials, "request: it carries two different L402 tokens; send one");
  if (std::ranges::find(to.macaroons, macaroon) != to.macaroons.end()) return {};
  if (to.macaroons.size() == kMaxMacaroons)
    return fail(Errc::too_large, "credential: more than 8 macaroons");
  to.macaroons.push_back(std::move(macaroon));
  return {};
}

/// `<b64>[,<b64>…]:<hex>`
Result<Credential> parse_authorization(std::string_view value) {
  const std::size_t colon = value.find(':');
  if (colon == std::string_view::npos) return malformed("no colon before a preimage");
  if (value.find(':', colon + 1) != std::string_view::npos) return malformed("more than one colon");
  Credential out;
  OCTROI_TRY(out.preimage, parse_preimage(value.substr(colon + 1)));
  std::string_view list = value.substr(0, colon);
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    if (item.size() > kMaxBase64Size)
      return fail(Errc::too_large, "Authorization: the macaroon is over 16 KiB");
    Result<Bytes> macaroon = from_base64_any(item);
    if (item.empty() || !macaroon) return malformed("the macaroon is not base64");
    OCTROI_CHECK(add_macaroon(out, *std::move(macaroon)));
    if (comma == std::string_view::npos) return out;
    list.remove_prefix(comma + 1);
  }
}

struct SplitAuthorization {
  SchemeName scheme;
  std::string_view rest;
};
std::optional<SplitAuthorization> split_authorization(std::string_view line) {
  line = trim(line);
  const auto blank = static_cast<std::size_t>(std::ranges::find_if(line, is_blank) - line.begin());
  const auto scheme = parse_scheme(line.substr(0, blank));
  if (!scheme) return std::nullopt;
  line.remove_prefix(blank);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return SplitAuthorization{.scheme = *scheme, .rest = line};
}

/// The preimage that a client put into its macaroon. Given twice, both must agree: the first is a
/// restriction that the second cannot widen.
Result<std::optional<Preimage>> preimage_caveat(const MacaroonView& macaroon) {
  std::optional<Preimage> found;
  for (const CaveatView& caveat : macaroon.caveats) {
    const auto condition = split_caveat(caveat.id);
    if (!condition || condition->name != kPreimageCondition) continue;
    OCTROI_TRY(Preimage preimage, parse_preimage(condition->value));
    if (found && !found->equals(preimage)) {
      return fail(Errc::two_credentials, "macaroon: it holds two different preimages");
    }
    found = std::move(preimage);
  }
  return found;
}

/// A Macaroon or Grpc-Metadata-Macaroon value.
Result<Credential> parse_macaroon_field(std::string_view value) {
  value = trim(value);
  if (value.size() > 2 * kMaxMacaroonSize) return fail(Errc::too_large, "Macaroon: over 16 KiB");
  Result<Bytes> bytes = from_hex(value, HexCase::any);
  if (!bytes) return fail(Errc::malformed, "Macaroon: not hex");
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(*bytes));
  OCTROI_TRY(std::optional<Preimage> preimage, preimage_caveat(macaroon));
  if (!preimage)
    return fail(Errc::malformed, "Macaroon: it lacks the caveat preimage=<64 hex digits>");
  Credential out;
  OCTROI_CHECK(add_macaroon(out, *std::move(bytes)));
  out.preimage = *std::move(preimage);
  return out;
}

/// Two lines, one token: one credential. Anything else is a contradiction.
Result<> merge(std::optional<Credential>& into, Credential more) {
  if (!into) {
    into = std::move(more);
    return {};
  }
  if (!into->preimage.equals(more.preimage)) {
    return fail(Errc::two_credentials,
                "request: it carries two different L402 credentials; send one");
  }
  for (Bytes& macaroon : more.macaroons) OCTROI_CHECK(add_macaroon(*into, std::move(macaroon)));
  return {};
}

// ----------------------------------------------------------------- challenges, as a client reads
// them

bool is_token_char(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token68_char(char c) { return is_token_char(c) || c == '/'; }

/// The parameters of the challenge that is being read.
struct Draft {
  std::optional<SchemeName> scheme;  // empty: some other scheme, whose parameters are passed over
  std::optional<std::string> macaroon, token, invoice, version;
  bool unusable = false;  // a parameter twice

  void take(std::string_view name, std::string value) {
    std::optional<std::string>* slot = nullptr;
    if (equal_ignoring_case(name, "macaroon")) slot = &macaroon;
    if (equal_ignoring_case(name, "token")) slot = &token;
    if (equal_ignoring_case(name, "invoice")) slot = &invoice;
    if (equal_ignoring_case(name, "version")) slot = &version;
    if (slot == nullptr) return;
    if (slot->has_value()) unusable = true;
    *slot = std::move(value);
  }

  [[nodiscard]] std::optional<Challenge> finish() const {
    if (!scheme || unusable || !invoice || invoice->empty() || (!macaroon && !token))
      return std::nullopt;
    if (version && *version != "0") return std::nullopt;
    const std::string& text = macaroon ? *macaroon : *token;
    if (text.size() > kMaxBase64Size) return std::nullopt;
    Result<Bytes> bytes = from_base64_any(text);
    if (!bytes) return std::nullopt;
    if (macaroon && token) {
      const Result<Bytes> other = from_base64_any(*token);
      if (!other || *other != *bytes) return std::nullopt;
    }
    const Result<Identifier> id = identifier_of(*bytes);
    if (!id) return std::nullopt;
    return Challenge{
        .scheme = *scheme, .macaroon = *std::move(bytes), .id = *id, .invoice = *invoice};
  }
};

/// Reads a WWW-Authenticate value: schemes, each with a token68 or parameters (RFC 9110 11.6.1).
/// What cannot be read is passed over up to the next comma, so that one odd challenge hides no
/// other.
class ChallengeReader {
 public:
  explicit ChallengeReader(std::string_view text) : rest_(text) {}

  std::vector<Challenge> read() {
    while (skip_separators()) {
      const std::string_view word = take_while(is_token_char);
      const std::string_view before = rest_;
      skip_blanks();
      if (!word.empty() && !rest_.empty() && rest_.front() == '=') {
        rest_.remove_prefix(1);
        skip_blanks();
        read_parameter(word);
      } else if (!word.empty()) {
        rest_ = before;
        start_challenge(word);
      } else {
        skip_to_comma();
      }
    }
    close_challenge();
    return std::move(found_);
  }

 private:
  bool skip_separators() {
    take_while([](char c) { return is_blank(c) || c == ','; });
    return !rest_.empty();
  }
  void skip_blanks() { take_while(is_blank); }
  void skip_to_comma() {
    take_while([](char c) { return c != ','; });
  }
  template <class Predicate>
  std::string_view take_while(Predicate wanted) {
    const auto end = std::ranges::find_if_not(rest_, wanted);
    const std::string_view out = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(out.size());
    return out;
  }

  void close_challenge() {
    if (auto challenge = draft_.finish()) found_.push_back(*std::move(challenge));
    draft_ = {};
  }
  void start_challenge(std::string_view scheme) {
    close_challenge();
    draft_.scheme = parse_scheme(scheme);
    skip_blanks();
    const std::string_view before = rest_;
    const bool any = !take_while(is_token68_char).empty();
    take_while([](char c) { return c == '='; });
    skip_blanks();
    const bool token68 = any && (rest_.empty() || rest_.front() == ',');
    if (!token68) rest_ = before;
  }
  void read_parameter(std::string_view name) {
    if (rest_.empty() || rest_.front() != '"') {
      const std::string_view value = take_while([](char c) { return c != ',' && !is_blank(c); });
      draft_.take(name, std::string(value));
      return;
    }
    rest_.remove_prefix(1);
    std::string value;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) {
      draft_.unusable = true;  // the quotation never ends
      return;
    }
    rest_.remove_prefix(1);
    draft_.take(name, std::move(value));
  }

  std::string_view rest_;
  Draft draft_;
  std::vector<Challenge> found_;
};

}  // namespace

std::string format_challenge(SchemeName scheme, ByteView macaroon, std::string_view invoice) {
  const std::string encoded = to_base64(macaroon);
  std::string out;
  out.reserve(64 + 2 * encoded.size() + invoice.size());
  out.append(to_string(scheme)).append(" macaroon=\"").append(encoded);
  out.append("\", invoice=\"").append(invoice).append("\"");
  switch (scheme) {
    case SchemeName::l402:
      out.append(", version=\"0\", token=\"").append(encoded).append("\"");
      break;
    case SchemeName::lsat:
      break;
  }
  return out;
}

std::vector<Challenge> parse_challenges(std::string_view www_authenticate) {
  return ChallengeReader(www_authenticate).read();
}

bool is_l402_authorization(std::string_view authorization) {
  return split_authorization(authorization).has_value();
}

Result<std::optional<Credential>> parse_credential(const CredentialLines& lines) {
  std::optional<Credential> found;
  for (const std::string_view line : lines.authorization) {
    const auto split = split_authorization(line);
    if (!split) continue;
    OCTROI_TRY(Credential credential, parse_authorization(split->rest));
    OCTROI_CHECK(merge(found, std::move(credential)));
  }
  const bool authorized = found.has_value();
  for (const auto field : {lines.grpc_macaroon, lines.macaroon}) {
    for (const std::string_view line : field) {
      Result<Credential> credential = parse_macaroon_field(line);
      if (!credential) {
        if (authorized && !credential.error().is(Errc::two_credentials)) continue;
        return fail(std::move(credential).error());
      }
      OCTROI_CHECK(merge(found, *std::move(credential)));
    }
  }
  return found;
}

Secret format_credential(SchemeName scheme, ByteView macaroon, ByteView preimage) {
  std::string out(to_string(scheme));
  out.reserve(8 + base64_decoded_bound(macaroon.size()) * 2 + 2 * preimage.size());
  out.append(" ").append(to_base64(macaroon)).append(":").append(to_hex(preimage));
  return Secret::take(std::move(out));
}

}  // namespace octroi::l402
