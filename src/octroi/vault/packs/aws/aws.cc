#include "octroi/vault/packs/aws/aws.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/vault/media_type.h"
#include "octroi/vault/packs/resend/resend.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/sigv4.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault {

namespace {

using enum policy::Direction;
using Names = std::string_view;

constexpr std::size_t kUnknown = 1000;
constexpr std::size_t kNamed = 1;

/// Actions that begin so change nothing.
constexpr auto kReads =
    std::to_array<Names>({"Get", "List", "Describe", "Head", "BatchGet", "Query", "Scan", "Select",
                          "Search", "Lookup", "TransactGet", "Receive"});
/// What these do is paid by its size alone, in fractions of a cent.
constexpr auto kCheap = std::to_array<Names>(
    {"s3", "dynamodb", "sqs", "logs", "monitoring", "events", "kinesis", "firehose", "states"});
/// They hand out keys, or make them.
constexpr auto kKeyMakers =
    std::to_array<Names>({"iam", "sts", "organizations", "sso", "signin", "account", "billing"});
/// A mail, and a message to a topic, by list price.
constexpr MicroUsd kPerMail = MicroUsd::from_raw_unchecked(100);
constexpr MicroUsd kPerMessage = MicroUsd::from_raw_unchecked(1);

// --- S3, which has no names on the wire

constexpr auto kS3Subresources = std::to_array<Names>(
    {"accelerate", "acl",          "analytics",         "attributes",  "cors",
     "encryption", "inventory",    "legal-hold",        "lifecycle",   "location",
     "logging",    "metrics",      "notification",      "object-lock", "ownershipControls",
     "policy",     "policyStatus", "publicAccessBlock", "replication", "requestPayment",
     "retention",  "tagging",      "torrent",           "versioning",  "website"});
constexpr auto kS3Parameters = std::to_array<Names>(
    {"list-type",          "prefix",      "delimiter",     "max-keys",           "marker",
     "continuation-token", "start-after", "encoding-type", "fetch-owner",        "versionId",
     "partNumber",         "uploadId",    "x-id",          "key-marker",         "upload-id-marker",
     "version-id-marker",  "max-uploads", "max-parts",     "part-number-marker", "id",
     "versions",           "uploads",     "delete",        "bucket-region",      "max-buckets"});

bool holds(std::span<const Names> list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

/// "legal-hold" as "LegalHold".
std::string camel(std::string_view text) {
  std::string out;
  bool big = true;
  for (const char c : text) {
    if (c == '-') {
      big = true;
      continue;
    }
    out += big && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    big = false;
  }
  return out;
}

struct S3Address {
  std::string bucket, key;
};
S3Address s3_address(std::string_view path) {
  S3Address out;
  path.remove_prefix(1);
  const std::size_t end = std::min(path.find('/'), path.size());
  out.bucket = path.substr(0, end);
  out.key = path.substr(std::min(end + 1, path.size()));
  return out;
}

/// Empty: not known.
std::string s3_action(const Input& input, bool copies) {
  std::string_view sub;
  for (const auto& [name, value] : input.query.fields()) {
    if (holds(kS3Subresources, name)) {
      if (!sub.empty()) return {};
      sub = name;
    } else if (!holds(kS3Parameters, name) && !name.starts_with("response-")) {
      return {};
    }
  }
  const auto has = [&](std::string_view name) { return input.query.mentions(name); };
  const S3Address at = s3_address(input.path);
  const std::string& method = input.method;
  if (at.bucket.empty()) return method == "GET" && sub.empty() ? "ListBuckets" : "";
  if (at.key.empty()) {
    if (!sub.empty()) {
      if (method == "GET") return "GetBucket" + camel(sub);
      if (method == "PUT") return "PutBucket" + camel(sub);
      return method == "DELETE" ? "DeleteBucket" + camel(sub) : "";
    }
    if (method == "HEAD") return "HeadBucket";
    if (method == "PUT") return "CreateBucket";
    if (method == "DELETE") return "DeleteBucket";
    if (method == "POST") return has("delete") ? "DeleteObjects" : "";
    if (has("versions")) return "ListObjectVersions";
    if (has("uploads")) return "ListMultipartUploads";
    return has("list-type") ? "ListObjectsV2" : "ListObjects";
  }
  if (!sub.empty()) {
    if (method == "GET") return "GetObject" + camel(sub);
    if (method == "PUT") return "PutObject" + camel(sub);
    return method == "DELETE" ? "DeleteObject" + camel(sub) : "";
  }
  if (method == "HEAD") return "HeadObject";
  if (method == "GET") return has("uploadId") ? "ListParts" : "GetObject";
  if (method == "DELETE") return has("uploadId") ? "AbortMultipartUpload" : "DeleteObject";
  if (method == "PUT") {
    if (has("uploadId")) return copies ? "UploadPartCopy" : "UploadPart";
    return copies ? "CopyObject" : "PutObject";
  }
  if (method == "POST" && has("uploads")) return "CreateMultipartUpload";
  if (method == "POST" && has("uploadId")) return "CompleteMultipartUpload";
  return {};
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

policy::Direction direction_of(std::string_view service, std::string_view action) {
  if (service == "ses" && action.starts_with("Send")) return message;
  if (service == "sns" && action.starts_with("Publish")) return message;
  // A message that was received is gone for others.
  if (service == "sqs" && action == "ReceiveMessage") return write;
  for (const Names prefix : kReads) {
    if (action.starts_with(prefix)) return read;
  }
  return write;
}

/// Parameters of the query protocol or members of JSON, by either of two names.
std::vector<std::string> texts(const policy::Call& call, std::string_view prefix) {
  std::vector<std::string> out;
  for (const auto& [name, value] : call.fields) {
    if (name.starts_with(prefix)) out.push_back(value);
  }
  return out;
}

constexpr std::string_view kUnlisted =
    "AWS shows a key no list of its calls with what they cost: Cost Explorer has sums by "
    "day and service, a day late, at a price a question. What a call held counts until "
    "its answer, or the end of its hold, says otherwise";

class AwsPack final : public VendorPack {
 public:
  const VendorQuestions* questions() const override { return &questions_; }
  KeyShape shape() const override { return KeyShape::aws; }
  bool raw_bodies() const override { return true; }
  bool hides_per_key() const override { return true; }
  Form::Rules query_rules() const override { return {.max_fields = 512, .free_names = true}; }

  Result<> check_credential(const Secret& real) const override {
    OCTROI_CHECK(VendorPack::check_credential(real));
    const std::string_view text = real.reveal_text();
    const std::size_t colon = text.find(':');
    if (!text.starts_with("AKIA") || colon != 20 || text.size() < 21 + 20)
      return fail(Errc::bad_sealed,
                  "write an AWS key as its id and its secret: AKIA…:secret (no temporary ones)");
    return {};
  }

  bool takes(const Operation& operation, const Input& input) const override {
    std::ignore = input;
    return !operation.name.empty() || operation.row == kUnknown;
  }

  /// Neither method nor path say which operation it is.
  Operation route(std::string_view method, std::string_view path) const override {
    std::ignore = path;
    const bool reads = method == "GET" || method == "HEAD";
    return {"", reads ? read : write, kUnknown};
  }

  Result<Operation> name(Operation routed, const http::Headers& headers,
                         Input& input) const override {
    if (headers.count("x-amz-target") > 1)
      return fail(Errc::ambiguous, "the field x-amz-target stands there twice");
    const std::string& service = input.scope.service;
    OCTROI_TRY(const std::string action, action_of(headers, input));
    for (const auto& field : headers) {
      std::string lowered;
      for (const char c : field.name)
        lowered += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (lowered.starts_with("x-amz-")) input.facts.emplace_back(lowered, field.value);
    }
    if (service == "s3") {
      S3Address at = s3_address(input.path);
      input.facts.emplace_back("bucket", std::move(at.bucket));
      if (!at.key.empty()) input.facts.emplace_back("key", std::move(at.key));
    }
    // Not by a path either: what it makes opens the account without us.
    if (holds(kKeyMakers, service) && !(service == "sts" && action == "GetCallerIdentity")) {
      return fail(Errc::unknown_operation,
                  fmt::format("operations of {} make keys, and are never passed on", service));
    }
    if (!is_word(action) || service.empty()) return routed;
    return Operation{service + "." + action, direction_of(service, action), kNamed};
  }

  Result<policy::Call> extract(const Operation& operation, const Input& input) const override {
    policy::Call call = call_of(operation, input);
    call.fields = input.facts;
    for (const auto& [name, value] : input.query.fields()) call.fields.emplace_back(name, value);
    for (const auto& [name, value] : input.form.fields()) call.fields.emplace_back(name, value);
    if (input.document) flatten(input.document->root(), "", call.fields);
    const std::string& service = input.scope.service;
    // What S3 is sent are contents, not fields.
    call.unread =
        service != "s3" && !input.body.empty() && !input.document && input.form.fields().empty();
    if (operation.direction == message) {
      OCTROI_CHECK(service == "ses" ? read_mail(operation, call) : read_notice(call));
      return call;
    }
    const bool cheap = operation.direction == read || holds(kCheap, service);
    call.amount =
        cheap && !operation.name.empty() ? policy::AmountState::none : policy::AmountState::unknown;
    return call;
  }

  void prepare(Sending s) const override { std::ignore = s; }  // its signature comes last

  void sign(const Sending& s, std::string_view authority, UnixMillis now) const override {
    const std::string_view real = s.real.reveal_text();
    const std::size_t colon = std::min(real.find(':'), real.size());
    const Secret secret(real.substr(std::min(colon + 1, real.size())));
    sign_request(s.head, authority, crypto::sha256(as_bytes(s.input.body)),
                 {real.substr(0, colon), secret}, s.input.scope.region, s.input.scope.service, now);
  }

  std::vector<Hidden> hidden(const Secret& real, const ledger::VaultKey& shown) const override {
    const std::string_view text = real.reveal_text();
    const std::size_t colon = std::min(text.find(':'), text.size());
    std::vector<Hidden> out;
    out.push_back({Secret(text.substr(std::min(colon + 1, text.size()))), "vault_redacted"});
    out.push_back({Secret(text.substr(0, colon)), signer_name(shown)});
    return out;
  }

  Outcome settle(const Operation& operation, int status, const http::Headers& headers,
                 std::string_view body, bool whole) const override {
    std::ignore = operation;
    std::ignore = body;
    std::ignore = whole;
    Outcome out;
    out.state = by_status(status);
    for (const char* name : {"x-amzn-requestid", "x-amz-request-id"}) {
      if (const auto id = headers.get(name)) out.request_id = std::string(*id);
    }
    return out;
  }

  /// XML, which the parsers of all of AWS's protocols get the code out of; those of JSON look at
  /// the field.
  Refusal refusal(const Denial& denial) const override {
    Refusal out;
    out.head = refusal_head(denial);
    out.head.headers.set("Content-Type", "application/xml");
    const int status = out.head.status;
    const std::string_view code = status == 401   ? "InvalidClientTokenId"
                                  : status == 403 ? "AccessDenied"
                                  : status >= 500 ? "ServiceUnavailable"
                                                  : "ValidationError";
    if (status == 401) out.head.status = 403;  // what AWS says for a key that is none
    out.head.headers.set("X-Amzn-ErrorType", std::string(code));
    std::string message;
    for (const char c : denial.reason + ": " + denial.message) {
      switch (c) {
        case '<':
          message += "&lt;";
          break;
        case '>':
          message += "&gt;";
          break;
        case '&':
          message += "&amp;";
          break;
        default:
          message += c;
      }
    }
    out.body = fmt::format(
        "<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error>"
        "</ErrorResponse>",
        status >= 500 ? "Receiver" : "Sender", code, message);
    return out;
  }

 private:
  /// Reads the body where the action, or what it is about, stands in it. Each service looks for its
  /// action in one place, and what stands in another is refused: it would be judged and not done.
  static Result<std::string> action_of(const http::Headers& headers, Input& input) {
    const std::string& service = input.scope.service;
    if (service == "s3") return s3_action(input, headers.has("x-amz-copy-source"));
    if (std::ranges::any_of(input.query.fields(),
                            [](const auto& field) { return folded(field.first) == "action"; }))
      return fail(Errc::ambiguous, "send the action in the body of a POST, not in the query");
    OCTROI_TRY(const MediaType type, read_media_type(headers.get("content-type").value_or("")));
    const bool json = type.essence == "application/json" ||
                      type.essence == "application/x-amz-json-1.0" ||
                      type.essence == "application/x-amz-json-1.1";
    if (json && !input.body.empty()) {
      OCTROI_CHECK(type.check_utf8());
      OCTROI_CHECK(read_document(input));
    }
    const bool plain = input.method == "POST" && input.path == "/" && input.query.empty();
    if (const auto target = headers.get("x-amz-target")) {
      if (!json) return fail(Errc::unsupported_body, "x-amz-target goes with a JSON body");
      if (!plain) return fail(Errc::ambiguous, "x-amz-target goes with POST / and no query");
      const std::size_t dot = target->rfind('.');
      return std::string(dot == std::string_view::npos ? "" : target->substr(dot + 1));
    }
    if (service == "ses" && json) {
      if (input.method == "POST" && input.path == "/v2/email/outbound-emails") return "SendEmail";
      if (input.method == "POST" && input.path == "/v2/email/outbound-bulk-emails")
        return "SendBulkEmail";
      return std::string();
    }
    if (plain && type.is_form()) {
      OCTROI_CHECK(type.check_utf8());
      OCTROI_TRY(input.form, Form::parse(input.body, {.max_fields = 2000, .free_names = true}));
      OCTROI_TRY(const auto action, input.form.value("Action"));
      return std::string(action.value_or(""));
    }
    return std::string();
  }

  static Result<> read_document(Input& input) {
    auto document = json::parse(input.body, {64, input.body.size() + 1, false});
    if (!document)
      return fail(Errc::ambiguous,
                  fmt::format("the body is no strict JSON: {}", document.error().message()));
    input.document.emplace(std::move(*document));
    return {};
  }

  static Result<> read_mail(const Operation& operation, policy::Call& call) {
    call.amount = policy::AmountState::unknown;
    // To, Cc and Bcc of the query protocol and of version 2.
    for (const char* prefix : {"Destination.ToAddresses", "Destination.CcAddresses",
                               "Destination.BccAddresses", "Destinations.member"}) {
      for (const std::string& text : texts(call, prefix)) {
        OCTROI_TRY(std::string address, mail_address(text));
        call.recipients.push_back(std::move(address));
      }
    }
    for (const char* name : {"Source", "FromEmailAddress"}) {
      for (const auto& [field, value] : call.fields) {
        if (field != name) continue;
        OCTROI_TRY(const std::string from, mail_address(value));
        call.sender_domains.push_back(from.substr(from.find('@') + 1));
      }
    }
    if (operation.name != "ses.SendEmail" || call.recipients.empty()) return {};
    call.count = static_cast<std::int64_t>(call.recipients.size());
    call.amount = policy::AmountState::known;
    OCTROI_TRY(call.usd, kPerMail.times(call.count));
    return {};
  }

  static Result<> read_notice(policy::Call& call) {
    bool number = false;
    for (const auto& [name, value] : call.fields) {
      number = number || name == "PhoneNumber";
      if (name == "PhoneNumber" || name == "TopicArn" || name == "TargetArn")
        call.recipients.push_back(value);
    }
    // What a text message costs is between the country and its carriers.
    call.amount = number || call.operation != "sns.Publish" ? policy::AmountState::unknown
                                                            : policy::AmountState::known;
    if (call.amount == policy::AmountState::known) call.usd = kPerMessage;
    return {};
  }
  UnlistedQuestions questions_{kUnlisted};
};

}  // namespace

std::unique_ptr<VendorPack> make_aws_pack(const VendorSettings& vendor) {
  std::ignore = vendor;
  return std::make_unique<AwsPack>();
}

}  // namespace octroi::vault
