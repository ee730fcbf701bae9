#include "octroi/adapters/sql/call_frames.h"

#include <algorithm>
#include <utility>

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/base/little_endian.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

constexpr char kSpend = 's';
constexpr char kWindow = 'w';
constexpr char kRow = 'a';

// --- writing

void put(std::string& out, std::int64_t n) {
  append_little_endian(out, static_cast<std::uint64_t>(n));
}
void put(std::string& out, std::string_view text) {
  put(out, static_cast<std::int64_t>(text.size()));
  out += text;
}
void put(std::string& out, ByteView bytes) { put(out, as_text(bytes)); }
void put(std::string& out, MicroUsd amount) { put(out, amount.count() /* raw: storage */); }
void put(std::string& out, UnixMillis t) { put(out, t.value); }

// --- reading

/// Takes fields off the front; what is missing makes all of it wrong.
class Fields {
 public:
  explicit Fields(ByteView bytes) : left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  [[nodiscard]] bool good() const { return good_; }

  std::int64_t number() { return static_cast<std::int64_t>(little_endian(take(8))); }
  char letter() {
    const ByteView bytes = take(1);
    return bytes.empty() ? '\0' : static_cast<char>(bytes[0]);
  }
  std::string text() { return std::string(as_text(bytes())); }
  Digest digest() {
    const ByteView got = bytes();
    Digest out{};
    if (got.size() == out.size()) {
      std::ranges::copy(got, out.begin());
    } else {
      good_ = false;
    }
    return out;
  }
  MicroUsd dollars() {
    const auto amount = MicroUsd::from_raw(number());
    good_ = good_ && amount.has_value();
    return amount.value_or(MicroUsd{});
  }
  UnixMillis time() { return {number()}; }
  void refuse() { good_ = false; }

 private:
  ByteView bytes() {
    const std::int64_t size = number();
    return size < 0 ? take(left_.size() + 1) : take(static_cast<std::size_t>(size));
  }
  ByteView take(std::size_t size) {
    if (!good_ || size > left_.size()) {
      good_ = false;
      left_ = {};
      return {};
    }
    const ByteView out = left_.first(size);
    left_ = left_.subspan(size);
    return out;
  }

  ByteView left_;
  bool good_ = true;
};

StoredSpend read_spend(Fields& in) {
  StoredSpend out;
  SpendRecord& r = out.record;
  r.id = in.text();
  r.fingerprint = in.digest();
  const auto state = spend_state_from_string(in.text());
  if (!state) in.refuse();
  r.state = state.value_or(SpendState::held);
  r.amount = in.dollars();
  r.settled = in.dollars();
  r.assumed = in.number() != 0;
  r.attempt = in.number();
  for (UnixMillis* t : {&r.created, &r.changed, &r.answer_by, &r.give_up_at, &r.replay_until})
    *t = in.time();
  for (std::string* s : {&r.vendor, &r.operation, &r.policy, &r.key_id, &r.run, &r.object})
    *s = in.text();
  auto holds = holds_from_text(in.text());
  if (!holds) in.refuse();
  out.holds = std::move(holds).value_or(std::vector<StoredHold>{});
  if (in.number() != 0) out.dedupe = in.digest();
  return out;
}

Result<> replay_spend(Connection& db, Fields& in) {
  const StoredSpend spend = read_spend(in);
  if (!in.good()) return {};  // told by whoever reads on
  OCTROI_CHECK(db.run("DELETE FROM spends WHERE id = ?", std::string_view(spend.record.id)));
  return insert_spend(db, spend);
}

Result<> replay_window(Connection& db, Fields& in) {
  StoredWindow w;
  w.id = in.number();
  w.usage.held = in.number();
  w.usage.settled = in.number();
  w.seen = in.time();
  if (!in.good()) return {};
  OCTROI_CHECK(update_window(db, w));
  if (db.changes() == 1) return {};
  return fail(Errc::corrupt, "the log of calls counts in a window that is not there");
}

Result<> replay_row(Connection& db, Fields& in) {
  audit::StoredRow row;
  row.id.writer = in.text();
  row.id.seq = in.number();
  row.text = in.text();
  row.prev_hash = in.digest();
  row.row_hash = in.digest();
  if (!in.good()) return {};
  OCTROI_TRY(const audit::Row read, audit::read_row(row));
  return insert_audit_row(db, row, read.at, searched_by(read.event));
}

}  // namespace

void append_record(std::string& frame, const StoredSpend& spend) {
  const SpendRecord& r = spend.record;
  frame += kSpend;
  put(frame, std::string_view(r.id));
  put(frame, ByteView(r.fingerprint));
  put(frame, to_string(r.state));
  put(frame, r.amount);
  put(frame, r.settled);
  put(frame, std::int64_t{r.assumed ? 1 : 0});
  put(frame, r.attempt);
  for (const UnixMillis t : {r.created, r.changed, r.answer_by, r.give_up_at, r.replay_until})
    put(frame, t);
  for (const std::string* s : {&r.vendor, &r.operation, &r.policy, &r.key_id, &r.run, &r.object})
    put(frame, std::string_view(*s));
  put(frame, std::string_view(to_text(spend.holds)));
  put(frame, std::int64_t{spend.dedupe ? 1 : 0});
  if (spend.dedupe) put(frame, ByteView(*spend.dedupe));
}

void append_record(std::string& frame, const StoredWindow& window) {
  frame += kWindow;
  put(frame, window.id);
  put(frame, window.usage.held);
  put(frame, window.usage.settled);
  put(frame, window.seen);
}

void append_record(std::string& frame, const audit::StoredRow& row) {
  frame += kRow;
  put(frame, std::string_view(row.id.writer));
  put(frame, row.id.seq);
  put(frame, std::string_view(row.text));
  put(frame, ByteView(row.prev_hash));
  put(frame, ByteView(row.row_hash));
}

Result<> replay(Connection& db, ByteView frame) {
  Fields in(frame);
  while (in.good() && !in.empty()) {
    switch (in.letter()) {
      case kSpend:
        OCTROI_CHECK(replay_spend(db, in));
        break;
      case kWindow:
        OCTROI_CHECK(replay_window(db, in));
        break;
      case kRow:
        OCTROI_CHECK(replay_row(db, in));
        break;
      default:
        in.refuse();
    }
  }
  if (in.good()) return {};
  return fail(Errc::corrupt, "the log of calls has a record that nobody can read");
}

}  // namespace octroi::sql
