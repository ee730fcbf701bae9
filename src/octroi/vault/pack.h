// octroi/vault/pack.h: what a vendor's pack knows: which operation a request is, what it spends and
// on whom, how the real key is put in, what an answer says it cost, and how that vendor says no.
//
// The broker asks the questions in that order and knows no vendor. A pack is data and small
// functions over a request that was read once (Input), so that what a pack judged is what is sent.
//
// Errors   Errc::ambiguous, unsupported_body, unknown_operation; messages name the field.
// Thread   const and pure: shared by all workers.
// Source   issue 6, "Vendor packs".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/secret.h"
#include "octroi/http/message.h"
#include "octroi/json/value.h"
#include "octroi/policy/call.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/form.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/settings.h"

namespace octroi::vault {

enum class BodyKind : std::uint8_t { none, form, json, other };

/// A request, read once.
struct Input {
  std::string method;
  std::string path;  // canonical, as the vendor sees it, without the base path
  Form query;
  BodyKind body_kind = BodyKind::none;
  Form form;
  std::optional<json::Document> document;
  std::optional<json::Document> arguments;  // what is judged, where it is not all of the document
  std::string body;                         // what is sent: written anew from what was read
  /// Of a request that is signed: for which service, and where.
  struct Scope {
    std::string region, service;
  } scope;
  /// What else a policy may look at: fields of the head that the vendor acts on.
  std::vector<std::pair<std::string, std::string>> facts;
  std::string content_type;  // of it
};

/// A row of a vendor's table.
struct Operation {
  std::string name;  // "charges.create"; empty: not known
  policy::Direction direction = policy::Direction::write;
  std::size_t row = 0;  // of the pack's own table
};

/// How a vendor's answer changes the account.
struct Outcome {
  enum class State : std::uint8_t {
    done,     // it happened
    refused,  // it did not
    unknown   // nobody can tell from this answer
  } state = State::unknown;
  std::optional<policy::MinorAmount> minor;  // what it cost, where the answer says so
  std::optional<MicroUsd> usd;
  std::string object;      // the vendor's id of what was made
  std::string request_id;  // the vendor's id of the call
  bool replayed = false;   // the vendor gave an earlier answer again
  bool price_due = false;  // it is done, and the vendor says later what it cost
};

/// Why a call is refused, for whoever made it.
struct Denial {
  Errc code = Errc::denied;
  std::string reason;   // a stable word: that of the policy, or of the code
  std::string message;  // a sentence for an agent
  std::optional<UnixMillis> resets_at;
  bool retry = false;  // the very same request may be sent again
};

struct Refusal {
  http::ResponseHead head;
  std::string body;
};

/// Where a credential goes, and where the agent's is looked for.
struct Place {
  enum class Is : std::uint8_t { authorization, header, query, cookie } is = Is::authorization;
  std::string name;  // of the header, parameter or cookie
};

/// Listens to an answer while it passes, for vendors whose answers are too long to be kept: what a
/// stream cost by now is known at any moment.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  virtual void begin(int status, const http::Headers& headers) = 0;
  /// A piece of the body, unpacked.
  virtual void read(std::string_view plain) = 0;
  /// Whether the vendor stops, and stops counting, when nobody reads any more: then it is left as
  /// soon as the agent leaves. Otherwise the answer is read to its end.
  [[nodiscard]] virtual bool ends_with_agent() const = 0;
  /// `whole`: the body came to its end.
  [[nodiscard]] virtual Outcome outcome(bool whole) = 0;
};

class TokenGrant;
class VendorQuestions;

class VendorPack {
 public:
  virtual ~VendorPack() = default;

  /// The hosts of the vendor's API, by which it may be addressed.
  [[nodiscard]] virtual std::vector<std::string> hosts() const { return {}; }
  /// How its SDKs want a key to look.
  [[nodiscard]] virtual KeyShape shape() const { return KeyShape::vault; }
  /// Beside Authorization.
  [[nodiscard]] virtual std::vector<Place> places() const { return {}; }
  /// Whether this real key opens the live account; nothing when it does not say.
  [[nodiscard]] virtual std::optional<bool> is_live(const Secret& real) const;
  /// What a real key must look like, for whoever registers one.
  [[nodiscard]] virtual Result<> check_credential(const Secret& real) const;

  /// Headers by which the call would become another one.
  [[nodiscard]] virtual Result<> check_headers(const http::Headers& headers) const;
  [[nodiscard]] virtual Form::Rules form_rules() const { return {}; }
  [[nodiscard]] virtual Form::Rules query_rules() const { return {}; }
  /// Kinds of body that this operation takes.
  [[nodiscard]] virtual bool takes(const Operation& operation, const Input& input) const = 0;

  [[nodiscard]] virtual Operation route(std::string_view method, std::string_view path) const = 0;
  /// Whether some request is called so. A policy that names another operation means something else
  /// than it says. True where the pack has no list of them.
  [[nodiscard]] virtual bool has_operation(std::string_view name) const {
    std::ignore = name;
    return true;
  }
  /// Whether bodies are passed on as they came, whatever their type; the pack reads what it judges.
  [[nodiscard]] virtual bool raw_bodies() const { return false; }
  /// For vendors whose operations are named in head or body: once both were read.
  [[nodiscard]] virtual Result<Operation> name(Operation routed, const http::Headers& headers,
                                               Input& input) const {
    std::ignore = headers;
    std::ignore = input;
    return routed;
  }
  /// Fills everything but vendor, agent and key; the run where the body names one.
  [[nodiscard]] virtual Result<policy::Call> extract(const Operation& operation,
                                                     const Input& input) const = 0;
  /// What two requests have in common that are one (`dedupe`, a human's approval): the body, but
  /// for what names the single sending of it.
  [[nodiscard]] virtual std::string same_as(const Operation& operation, const Input& input) const {
    std::ignore = operation;
    return input.body;
  }
  /// The object that an operation goes on with (a capture, a confirmation): what was counted for it
  /// is not counted again. Empty: it begins something.
  [[nodiscard]] virtual std::string continues(const Operation& operation,
                                              const Input& input) const {
    std::ignore = operation;
    std::ignore = input;
    return {};
  }
  /// For vendors who are shown a token: how it is come by (oauth.h). What is put in is the token
  /// then. Null: the real key is shown itself.
  [[nodiscard]] virtual const TokenGrant* grant() const { return nullptr; }
  /// Changes to what is sent: an account's id in the path, an idempotency key. `shown` is the key
  /// of the agent.
  struct Sending {
    http::RequestHead& head;
    Input& input;
    const Secret& real;
    const ledger::VaultKey& shown;
    std::string_view idempotency_key;  // ours, made from the agent's or for this call
    std::string_view nonce = {};       // names this sending; never the same twice
  };
  virtual void prepare(Sending sending) const = 0;
  /// For vendors that want a signature: everything of the head is as it is sent, `authority` being
  /// its Host.
  virtual void sign(const Sending& sending, std::string_view authority, UnixMillis now) const {
    std::ignore = sending;
    std::ignore = authority;
    std::ignore = now;
  }
  /// Under which name the vendor takes idempotency keys; empty: it takes none.
  [[nodiscard]] virtual std::string_view idempotency_header() const { return {}; }
  /// Parts of the real credential that an agent must not see, and what it sees instead.
  struct Hidden {
    Secret text;
    std::string instead;
  };
  [[nodiscard]] virtual std::vector<Hidden> hidden(const Secret& real,
                                                   const ledger::VaultKey& shown) const;
  /// Whether that differs between keys.
  [[nodiscard]] virtual bool hides_per_key() const { return false; }
  /// Whether the request stays in the account that this key is for.
  [[nodiscard]] virtual Result<> check_account(const Input& input,
                                               const ledger::VaultKey& shown) const;

  /// `body` may be cut off (`whole` false).
  [[nodiscard]] virtual Outcome settle(const Operation& operation, int status,
                                       const http::Headers& headers, std::string_view body,
                                       bool whole) const = 0;
  /// Whether its answer goes on until the agent has enough of it, however long nothing is said.
  [[nodiscard]] virtual bool only_listens(const Operation& operation) const {
    std::ignore = operation;
    return false;
  }
  /// Instead of settle(), for operations that need it; null: they do not. Outlives neither pack nor
  /// call.
  [[nodiscard]] virtual std::unique_ptr<AnswerReader> listen(const Operation& operation,
                                                             const Input& input) const {
    std::ignore = operation;
    std::ignore = input;
    return nullptr;
  }
  /// What octroi itself asks this vendor (questions.h); null: nothing.
  [[nodiscard]] virtual const VendorQuestions* questions() const { return nullptr; }
  [[nodiscard]] virtual Refusal refusal(const Denial& denial) const = 0;
  /// For vendors whose answers name what they answer. `input` is what was read of the request.
  [[nodiscard]] virtual Refusal refusal_of(const Denial& denial, const Input& input) const {
    std::ignore = input;
    return refusal(denial);
  }
};

/// The pack of that name; null when there is none.
[[nodiscard]] std::unique_ptr<VendorPack> make_pack(const VendorSettings& vendor);
/// That of the vendor's own MCP server (VendorSettings::door); null when octroi knows none.
[[nodiscard]] std::unique_ptr<VendorPack> make_door_pack(const VendorSettings& vendor);
[[nodiscard]] std::vector<std::string_view> pack_names();

// --- what packs share ---

/// One step of a path template: "/v1/charges/{id}/capture"; `{…}` is one segment.
[[nodiscard]] bool path_matches(std::string_view pattern, std::string_view path,
                                std::string* captured = nullptr);
/// The row of a pack's table (method, path, name, direction) that a request is, HEAD as GET;
/// without one, `otherwise`.
template <class Table>
[[nodiscard]] Operation find_operation(const Table& table, std::string_view method,
                                       std::string_view path, Operation otherwise) {
  if (method == "HEAD") method = "GET";
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].method == method && path_matches(table[i].path, path))
      return {std::string(table[i].name), table[i].direction, i};
  }
  return otherwise;
}
/// Whether a pack's table has an operation of that name.
template <class Table>
[[nodiscard]] bool names_operation(const Table& table, std::string_view name) {
  return std::ranges::any_of(table, [&](const auto& row) { return row.name == name; });
}
/// A call of which nothing is known yet but which it is.
[[nodiscard]] policy::Call call_of(const Operation& operation, const Input& input);
/// Digits only, at most 12, no leading zero.
[[nodiscard]] Result<std::int64_t> parse_minor(std::string_view field, std::string_view text);
/// By status alone: 2xx done, 4xx refused but for 408, everything else unknown.
[[nodiscard]] Outcome::State by_status(int status);
/// That, and the vendor's id of the call from the header of that name.
[[nodiscard]] Outcome outcome_by(int status, const http::Headers& headers,
                                 std::string_view request_id);
[[nodiscard]] http::ResponseHead refusal_head(const Denial& denial);
/// Most fields of a request; a request with so many is refused.
inline constexpr std::size_t kMostFields = 20'000;
/// Every scalar of a JSON document: "a.b[0].c", as text.
void flatten(const json::Value& value, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& out);
/// A scalar at a dotted path: "order.total", "data[0].id".
[[nodiscard]] std::optional<std::string> scalar_at(const json::Value& root, std::string_view path);
void set_bearer(http::Headers& headers, const Secret& real);
void set_basic(http::Headers& headers, const Secret& user_and_password);

}  // namespace octroi::vault
