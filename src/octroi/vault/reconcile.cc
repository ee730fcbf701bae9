#include "octroi/vault/reconcile.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "octroi/json/writer.h"
#include "octroi/vault/late_prices.h"

namespace octroi::vault {

namespace {

using ledger::SpendRecord;
using ledger::SpendState;

constexpr AskLimits kList{.max_body = 16U << 20, .deadline = Millis(30'000)};
constexpr int kMostPages = 200;  // of one list
constexpr int kMostRecords = 200'000;
constexpr Millis kSkew{60'000};  // between our clock and the vendor's

constexpr std::string_view kTooMany =
    "more calls than can be compared at once look alike: ask for a shorter time";
constexpr std::string_view kNoList = "octroi knows no list of what this vendor did";

bool is_open(const SpendRecord& r) {
  return r.state == SpendState::held || r.state == SpendState::unknown || r.assumed;
}

/// The name of what was made, once the vendor has given it one.
std::string object_of(const SpendRecord& r) {
  return r.object.starts_with(kMatch) ? std::string() : r.object;
}

/// Also a retry of what nobody knows.
bool under_way(const SpendRecord& r, UnixMillis now) {
  const bool retried = r.state == SpendState::unknown && r.attempt > 1;
  return (r.state == SpendState::held || retried) && r.answer_by > now;
}

/// When the vendor was sent it last.
UnixMillis last_try(const Vendor& vendor, const SpendRecord& r) {
  return r.attempt > 1 ? std::max(r.created, r.answer_by - answer_time(vendor)) : r.created;
}

/// What each thing that it made is found by; of one that bears a mark or has a name, nothing.
std::vector<std::string_view> matches_of(const SpendRecord& r) {
  if (!r.object.starts_with(kMatch)) return {};
  return split_matches(std::string_view(r.object).substr(kMatch.size()));
}

}  // namespace

Millis answer_time(const Vendor& vendor) {
  constexpr Millis kMargin{30'000};
  // Twice a token, and a call that was refused because of the first one.
  return vendor.settings.timeout + (vendor.tokens != nullptr ? 4 : 1) * kMargin;
}

std::string_view to_string(Reconciled r) {
  switch (r) {
    case Reconciled::same:
      return "same";
    case Reconciled::settled:
      return "settled";
    case Reconciled::corrected:
      return "corrected";
    case Reconciled::released:
      return "released";
    case Reconciled::waiting:
      return "waiting";
    case Reconciled::in_flight:
      return "in_flight";
    case Reconciled::kept:
      return "kept";
    case Reconciled::missing:
      return "missing";
  }
  return "kept";
}

/// What the ledger says.
struct Reconciler::Records {
  std::map<std::string, SpendRecord> by_id;
  std::set<std::string> compared;  // the others only take what is theirs
  bool cut = false;                // there are more
  std::string_view error;          // why nothing can be told by how it looks; empty: it can

  [[nodiscard]] std::vector<const SpendRecord*> to_compare() const {
    std::vector<const SpendRecord*> out;
    out.reserve(compared.size());
    for (const std::string& id : compared) out.push_back(&by_id.at(id));
    return out;
  }
};

/// What the vendor's lists say, by what a call of ours is found by.
struct Reconciler::Shown {
  std::vector<VendorItem> items;
  std::multimap<std::string, std::size_t> by_mark, by_object;
  std::multimap<std::string, std::size_t, std::less<>> by_match;
  std::set<std::string> covered;                            // operations whose list was read
  UnixMillis covered_from;                                  // from when on the lists are whole
  std::map<std::string, std::vector<std::size_t>> matched;  // record's id to what is its
  std::set<std::size_t> taken;

  void add(VendorItem item) {
    const std::size_t at = items.size();
    if (!item.mark.empty()) by_mark.emplace(item.mark, at);
    if (!item.object.empty()) by_object.emplace(item.object, at);
    if (!item.match.empty()) by_match.emplace(item.match, at);
    if (!item.loose.empty()) by_match.emplace(item.loose, at);
    items.push_back(std::move(item));
  }

  /// Each thing is of one call: those that are known by name first, then whatever was sent and
  /// looks the same, and last what looks the same as far as it is known. In the order of time, but
  /// for calls that the vendor said it did before those that nobody knows of, and these before
  /// those that it refused.
  void match(std::vector<const SpendRecord*> records) {
    for (const SpendRecord* r : records) {
      const auto found = by_object.find(object_of(*r));
      if (found != by_object.end()) taken.insert(found->second);
    }
    std::ranges::sort(records, {}, [](const SpendRecord* r) {
      const int doubt = is_open(*r) ? 1 : r->state == SpendState::released ? 2 : 0;
      return std::pair(doubt, r->created);
    });
    for (const bool loose : {false, true}) {
      for (const SpendRecord* r : records) {
        for (const std::string_view match : matches_of(*r)) {
          if (match.starts_with(kLoose) == loose) take(*r, match);
        }
      }
    }
  }

  /// The oldest of what looks so and is nobody's yet.
  void take(const SpendRecord& r, std::string_view match) {
    std::optional<std::size_t> best;
    for (auto it = by_match.lower_bound(match);
         it != by_match.end() && it->first.starts_with(match); ++it) {
      const VendorItem& item = items[it->second];
      if (taken.contains(it->second) || !item.created || *item.created + kSkew < r.created)
        continue;
      if (!best || *item.created < *items[*best].created) best = it->second;
    }
    if (!best) return;
    taken.insert(*best);
    matched[r.id].push_back(*best);
  }

  [[nodiscard]] std::vector<const VendorItem*> of(const SpendRecord& r) const {
    std::vector<const VendorItem*> out;
    // An id that was free again stands for several calls, one after the other.
    const std::string mark = r.id.substr(0, r.id.find('~'));
    const auto [from, to] = by_mark.equal_range(mark);
    for (auto it = from; it != to; ++it) {
      const VendorItem& item = items[it->second];
      const bool of_this_time = !item.created || (*item.created + kSkew >= r.created &&
                                                  *item.created < r.replay_until + kSkew);
      if (of_this_time) out.push_back(&item);
    }
    if (!out.empty()) return out;
    if (const auto found = by_object.find(object_of(r)); found != by_object.end()) {
      // One that bears the mark of another call is not this one's.
      if (items[found->second].mark.empty()) return {&items[found->second]};
    }
    if (const auto found = matched.find(r.id); found != matched.end()) {
      for (const std::size_t at : found->second) out.push_back(&items[at]);
    }
    return out;
  }
};

Reconciler::Reconciler(ledger::SpendLedger& spends, ledger::CallBook& calls, VendorClients& clients,
                       Clock& clock, std::shared_ptr<const Snapshot> snapshot)
    : spends_(spends),
      calls_(calls),
      clients_(clients),
      clock_(clock),
      snapshot_(std::move(snapshot)) {}

Task<Result<std::vector<VendorReport>>> Reconciler::run(ReconcileRules rules) {
  std::vector<VendorReport> out;
  bool known = rules.vendor.empty();
  for (const Vendor& vendor : snapshot_->vendors) {
    if (!rules.vendor.empty() && vendor.settings.name != rules.vendor) continue;
    known = true;
    OCTROI_CO_TRY(VendorReport report, co_await run_for(&vendor, &rules));
    out.push_back(std::move(report));
  }
  if (!known) {
    co_return fail(Errc::unknown_vendor,
                   fmt::format("\"{}\" is not one of vault.vendors", rules.vendor));
  }
  co_return out;
}

/// First what the ledger says, then the vendor: whatever is not shown then was not made before.
Task<Result<VendorReport>> Reconciler::run_for(const Vendor* vendor, const ReconcileRules* rules) {
  VendorReport report;
  report.vendor = vendor->settings.name;
  report.to = clock_.now();
  OCTROI_CO_TRY(const Records records, co_await records_of(vendor, rules));
  const auto compared = records.to_compare();
  report.from = rules->open_only ? report.to : rules->since;
  for (const SpendRecord* r : compared) {
    if (is_open(*r)) report.from = std::min(report.from, r->created);
  }
  report.from = report.from - kSkew;
  Shown shown;
  if (records.error.empty()) {
    co_await read_lists(vendor, &compared, &report, &shown);
  } else {
    report.complete = false;
    report.error = std::string(records.error);
  }
  std::vector<const SpendRecord*> all;
  all.reserve(records.by_id.size());
  for (const auto& [id, r] : records.by_id) all.push_back(&r);
  shown.match(all);

  std::set<const VendorItem*> ours;
  for (const SpendRecord* record : all) {
    for (const VendorItem* item : shown.of(*record)) ours.insert(item);
  }
  for (const SpendRecord* record : compared) {
    ReconciledCall call = judge(*vendor, *record, shown, *rules, report.to);
    if (!rules->dry_run) OCTROI_CO_CHECK(co_await apply(vendor, &call));
    if (call.vendor) report.shown = report.shown.plus(*call.vendor).value_or(report.shown);
    report.calls.push_back(std::move(call));
  }
  report.others = std::ssize(shown.items) - std::ssize(ours);
  for (const ReconciledCall& call : report.calls) {
    const SpendRecord& r = call.record;
    const auto add = [](MicroUsd& to, MicroUsd more) { to = to.plus(more).value_or(to); };
    switch (call.what) {
      case Reconciled::settled:
      case Reconciled::corrected:
        add(report.ledger, call.vendor.value_or(r.amount));
        break;
      case Reconciled::released:
        break;
      case Reconciled::same:
      case Reconciled::missing:
      case Reconciled::waiting:
      case Reconciled::in_flight:
      case Reconciled::kept:
        if (r.state == SpendState::settled) add(report.ledger, r.settled);
        if (r.state == SpendState::held || r.state == SpendState::unknown)
          add(report.held, r.amount);
        break;
    }
  }
  co_return report;
}

/// First what is open, then what has an outcome. Of that, more than is compared: a thing that bears
/// no mark is found by how it looks, and what looks so may be another call's, which must be here to
/// take it.
Task<Result<Reconciler::Records>> Reconciler::records_of(const Vendor* vendor,
                                                         const ReconcileRules* rules) {
  Records out;
  ledger::SpendFilter filter;
  filter.vendor = vendor->settings.name;
  filter.limit = 1000;
  for (const SpendState state : {SpendState::held, SpendState::unknown}) {
    filter.state = state;
    OCTROI_CO_CHECK(co_await add_records(filter, &out));
  }
  filter.state.reset();
  if (!rules->open_only) filter.from = rules->since;
  std::optional<UnixMillis> looks_like_others;
  for (const auto& [id, r] : out.by_id) {
    out.compared.insert(id);
    if (matches_of(r).empty()) continue;
    looks_like_others = std::min(looks_like_others.value_or(r.created), r.created);
  }
  if (looks_like_others) {
    const UnixMillis from = *looks_like_others - kSkew - answer_time(*vendor);
    filter.from = std::min(filter.from.value_or(from), from);
  }
  if (filter.from) OCTROI_CO_CHECK(co_await add_records(filter, &out));
  for (const auto& [id, r] : out.by_id) {
    if (!rules->open_only && r.created >= rules->since) out.compared.insert(id);
  }
  if (looks_like_others) out.error = out.cut ? kTooMany : "";
  co_return out;
}

Task<Result<>> Reconciler::add_records(ledger::SpendFilter filter, Records* to) {
  while (true) {
    OCTROI_CO_TRY(auto page, co_await spends_.list_spends(filter));
    const bool more = std::ssize(page) == filter.limit;
    if (more) filter.after_id = page.back().id;
    for (SpendRecord& r : page) {
      std::string id = r.id;
      to->by_id.insert_or_assign(std::move(id), std::move(r));
    }
    to->cut = to->cut || (more && std::ssize(to->by_id) >= kMostRecords);
    if (!more || to->cut) co_return Result<>{};
  }
}

/// Only those lists that can show something of ours.
Task<void> Reconciler::read_lists(const Vendor* vendor,
                                  const std::vector<const SpendRecord*>* records,
                                  VendorReport* report, Shown* shown) {
  shown->covered_from = report->from;
  const VendorQuestions* questions = vendor->pack->questions();
  if (!can_be_asked(*vendor->pack)) {
    report->unlisted = questions == nullptr ? kNoList : questions->unlisted();
    report->complete =
        std::ranges::none_of(*records, [](const SpendRecord* r) { return is_open(*r); });
    co_return;
  }
  for (const VendorList& list : questions->lists(report->from, report->to)) {
    const bool wanted = std::ranges::any_of(*records, [&](const SpendRecord* r) {
      return std::ranges::find(list.operations, r->operation) != list.operations.end();
    });
    if (!wanted) continue;
    auto read = co_await read_list(vendor, &list, shown);
    if (read) {
      shown->covered.insert(list.operations.begin(), list.operations.end());
      continue;
    }
    report->complete = false;
    report->error = std::string(read.error().message());
  }
}

Task<Result<>> Reconciler::read_list(const Vendor* vendor, const VendorList* list, Shown* shown) {
  const VendorQuestions& questions = *vendor->pack->questions();
  std::string target = list->target;
  UnixMillis oldest = clock_.now();
  for (int page = 0; page < kMostPages; ++page) {
    OCTROI_CO_TRY(const auto doc, co_await ask(&clients_, vendor, target, kList));
    OCTROI_CO_TRY(VendorPage got, questions.read_list(target, doc.root()));
    for (VendorItem& item : got.items) {
      if (item.created) oldest = std::min(oldest, *item.created);
      shown->add(std::move(item));
    }
    if (got.next.empty() && !got.cut) co_return Result<>{};
    // What follows was made before anything that is looked for.
    if (got.newest_first && oldest < shown->covered_from) co_return Result<>{};
    if (got.cut || got.next == target) break;  // one that does not go on
    target = std::move(got.next);
  }
  shown->covered_from = std::max(shown->covered_from, oldest + kSkew);
  co_return Result<>{};
}

/// Whether what is not shown is not there.
bool Reconciler::covers(const Vendor& vendor, const SpendRecord& record, const Shown& shown) {
  const VendorQuestions* questions = vendor.pack->questions();
  const bool findable =
      !record.object.empty() || (questions != nullptr && questions->marks(record.operation));
  return findable && shown.covered.contains(record.operation) &&
         record.created >= shown.covered_from;
}

ReconciledCall Reconciler::judge(const Vendor& vendor, const SpendRecord& record,
                                 const Shown& shown, const ReconcileRules& rules,
                                 UnixMillis now) const {
  ReconciledCall call;
  call.record = record;
  const bool open = is_open(record);
  const auto items = shown.of(record);
  const std::size_t made = std::max<std::size_t>(matches_of(record).size(), 1);
  bool due = false;
  bool comparable = true;
  std::size_t spent = 0;
  for (const VendorItem* item : items) {
    // Several have no name together, and go on to be found one by one.
    if (made == 1) call.object = item->object;
    if (!item->spent) continue;
    ++spent;
    due = due || item->price_due;
    // What the rate was when it was made is not known any more.
    comparable =
        comparable && !item->changes &&
        (item->usd || !item->minor || http::equal_ignoring_case(item->minor->currency, "usd"));
    const MicroUsd one =
        dollars_of(*item, *snapshot_, now)
            .value_or(record.state == SpendState::settled ? record.settled : record.amount);
    call.vendor = call.vendor.value_or(MicroUsd{}).plus(one).value_or(one);
  }
  if (due) {
    call.vendor.reset();
    call.what = Reconciled::waiting;
    call.note = "the vendor has no price for it yet";
    return call;
  }
  const bool covered = covers(vendor, record, shown);
  const bool is_late = covered && now - last_try(vendor, record) >= rules.grace;
  if (!items.empty() && items.size() < made) {
    call.note = fmt::format("the vendor shows {} of {}", items.size(), made);
    if (record.state == SpendState::settled && !open) {
      // Unless it was settled at just these, when the rest did not come.
      if (is_late && call.vendor.value_or(MicroUsd{}) != record.settled)
        call.what = Reconciled::missing;
      return call;
    }
    if (open && !is_late) {
      call.vendor.reset();
      call.what = under_way(record, now) ? Reconciled::in_flight : Reconciled::kept;
      return call;
    }
  }
  if (spent > 0) {
    if (spent > made) call.note = fmt::format("the vendor did it {} times", spent);
    if (open) {
      call.what = Reconciled::settled;
    } else if (record.state == SpendState::released) {
      call.what = Reconciled::corrected;
      call.note = "it was released, and the vendor shows it";
    } else if (*call.vendor != record.settled && comparable) {
      call.what = Reconciled::corrected;
    }
    // What was counted once, and goes on (a capture), is counted where it began.
    if (record.amount == MicroUsd{} && !open) call.what = Reconciled::same;
    return call;
  }
  if (record.state == SpendState::released) return call;
  // What was counted pays for the next try, too.
  const bool again = std::ranges::any_of(items, [](const VendorItem* i) { return i->again; });
  if (!open && again) return call;
  if (!items.empty()) {
    call.what = open ? Reconciled::released : Reconciled::missing;
    call.note = "the vendor shows it as failed";
    return call;
  }
  if (!open) {
    if (!covered || record.settled == MicroUsd{}) return call;
    call.what = Reconciled::missing;
    call.note = "the vendor does not show it";
    return call;
  }
  if (under_way(record, now)) {
    call.what = Reconciled::in_flight;
    return call;
  }
  if (is_late) {
    call.what = Reconciled::released;
    call.note = "the vendor does not show it";
    return call;
  }
  call.what = Reconciled::kept;
  call.note = covered ? "the vendor does not show it yet" : "no list that was read would show it";
  if (!can_be_asked(*vendor.pack)) call.note = "the vendor has no list that would show it";
  return call;
}

Task<Result<>> Reconciler::apply(const Vendor* vendor, ReconciledCall* call) {
  const bool changes = call->what == Reconciled::settled || call->what == Reconciled::corrected ||
                       call->what == Reconciled::released;
  if (!changes) co_return Result<>{};
  if (call->what == Reconciled::released && call->record.state == SpendState::unknown) {
    // The vendor took its time to show its lists; a retry may have come meanwhile.
    OCTROI_CO_TRY(const auto now, co_await spends_.find_spend(call->record.id));
    if (now && under_way(*now, clock_.now())) {
      call->what = Reconciled::in_flight;
      call->note.clear();
      co_return Result<>{};
    }
  }
  Correction c = correction_of(*vendor, call->record,
                               call->what == Reconciled::released
                                   ? std::nullopt
                                   : std::optional(call->vendor.value_or(MicroUsd{})),
                               call->object, to_string(call->what), clock_.now());
  OCTROI_CO_TRY(const auto changed, co_await calls_.end(std::move(c.change), std::move(c.row)));
  if (changed.state == ledger::ChangeState::refused) {
    // Its outcome came in while the vendor was asked.
    call->what = Reconciled::same;
    call->note.clear();
    if (changed.record) call->record = *changed.record;
  }
  co_return Result<>{};
}

std::string to_json(const std::vector<VendorReport>& reports, bool all) {
  json::Writer w;
  w.begin_object().key("vendors").begin_array();
  for (const VendorReport& r : reports) {
    w.begin_object();
    w.field("vendor", r.vendor);
    w.field("from", to_rfc3339(r.from)).field("to", to_rfc3339(r.to));
    w.field("complete", r.complete);
    if (!r.error.empty()) w.field("error", r.error);
    if (!r.unlisted.empty()) w.field("unlisted", r.unlisted);
    w.field("ledger", octroi::format(r.ledger)).field("held", octroi::format(r.held));
    w.field("shown", octroi::format(r.shown));
    w.field("looked_at", static_cast<std::int64_t>(r.calls.size()));
    w.field("others", r.others);
    w.key("calls").begin_array();
    for (const ReconciledCall& c : r.calls) {
      if (c.what == Reconciled::same && !all) continue;
      w.begin_object();
      w.field("id", c.record.id).field("operation", c.record.operation);
      w.field("policy", c.record.policy).field("key", c.record.key_id);
      if (!c.record.run.empty()) w.field("run", c.record.run);
      w.field("created", to_rfc3339(c.record.created));
      w.field("was", std::string(ledger::to_string(c.record.state)));
      w.field("amount", octroi::format(c.record.state == SpendState::settled ? c.record.settled
                                                                             : c.record.amount));
      if (c.vendor) w.field("vendor_amount", octroi::format(*c.vendor));
      if (!c.object.empty()) w.field("object", c.object);
      w.field("action", std::string(to_string(c.what)));
      if (!c.note.empty()) w.field("note", c.note);
      w.end_object();
    }
    w.end_array().end_object();
  }
  w.end_array().end_object();
  return std::move(w).take();
}

}  // namespace octroi::vault
