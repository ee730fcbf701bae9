#include "octroi/audit/checkpointer.h"

#include <algorithm>
#include <utility>

namespace octroi::audit {

Checkpointer::Checkpointer(Journal& journal, Signer signer, Clock& clock, Outside outside)
    : journal_(journal), signer_(std::move(signer)), clock_(clock), outside_(std::move(outside)) {}

Task<Result<bool>> Checkpointer::run_once() {
  OCTROI_CO_TRY(const auto heads, co_await journal_.heads());
  const auto own = std::ranges::find(heads, journal_.writer(), &Head::writer);
  if (own == heads.end() || own->seq <= kept_) co_return false;
  Checkpoint c = signer_.sign(own->writer, own->seq, own->hash, clock_.now());
  // Outside first: a tail that is cut off before the store has it is found all the same.
  if (outside_) OCTROI_CO_CHECK(outside_(checkpoint_line(c)));
  const std::int64_t seq = c.seq;
  OCTROI_CO_CHECK(co_await journal_.keep_checkpoint(std::move(c)));
  kept_ = std::max(kept_, seq);
  co_return true;
}

}  // namespace octroi::audit
