#include "octroi/vault/packs/resend/questions.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "octroi/crypto/hash.h"
#include "octroi/vault/packs/resend/resend.h"

namespace octroi::vault::resend {

namespace {

using json::Value;
using Addresses = std::set<std::string, std::less<>>;

constexpr std::string_view kSend = "emails.send";
constexpr std::string_view kBatch = "emails.batch";
constexpr std::string_view kList = "/emails?limit=100";  // the most that Resend gives at once

/// What stands in a subject, whatever became of the blanks between.
std::string plain(std::string_view subject) {
  std::string out;
  for (const char c : subject) {
    const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!blank) {
      out += c;
    } else if (!out.empty() && !out.ends_with(' ')) {
      out += ' ';
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

struct Mail {
  std::string from;
  std::optional<std::string> subject;  // nothing: a template writes it
  Addresses recipients;
};

Result<Mail> mail_of(const Value& o) {
  Mail mail;
  OCTROI_TRY(const auto from, o.optional_string("from"));
  OCTROI_TRY(mail.from, mail_address(from.value_or("")));
  OCTROI_TRY(const auto subject, o.optional_string("subject"));
  const bool by_template = !subject && o.find("template").has_value();
  if (!by_template) mail.subject = plain(subject.value_or(""));
  for (const char* field : {"to", "cc", "bcc"})
    OCTROI_CHECK(add_mail_addresses(o, field, mail.recipients));
  if (mail.recipients.empty()) return fail(Errc::ambiguous, "to: names nobody");
  return mail;
}

/// Of texts that cannot run into each other. Both kinds are of one length.
std::string match_of(const Mail& mail) {
  constexpr std::size_t kLength = 22;
  crypto::Sha256 h;
  const auto add = [&h](std::string_view part) {
    const std::string size = fmt::format("{}:", part.size());
    h.update(as_bytes(size));
    h.update(as_bytes(part));
  };
  add(mail.from);
  if (mail.subject) add(*mail.subject);
  for (const std::string& address : mail.recipients) add(address);
  const std::string hash = to_base64url(h.finish());
  return ((mail.subject ? "" : std::string(1, kLoose)) + hash).substr(0, kLength);
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<VendorItem> item_of(const Value& o) {
  // Those that were never handed to anybody's server.
  static constexpr std::array<std::string_view, 2> kNothingDone = {"canceled", "failed"};
  VendorItem item;
  item.object = std::string(o.string("id").value_or(""));
  if (!is_id(item.object)) return fail(Errc::ambiguous, "Resend shows a mail without an id");
  item.created = time_of(o.string("created_at").value_or(""));
  if (!item.created) return fail(Errc::ambiguous, "Resend shows a mail without its time");
  OCTROI_TRY(Mail mail, mail_of(o));
  if (!mail.subject) mail.subject.emplace();  // what was sent has one
  item.match = match_of(mail);
  mail.subject.reset();
  item.loose = match_of(mail);
  OCTROI_TRY(item.usd, kPerRecipient.times(static_cast<std::int64_t>(mail.recipients.size())));
  const std::string_view event = o.string("last_event").value_or("");
  item.spent = std::ranges::find(kNothingDone, event) == kNothingDone.end();
  return item;
}

}  // namespace

std::optional<UnixMillis> time_of(std::string_view text) {
  std::string whole(text);
  if (whole.size() < 20 || whole.size() > 40) return std::nullopt;
  if (whole[10] == ' ') whole[10] = 'T';
  const char sign = whole[whole.size() - 3];
  if (sign == '+' || sign == '-') whole += ":00";
  const auto when = from_rfc3339(whole);
  return when ? std::optional(*when) : std::nullopt;
}

std::string Questions::match(const Operation& operation, const Input& input) const {
  if (!input.document) return {};
  const Value root = input.document->root();
  std::vector<std::string> each;
  const auto add = [&each](const Value& o) {
    const auto mail = mail_of(o);
    if (mail) each.push_back(match_of(*mail));
    return mail.has_value();
  };
  if (operation.name == kSend) return root.is_object() && add(root) ? each.front() : std::string();
  if (operation.name != kBatch || !root.is_array()) return {};
  for (const Value o : root.elements()) {
    if (!add(o)) return {};
  }
  return join_matches(each);
}

std::vector<VendorList> Questions::lists(UnixMillis /*from*/, UnixMillis /*to*/) const {
  return {{std::string(kList), {std::string(kSend), std::string(kBatch)}}};
}

Result<VendorPage> Questions::read_list(std::string_view /*target*/, const Value& answer) const {
  OCTROI_TRY(const Value data, answer.array("data"));
  VendorPage page;
  page.newest_first = true;
  for (const Value o : data.elements()) {
    OCTROI_TRY(VendorItem item, item_of(o));
    page.items.push_back(std::move(item));
  }
  if (answer.boolean("has_more").value_or(false)) {
    if (page.items.empty()) return fail(Errc::ambiguous, "Resend has more, and shows nothing");
    page.next = fmt::format("{}&after={}", kList, page.items.back().object);
  }
  return page;
}

std::string Questions::object(std::string_view operation, std::string_view id) const {
  return operation == kSend && is_id(id) ? fmt::format("/emails/{}", id) : std::string();
}

Result<VendorItem> Questions::read_object(const Value& answer) const { return item_of(answer); }

}  // namespace octroi::vault::resend
