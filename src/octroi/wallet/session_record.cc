#include "octroi/wallet/session_record.h"

#include <algorithm>

#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/wallet/errors.h"

namespace octroi::wallet {

namespace {

constexpr std::size_t kMostPaths = 32;
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kPreimageHex = 64;

constexpr SessionStage kStages[] = {
    SessionStage::paying,  SessionStage::paid,   SessionStage::opening, SessionStage::open,
    SessionStage::closing, SessionStage::closed, SessionStage::refused};

Result<SessionStage> parse_stage(std::string_view text) {
  for (const SessionStage s : kStages) {
    if (to_string(s) == text) return s;
  }
  return fail(Errc::session_store, "stage: unknown");
}

/// Up to and with the last slash.
std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

Result<mpp::Challenge> parse_stored_challenge(std::string_view text) {
  OCTROI_TRY(auto challenges, mpp::parse_challenges(std::span(&text, 1)));
  return std::move(challenges.front());
}

Result<PaymentHash> hash_at(const json::Value& object, std::string_view key) {
  OCTROI_TRY(const auto text, object.string(key));
  return PaymentHash::from_hex(text);
}
Result<Msat> msat_at(const json::Value& object, std::string_view key) {
  OCTROI_TRY(const auto raw, object.int64(key));
  return Msat::from_raw(raw);
}
Result<Sat> sat_at(const json::Value& object, std::string_view key) {
  OCTROI_TRY(const auto raw, object.int64(key));
  return Sat::from_raw(raw);
}

Result<std::string> json_of(const SessionRecord& r) {
  OCTROI_TRY(const std::string challenge, mpp::format_challenge(r.challenge));
  json::Writer w;
  w.begin_object().field("v", kVersion).field("id", r.id.hex());
  w.field("origin", r.origin).field("realm", r.realm).field("url", r.url);
  w.field("method", r.method).key("paths").begin_array();
  for (const auto& path : r.paths) w.string(path);
  w.end_array().field("stage", to_string(r.stage)).field("challenge", challenge);
  w.field("challenge_expires", r.challenge_expires.value);
  w.field("unit_sat", r.unit.count() /* raw: storage */);
  w.field("deposit_msat", r.deposit.count() /* raw: storage */);
  w.field("spent_msat", r.spent.count() /* raw: storage */);
  w.field("return_invoice", r.return_invoice).field("return_hash", r.return_hash.hex());
  w.field("idle_s", static_cast<std::int64_t>(r.idle_timeout.count()));
  w.field("opened_ms", r.opened.value).field("used_ms", r.last_used.value);
  if (r.refund) w.field("refund_sat", r.refund->count() /* raw: storage */);
  if (r.refund_status) w.field("refund_status", mpp::lightning::to_string(*r.refund_status));
  w.field("refund_seen_msat", r.refund_seen.count() /* raw: storage */);
  w.field("detail", r.detail);
  if (r.top_up) {
    OCTROI_TRY(const std::string asked, mpp::format_challenge(r.top_up->challenge));
    w.key("top_up").begin_object().field("hash", r.top_up->hash.hex());
    w.field("challenge", asked);
    w.field("amount_msat", r.top_up->amount.count() /* raw: storage */).end_object();
  }
  w.end_object();
  return std::move(w).take();
}

Result<> read_refund(const json::Value& root, SessionRecord& r) {
  if (root.find("refund_sat")) {
    OCTROI_TRY(r.refund, sat_at(root, "refund_sat"));
  }
  OCTROI_TRY(const auto status, root.optional_string("refund_status"));
  if (status) r.refund_status = mpp::lightning::parse_refund_status(*status);
  OCTROI_TRY(r.refund_seen, msat_at(root, "refund_seen_msat"));
  return {};
}

Result<> read_top_up(const json::Value& root, SessionRecord& r) {
  OCTROI_TRY(const auto object, root.optional_object("top_up"));
  if (!object) return {};
  PendingTopUp top_up;
  OCTROI_TRY(top_up.hash, hash_at(*object, "hash"));
  OCTROI_TRY(const auto challenge, object->string("challenge"));
  OCTROI_TRY(top_up.challenge, parse_stored_challenge(challenge));
  OCTROI_TRY(top_up.amount, msat_at(*object, "amount_msat"));
  r.top_up = std::move(top_up);
  return {};
}

Result<SessionRecord> read_json(std::string_view text) {
  OCTROI_TRY(const json::Document document, json::parse(text));
  const json::Value root = document.root();
  OCTROI_TRY(const auto version, root.int64("v"));
  if (version != kVersion) return fail(Errc::session_store, "of a newer version");
  SessionRecord r;
  OCTROI_TRY(r.id, hash_at(root, "id"));
  OCTROI_TRY(r.origin, root.string("origin"));
  OCTROI_TRY(r.realm, root.string("realm"));
  OCTROI_TRY(r.url, root.string("url"));
  OCTROI_TRY(r.method, root.string("method"));
  OCTROI_TRY(const auto paths, root.array("paths"));
  for (const json::Value path : paths.elements()) {
    OCTROI_TRY(const auto one, path.as_string());
    r.paths.emplace_back(one);
  }
  OCTROI_TRY(const auto stage, root.string("stage"));
  OCTROI_TRY(r.stage, parse_stage(stage));
  OCTROI_TRY(const auto challenge, root.string("challenge"));
  OCTROI_TRY(r.challenge, parse_stored_challenge(challenge));
  OCTROI_TRY(r.challenge_expires.value, root.int64("challenge_expires"));
  OCTROI_TRY(r.unit, sat_at(root, "unit_sat"));
  OCTROI_TRY(r.deposit, msat_at(root, "deposit_msat"));
  OCTROI_TRY(r.spent, msat_at(root, "spent_msat"));
  OCTROI_TRY(r.return_invoice, root.string("return_invoice"));
  OCTROI_TRY(r.return_hash, hash_at(root, "return_hash"));
  OCTROI_TRY(const auto idle, root.int64("idle_s"));
  r.idle_timeout = Seconds(idle);
  OCTROI_TRY(r.opened.value, root.int64("opened_ms"));
  OCTROI_TRY(r.last_used.value, root.int64("used_ms"));
  OCTROI_TRY(r.detail, root.string("detail"));
  OCTROI_CHECK(read_refund(root, r));
  OCTROI_CHECK(read_top_up(root, r));
  return r;
}

/// 64 hex digits or nothing, into memory that is guarded.
Result<Secret> read_preimage(std::string_view hex) {
  if (hex.empty()) return Secret();
  OCTROI_TRY(auto raw, from_hex_exact<kPreimageHex / 2>(hex, HexCase::lower));
  Secret out{ByteView(raw)};
  secure_wipe(raw.data(), raw.size());
  return out;
}

void append_preimage(std::string& out, const Secret& preimage) {
  out.push_back('\n');
  std::string hex = to_hex(preimage.reveal());
  out += hex;
  secure_wipe(hex.data(), hex.size());
}

Error unreadable(const Error& e) { return {Errc::session_store, std::string(e.message())}; }

}  // namespace

std::string_view to_string(SessionStage stage) {
  switch (stage) {
    case SessionStage::paying:
      return "paying";
    case SessionStage::paid:
      return "paid";
    case SessionStage::opening:
      return "opening";
    case SessionStage::open:
      return "open";
    case SessionStage::closing:
      return "closing";
    case SessionStage::closed:
      return "closed";
    case SessionStage::refused:
      return "refused";
  }
  return "refused";
}

bool SessionRecord::is_idle(UnixMillis now) const {
  return stage == SessionStage::open && idle_timeout > Seconds(0) &&
         now >= last_used + Millis(idle_timeout);
}

bool SessionRecord::is_unfinished() const {
  return stage == SessionStage::paying || stage == SessionStage::paid ||
         stage == SessionStage::opening;
}

SessionRecord SessionRecord::clone() const {
  SessionRecord out;
  out.id = id;
  out.origin = origin;
  out.realm = realm;
  out.url = url;
  out.method = method;
  out.paths = paths;
  out.stage = stage;
  out.preimage = preimage.clone();
  out.challenge = challenge;
  out.challenge_expires = challenge_expires;
  out.unit = unit;
  out.deposit = deposit;
  out.spent = spent;
  out.return_invoice = return_invoice;
  out.return_hash = return_hash;
  out.idle_timeout = idle_timeout;
  out.opened = opened;
  out.last_used = last_used;
  out.refund = refund;
  out.refund_status = refund_status;
  out.refund_seen = refund_seen;
  out.detail = detail;
  if (top_up)
    out.top_up =
        PendingTopUp{top_up->hash, top_up->challenge, top_up->amount, top_up->preimage.clone()};
  return out;
}

int fitness(const SessionRecord& record, std::string_view path) {
  int best = 0;
  for (const auto& known : record.paths) {
    if (known == path) return 2;
    if (path.starts_with(folder_of(known))) best = 1;
  }
  return best;
}

void remember_path(SessionRecord& record, std::string_view path) {
  std::erase(record.paths, path);
  record.paths.emplace_back(path);
  if (record.paths.size() > kMostPaths) record.paths.erase(record.paths.begin());
}

Result<Secret> encode(const SessionRecord& record) {
  OCTROI_TRY(std::string form, json_of(record));
  form.reserve(form.size() + 2 * (kPreimageHex + 1));  // nothing of it is left in an old buffer
  append_preimage(form, record.preimage);
  static const Secret kNone;
  append_preimage(form, record.top_up ? record.top_up->preimage : kNone);
  return Secret::take(std::move(form));
}

Result<SessionRecord> decode_session(const Secret& form) {
  const std::string_view text = form.reveal_text();
  const auto first = text.find('\n');
  const auto second = first == std::string_view::npos ? first : text.find('\n', first + 1);
  if (second == std::string_view::npos) return fail(Errc::session_store, "cut off");
  auto record = read_json(text.substr(0, first));
  if (!record) return fail(unreadable(record.error()));
  auto preimage = read_preimage(text.substr(first + 1, second - first - 1));
  auto top_up = read_preimage(text.substr(second + 1));
  if (!preimage || !top_up) return fail(Errc::session_store, "a proof in it is not whole");
  record->preimage = std::move(*preimage);
  if (record->top_up) record->top_up->preimage = std::move(*top_up);
  return record;
}

}  // namespace octroi::wallet
