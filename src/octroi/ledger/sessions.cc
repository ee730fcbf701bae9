#include "octroi/ledger/sessions.h"

#include <array>
#include <utility>

namespace octroi::ledger {

namespace {

template <class E, std::size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

constexpr Names<SessionState, 2> kStates = {
    {{SessionState::open, "open"}, {SessionState::closed, "closed"}}};
constexpr Names<CloseReason, 4> kReasons = {{{CloseReason::none, ""},
                                             {CloseReason::client, "client"},
                                             {CloseReason::idle, "idle"},
                                             {CloseReason::operator_, "operator"}}};
constexpr Names<RefundStage, 6> kStages = {{{RefundStage::none, "none"},
                                            {RefundStage::skipped, "skipped"},
                                            {RefundStage::due, "due"},
                                            {RefundStage::sending, "sending"},
                                            {RefundStage::succeeded, "succeeded"},
                                            {RefundStage::failed, "failed"}}};
constexpr Names<SessionOutcome, 5> kOutcomes = {{{SessionOutcome::applied, "applied"},
                                                 {SessionOutcome::not_found, "not_found"},
                                                 {SessionOutcome::closed, "closed"},
                                                 {SessionOutcome::insufficient, "insufficient"},
                                                 {SessionOutcome::replayed, "replayed"}}};

template <class E, std::size_t N>
std::string_view name_of(const Names<E, N>& names, E value) {
  for (const auto& [v, name] : names) {
    if (v == value) return name;
  }
  return "";
}

template <class E, std::size_t N>
std::optional<E> value_of(const Names<E, N>& names, std::string_view text) {
  for (const auto& [v, name] : names) {
    if (name == text) return v;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(SessionState s) { return name_of(kStates, s); }
std::optional<SessionState> session_state_from_string(std::string_view text) {
  return value_of(kStates, text);
}
std::string_view to_string(CloseReason r) { return name_of(kReasons, r); }
std::optional<CloseReason> close_reason_from_string(std::string_view text) {
  return value_of(kReasons, text);
}
std::string_view to_string(RefundStage s) { return name_of(kStages, s); }
std::optional<RefundStage> refund_stage_from_string(std::string_view text) {
  return value_of(kStages, text);
}
std::string_view to_string(SessionOutcome o) { return name_of(kOutcomes, o); }

Msat Session::balance() const {
  const auto rest = deposit.minus(spent);
  return rest ? *rest : Msat{};
}

Result<> check_booking(Msat amount) {
  if (amount.is_zero()) return fail(Errc::bad_amount, "the amount of a booking must be positive");
  return {};
}

Result<> check_booking(const OpenSession& request) {
  OCTROI_CHECK(check_booking(request.deposit));
  if (request.first_debit <= request.deposit) return {};
  return fail(Errc::bad_amount, "the first debit is larger than the deposit");
}

Result<> check_refund_end(RefundStage stage) {
  if (stage == RefundStage::succeeded || stage == RefundStage::failed) return {};
  return fail(Errc::bad_amount, "a refund ends succeeded or failed");
}

bool may_end(RefundStage from, RefundStage end) {
  if (from == RefundStage::sending) return true;
  return end == RefundStage::succeeded && (from == RefundStage::failed || from == RefundStage::due);
}

bool refund_is_over(RefundStage stage) {
  return stage == RefundStage::succeeded || stage == RefundStage::skipped;
}

bool tells_the_holder(ConsumeState state) {
  switch (state) {
    case ConsumeState::replay:
    case ConsumeState::pending:
    case ConsumeState::unfinished:
      return true;
    case ConsumeState::fresh:
    case ConsumeState::unknown_hash:
    case ConsumeState::spent:
      return false;
  }
  return false;
}

}  // namespace octroi::ledger
