#include "octroi/audit/memory_journal.h"

#include <algorithm>
#include <utility>

#include "octroi/audit/chain.h"
#include "octroi/audit/filter.h"

namespace octroi::audit {

MemoryJournal::MemoryJournal(Clock& clock, std::string writer)
    : clock_(clock), writer_(std::move(writer)) {}

void MemoryJournal::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
}

void MemoryJournal::restart(std::string writer) {
  const std::scoped_lock lock(mutex_);
  writer_ = std::move(writer);
}

Result<> MemoryJournal::ready() const {
  if (unavailable_) return fail(Errc::unavailable, "the audit journal cannot be written");
  return {};
}

std::string MemoryJournal::writer() const {
  const std::scoped_lock lock(mutex_);
  return writer_;
}

/// Of the chain that began last.
std::optional<Head> MemoryJournal::newest() const {
  if (order_.empty()) return std::nullopt;
  const Chain& chain = chains_.at(order_.back());
  return Head{order_.back(), chain.rows.back().id.seq, chain.rows.back().row_hash, chain.last};
}

void MemoryJournal::add(Chain& chain, UnixMillis now, const Event& event) {
  const std::int64_t seq = std::ssize(chain.rows) + 1;
  const Digest prev = chain.rows.empty() ? origin_of(writer_) : chain.rows.back().row_hash;
  chain.rows.push_back(make_row({writer_, seq}, now, event, prev));
  chain.last = now;
}

Task<Result<RowId>> MemoryJournal::append(Event event) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  OCTROI_CO_TRY(const Event fit, prepared(std::move(event)));
  const UnixMillis now = clock_.now();
  if (!chains_.contains(writer_)) {
    const Event start = start_event(newest());
    add(chains_[writer_], now, start);
    order_.push_back(writer_);
  }
  Chain& chain = chains_[writer_];
  add(chain, now, fit);
  co_return chain.rows.back().id;
}

Task<Result<Page>> MemoryJournal::query(Filter filter) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  OCTROI_CO_CHECK(check_limit(filter.limit));
  std::optional<Position> after;
  if (!filter.cursor.empty()) {
    OCTROI_CO_TRY(after, parse_cursor(filter.cursor));
  }
  std::vector<std::pair<Position, Row>> found;
  for (const auto& [name, chain] : chains_) {
    for (const StoredRow& stored : chain.rows) {
      OCTROI_CO_TRY(Row row, read_row(stored));
      Position p{row.at, name, row.id.seq};
      if (!matches(filter, row) || (after && p >= *after)) continue;
      found.emplace_back(std::move(p), std::move(row));
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
  Page page;
  for (auto& [position, row] : found) {
    if (std::ssize(page.rows) == filter.limit) {
      const Row& last = page.rows.back();
      page.next = cursor_text({last.at, last.id.writer, last.id.seq});
      break;
    }
    page.rows.push_back(std::move(row));
  }
  co_return page;
}

Task<Result<std::vector<StoredRow>>> MemoryJournal::rows(std::string writer, std::int64_t from,
                                                         int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  OCTROI_CO_CHECK(check_limit(limit));
  std::vector<StoredRow> out;
  const auto chain = chains_.find(writer);
  if (chain == chains_.end()) co_return out;
  for (const StoredRow& row : chain->second.rows) {
    if (row.id.seq >= from && std::ssize(out) < limit) out.push_back(row);
  }
  co_return out;
}

Task<Result<std::vector<Head>>> MemoryJournal::heads() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  std::vector<Head> out;
  for (const std::string& name : order_) {
    const Chain& chain = chains_.at(name);
    out.push_back({name, chain.rows.back().id.seq, chain.rows.back().row_hash, chain.last});
  }
  co_return out;
}

Task<Result<>> MemoryJournal::keep_checkpoint(Checkpoint checkpoint) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  const std::int64_t seq = checkpoint.seq;
  chains_[checkpoint.writer].checkpoints.try_emplace(seq, std::move(checkpoint));
  co_return Result<>{};
}

Task<Result<std::vector<Checkpoint>>> MemoryJournal::checkpoints(std::string writer,
                                                                 std::int64_t after, int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(ready());
  OCTROI_CO_CHECK(check_limit(limit));
  std::vector<Checkpoint> out;
  const auto chain = chains_.find(writer);
  if (chain == chains_.end()) co_return out;
  for (const auto& [seq, checkpoint] : chain->second.checkpoints) {
    if (seq > after && std::ssize(out) < limit) out.push_back(checkpoint);
  }
  co_return out;
}

}  // namespace octroi::audit
