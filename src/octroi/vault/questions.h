// octroi/vault/questions.h: what octroi itself asks a vendor, with the real key, and how a pack
// reads the answers: the object that a request is about (its amount, its customer), the lists in
// which the vendor shows what was done, and one thing's price when it comes late.
//
// How a call is found again: a pack that can writes the reservation's id into what is made (mark),
// in a field that means nothing to the vendor and that agents may not set. Where a vendor has no
// such field, a hash of what was sent is kept with the reservation (match); of several things that
// one call makes, one of each.
//
// Every question is a GET. Targets are below the vendor's base path; an account's id in a path may
// be any of its shape: the pack puts the real one in.
// Errors   Errc::ambiguous for answers that do not say what they should.
// Thread   const and pure.
// Source   issue 6, "Policy" (unknown amounts), "Money" (reconcile, late prices).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/json/value.h"
#include "octroi/vault/pack.h"

namespace octroi::vault {

class VendorClients;
struct Vendor;

/// Something that the vendor says was done.
struct VendorItem {
  std::string object;  // its id
  std::string mark;    // the reservation that it was made for; empty: it bears none
  std::string match;   // as VendorQuestions::match makes them
  std::string loose;   // the same, of a call that left a part to the vendor; begins with kLoose
  std::optional<UnixMillis> created;
  bool spent = true;       // false: it failed, and costs nothing
  bool again = false;      // it failed, and may be tried again as it is
  bool changes = false;    // other calls may change its amount later
  bool price_due = false;  // it is done, and what it costs is not known yet
  std::optional<policy::MinorAmount> minor;
  std::optional<MicroUsd> usd;
};

struct VendorList {
  std::string target;
  /// What these make stands in the list, or was not made.
  std::vector<std::string> operations;
};

struct VendorPage {
  std::vector<VendorItem> items;  // newest first, or in any order when `next` is empty
  bool cut = false;               // there is more, and no way to it
  bool newest_first = false;      // what stands on later pages was made before what stands here
  std::string next;               // the target of the next page; empty: that was all
};

class VendorQuestions {
 public:
  virtual ~VendorQuestions() = default;

  // --- before a call: what is not in the request
  /// Where the object stands that says how much or whose; empty: nobody can say.
  [[nodiscard]] virtual std::string subject(const Operation& operation, const Input& input) const;
  /// Adds to `call` what the object says. What it does not say stays unknown.
  [[nodiscard]] virtual Result<> learn(const Operation& operation, const Input& input,
                                       const json::Value& object, policy::Call& call) const;

  // --- in a call
  virtual void mark(const Operation& operation, Input& input, std::string_view reservation) const;
  /// Whether calls of this operation bear one: only then is what is not shown not there.
  [[nodiscard]] virtual bool marks(std::string_view operation) const;
  /// Whether a call of this operation is counted at all that its object can still cost, so that
  /// what goes on with the object (VendorPack::continues) spends nothing more.
  [[nodiscard]] virtual bool counts_whole(std::string_view operation) const;
  /// What one is found by that bears no mark: at most kMostMatch characters; of a call that makes
  /// several things, join_matches(). Empty: it cannot be told from others.
  [[nodiscard]] virtual std::string match(const Operation& operation, const Input& input) const;

  // --- after a call
  /// Why no list can be asked for, for people; empty: there may be lists.
  [[nodiscard]] virtual std::string_view unlisted() const { return {}; }
  /// The lists that show what was made in this time.
  [[nodiscard]] virtual std::vector<VendorList> lists(UnixMillis from, UnixMillis to) const;
  [[nodiscard]] virtual Result<VendorPage> read_list(std::string_view target,
                                                     const json::Value& answer) const;
  /// Where one thing stands; empty: nowhere.
  [[nodiscard]] virtual std::string object(std::string_view operation, std::string_view id) const;
  [[nodiscard]] virtual Result<VendorItem> read_object(const json::Value& answer) const;
};

/// Of vendors who show an ordinary key nothing of what it did.
class UnlistedQuestions final : public VendorQuestions {
 public:
  /// `why` is a literal.
  explicit constexpr UnlistedQuestions(std::string_view why) : why_(why) {}
  [[nodiscard]] std::string_view unlisted() const override { return why_; }

 private:
  std::string_view why_;
};
/// Whether the vendor can be asked what became of a call.
[[nodiscard]] inline bool can_be_asked(const VendorPack& pack) {
  return pack.questions() != nullptr && pack.questions()->unlisted().empty();
}

/// What reservations keep where nothing can be marked: "match:…", until the vendor names the
/// object.
inline constexpr std::string_view kMatch = "match:";
/// What a reservation has room for, behind kMatch.
inline constexpr std::size_t kMostMatch = 506;
/// Begins the match of something that may look like others too: those are found first.
inline constexpr char kLoose = '~';
/// Of things that are found one by one, in one text: "3*" and the beginnings of their matches, as
/// long as there is room for. Empty: there is none. The matches are as long as each other.
[[nodiscard]] std::string join_matches(const std::vector<std::string>& each);
/// What the match of each thing begins with.
[[nodiscard]] std::vector<std::string_view> split_matches(std::string_view kept);

struct AskLimits {
  std::uint64_t max_body = 1U << 20;
  Millis deadline{10'000};
};
/// A request of octroi's own.
struct Question {
  std::string method = "GET";
  std::string target;     // below the base path
  std::string host = {};  // another one of the vendor's than its API's; without a base path
  std::string body = {};
  std::string content_type = {};
  std::string accept = "application/json";
  Input::Scope scope = {};  // of one that is signed
};
/// Asks with the real key, which goes nowhere else: no redirects. An answer of any status; without
/// one, Errc::upstream_failed, whose message names the vendor.
Task<Result<http::Response>> ask_plainly(VendorClients* clients, const Vendor* vendor,
                                         Question question, AskLimits limits);
/// Asks for JSON. Anything but a 200 with JSON is Errc::upstream_failed; its message names the
/// vendor and the status.
Task<Result<json::Document>> ask(VendorClients* clients, const Vendor* vendor, std::string target,
                                 AskLimits limits);

}  // namespace octroi::vault
