#include "octroi/vault/packs/resend/resend.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/packs/resend/questions.h"

namespace octroi::vault {

namespace {

struct Row {
  std::string_view method;
  std::string_view path;
  std::string_view name;
  policy::Direction direction;
};
using enum policy::Direction;
constexpr std::array<Row, 11> kTable = {{
    {"POST", "/emails", "emails.send", message},
    {"POST", "/emails/batch", "emails.batch", message},
    {"GET", "/emails", "emails.list", read},
    {"GET", "/emails/{id}", "emails.get", read},
    {"PATCH", "/emails/{id}", "emails.update", write},
    {"POST", "/emails/{id}/cancel", "emails.cancel", write},
    {"GET", "/domains", "domains.list", read},
    {"GET", "/domains/{id}", "domains.get", read},
    {"GET", "/audiences", "audiences.list", read},
    {"GET", "/audiences/{id}", "audiences.get", read},
    {"GET", "/audiences/{id}/contacts", "contacts.list", read},
}};
constexpr std::size_t kUnknown = 1000;
constexpr std::size_t kMostInBatch = 100;
constexpr std::string_view kBatch = "emails.batch";

Result<> read_mail(const json::Value& mail, policy::Call& call, std::int64_t& count) {
  if (!mail.is_object()) return fail(Errc::ambiguous, "a mail must be an object");
  std::set<std::string, std::less<>> addresses;
  for (const char* field : {"to", "cc", "bcc"})
    OCTROI_CHECK(add_mail_addresses(mail, field, addresses));
  if (addresses.empty()) return fail(Errc::ambiguous, "to: names nobody");
  OCTROI_TRY(const auto from_text, mail.optional_string("from"));
  OCTROI_TRY(const std::string from, mail_address(from_text.value_or("")));
  std::string domain = from.substr(from.find('@') + 1);
  if (std::find(call.sender_domains.begin(), call.sender_domains.end(), domain) ==
      call.sender_domains.end())
    call.sender_domains.push_back(std::move(domain));
  count += static_cast<std::int64_t>(addresses.size());
  for (const std::string& a : addresses) call.recipients.push_back(a);
  return {};
}

class ResendPack final : public VendorPack {
 public:
  std::vector<std::string> hosts() const override { return {"api.resend.com"}; }
  KeyShape shape() const override { return KeyShape::resend; }
  Result<> check_credential(const Secret& real) const override {
    OCTROI_CHECK(VendorPack::check_credential(real));
    if (!real.reveal_text().starts_with("re_"))
      return fail(Errc::bad_sealed, "a Resend key begins with re_");
    return {};
  }
  bool takes(const Operation& operation, const Input& input) const override {
    if (input.body_kind == BodyKind::none) return operation.direction != message;
    return input.body_kind == BodyKind::json && operation.direction != read;
  }

  bool has_operation(std::string_view name) const override { return names_operation(kTable, name); }

  Operation route(std::string_view method, std::string_view path) const override {
    return find_operation(kTable, method, path, {"", write, kUnknown});
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    policy::Call call = call_of(operation, input);
    if (input.method != "GET" && input.method != "HEAD" && !input.query.empty())
      return fail(Errc::ambiguous, "parameters stand in the query of a request that sends mail");
    if (input.document) flatten(input.document->root(), "", call.fields);
    if (operation.name.empty()) {
      call.amount = policy::AmountState::unknown;
      return call;
    }
    if (operation.direction != message) return call;
    if (!input.document) return fail(Errc::unsupported_body, "send the mail as JSON");
    const json::Value root = input.document->root();
    std::int64_t count = 0;
    if (operation.name == kBatch) {
      if (!root.is_array() || root.size() == 0 || root.size() > kMostInBatch)
        return fail(Errc::ambiguous, "a batch is a list of 1 to 100 mails");
      for (const json::Value mail : root.elements()) OCTROI_CHECK(read_mail(mail, call, count));
    } else {
      OCTROI_CHECK(read_mail(root, call, count));
    }
    call.count = count;
    call.amount = policy::AmountState::known;
    OCTROI_TRY(call.usd, kPerRecipient.times(count));
    return call;
  }

  std::string_view idempotency_header() const override { return "Idempotency-Key"; }
  void prepare(Sending s) const override {
    set_bearer(s.head.headers, s.real);
    if (!s.idempotency_key.empty() && s.input.path.starts_with("/emails") &&
        s.input.method == "POST")
      s.head.headers.set("Idempotency-Key", s.idempotency_key);
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    Outcome out = outcome_by(status, headers, "x-request-id");
    if (out.state != Outcome::State::done || !whole) return out;
    const auto doc = json::parse(body);
    if (!doc) return out;
    if (operation.name != kBatch) {
      out.object = std::string(doc->root().string("id").value_or(""));
      return out;
    }
    // A batch has no id, and a hundred have no room: its mails are found as they were sent
    // (questions.h). Of one that was taken in part (x-batch-validation) the list says which.
    const auto errors = doc->root().find("errors");
    out.price_due = errors && errors->is_array() && errors->size() > 0;
    return out;
  }

  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    json::Writer w;
    w.begin_object();
    w.field("statusCode", out.head.status);
    w.field("name", denial.reason);
    w.field("message", denial.message);
    w.end_object();
    out.body = std::move(w).take();
    return out;
  }

  const VendorQuestions* questions() const override { return &questions_; }

 private:
  resend::Questions questions_;
};

}  // namespace

Result<> add_mail_addresses(const json::Value& mail, std::string_view field,
                            std::set<std::string, std::less<>>& out) {
  const auto value = mail.find(field);
  if (!value || value->is_null()) return {};
  std::vector<std::string_view> texts;
  if (value->is_string()) {
    texts.push_back(value->as_string().value_or(""));
  } else if (value->is_array()) {
    for (const json::Value element : value->elements()) {
      const auto text = element.as_string();
      if (!text) return fail(Errc::ambiguous, fmt::format("{} must be addresses", field));
      texts.push_back(*text);
    }
  } else {
    return fail(Errc::ambiguous, fmt::format("{} must be an address or a list of them", field));
  }
  for (const std::string_view text : texts) {
    auto address = mail_address(text);
    if (!address) return fail(std::move(address).error().within(field));
    out.insert(std::move(*address));
  }
  return {};
}

Result<std::string> mail_address(std::string_view text) {
  const auto bad = [] {
    return fail(Errc::ambiguous, "write an address as a@b.example or Name <a@b.example>");
  };
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.ends_with('>')) {
    const std::size_t open = text.rfind('<');
    if (open == std::string_view::npos) return bad();
    const std::string_view name = text.substr(0, open);
    if (name.find_first_of("<>,;\r\n@") != std::string_view::npos) return bad();
    text = text.substr(open + 1, text.size() - open - 2);
  }
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || at + 1 == text.size()) return bad();
  std::string out;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("@.!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
    if (!plain) return bad();
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (out.find('@', at + 1) != std::string::npos) return bad();
  const std::string_view domain = std::string_view(out).substr(at + 1);
  if (domain.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") !=
          std::string_view::npos ||
      domain.starts_with('.') || domain.ends_with('.') ||
      domain.find("..") != std::string_view::npos)
    return bad();
  return out;
}

std::unique_ptr<VendorPack> make_resend_pack() { return std::make_unique<ResendPack>(); }

}  // namespace octroi::vault
