#include "octroi/audit/export.h"

#include <algorithm>
#include <utility>

#include "octroi/audit/csv.h"
#include "octroi/audit/filter.h"
#include "octroi/audit/proof.h"
#include "octroi/audit/verify.h"

namespace octroi::audit {
namespace {

bool narrows(const Filter& f) {
  return f.from || f.to || f.verdict ||
         !(f.run.empty() && f.agent.empty() && f.key_id.empty() && f.vendor.empty() &&
           f.operation.empty() && f.policy.empty() && f.kind.empty() && f.id.empty());
}

/// All of one chain up to its head, in pages.
class ChainReader {
 public:
  ChainReader(Journal& journal, Head head) : journal_(journal), head_(std::move(head)) {}
  /// Empty at the end. Numbers are trusted for nothing but going on: what is wrong with them is the
  /// verifier's to say.
  Task<Result<std::vector<StoredRow>>> next() {
    if (from_ > head_.seq) co_return std::vector<StoredRow>{};
    OCTROI_CO_TRY(auto rows, co_await journal_.rows(head_.writer, from_, kMostRows));
    std::erase_if(rows, [&](const StoredRow& r) { return r.id.seq > head_.seq; });
    from_ = rows.empty() ? head_.seq + 1 : rows.back().id.seq + 1;
    co_return rows;
  }

 private:
  Journal& journal_;
  const Head head_;
  std::int64_t from_ = 1;
};

Task<Result<std::vector<Checkpoint>>> checkpoints_of(Journal& journal, Head head) {
  std::vector<Checkpoint> all;
  for (std::int64_t after = 0;;) {
    OCTROI_CO_TRY(auto page, co_await journal.checkpoints(head.writer, after, kMostRows));
    if (page.empty()) co_return all;
    after = page.back().seq;
    std::move(page.begin(), page.end(), std::back_inserter(all));
  }
}

/// Every checkpoint, before anything else is read: rows that they tell of must be there then.
Task<Result<>> each_checkpoint(Journal& journal,
                               UniqueFunction<Result<>(const Checkpoint&)>& take) {
  OCTROI_CO_TRY(const auto heads, co_await journal.heads());
  for (const Head& head : heads) {
    for (std::int64_t after = 0;;) {
      OCTROI_CO_TRY(const auto page, co_await journal.checkpoints(head.writer, after, kMostRows));
      if (page.empty()) break;
      for (const Checkpoint& c : page) OCTROI_CO_CHECK(take(c));
      after = page.back().seq;
    }
  }
  co_return Result<>{};
}

Task<Result<>> export_checkpoints(Journal& journal, LineSink& sink) {
  UniqueFunction<Result<>(const Checkpoint&)> take = [&sink](const Checkpoint& c) {
    return sink(checkpoint_line(c));
  };
  co_return co_await each_checkpoint(journal, take);
}

Task<Result<>> export_chain(Journal& journal, Head head, Filter filter, Form form, LineSink& sink) {
  ChainReader reader(journal, std::move(head));
  const bool all = !narrows(filter);
  for (;;) {
    OCTROI_CO_TRY(const auto rows, co_await reader.next());
    if (rows.empty()) co_return Result<>{};
    for (const StoredRow& stored : rows) {
      // What cannot be read is exported as it stands: verifying is to find it.
      if (all && form == Form::json_lines) {
        OCTROI_CO_CHECK(sink(export_line(stored)));
        continue;
      }
      OCTROI_CO_TRY(const Row row, read_row(stored));
      if (!all && !matches(filter, row)) continue;
      OCTROI_CO_CHECK(sink(form == Form::csv ? csv_line(row) : export_line(stored)));
    }
  }
}

/// The rows of a run in one chain, and what leads from each to a checkpoint.
class Stretches {
 public:
  Stretches(std::string run, std::vector<Checkpoint> checkpoints)
      : run_(std::move(run)), checkpoints_(std::move(checkpoints)) {}

  /// The row, or its hash, if it is needed; and the checkpoint that a stretch ends with.
  Result<> add(const StoredRow& stored, LineSink& sink) {
    const auto row = read_row(stored);
    const bool ours = row && row->event.run == run_;
    if (ours) {
      open_ = true;
      ++found_;
    }
    if (!open_) return {};
    OCTROI_CHECK(sink(ours ? export_line(stored) : link_line(stored)));
    const auto end = std::ranges::lower_bound(checkpoints_, stored.id.seq, {}, &Checkpoint::seq);
    if (end == checkpoints_.end() || end->seq != stored.id.seq) return {};
    open_ = false;
    return sink(checkpoint_line(*end));
  }
  [[nodiscard]] std::int64_t found() const { return found_; }

 private:
  const std::string run_;
  const std::vector<Checkpoint> checkpoints_;
  bool open_ = false;
  std::int64_t found_ = 0;
};

}  // namespace

Task<Result<>> export_audit(Journal& journal, Filter filter, Form form, LineSink& sink) {
  if (form == Form::csv) {
    OCTROI_CO_CHECK(sink(csv_header()));
  } else if (!narrows(filter)) {
    OCTROI_CO_CHECK(co_await export_checkpoints(journal, sink));
  }
  OCTROI_CO_TRY(const auto heads, co_await journal.heads());
  for (const Head& head : heads) {
    if (filter.from && head.at < *filter.from) continue;
    OCTROI_CO_CHECK(co_await export_chain(journal, head, filter, form, sink));
  }
  co_return Result<>{};
}

Task<Result<>> export_proof(Journal& journal, std::string run, LineSink& sink) {
  OCTROI_CO_CHECK(sink(proof_header_line(run)));
  OCTROI_CO_TRY(const auto heads, co_await journal.heads());
  std::int64_t found = 0;
  for (const Head& head : heads) {
    OCTROI_CO_TRY(auto checkpoints, co_await checkpoints_of(journal, head));
    Stretches stretches(run, std::move(checkpoints));
    ChainReader reader(journal, head);
    for (;;) {
      OCTROI_CO_TRY(const auto rows, co_await reader.next());
      if (rows.empty()) break;
      for (const StoredRow& row : rows) {
        OCTROI_CO_CHECK(stretches.add(row, sink));
      }
    }
    found += stretches.found();
  }
  if (found == 0) {
    co_return fail(Errc::no_such_run, fmt::format("no row is about run \"{}\"", run));
  }
  co_return Result<>{};
}

Task<Result<>> verify_store(Journal& journal, Verifier& verifier) {
  UniqueFunction<Result<>(const Checkpoint&)> take = [&verifier](const Checkpoint& c) -> Result<> {
    verifier.add_checkpoint(c);
    return {};
  };
  OCTROI_CO_CHECK(co_await each_checkpoint(journal, take));
  OCTROI_CO_TRY(const auto heads, co_await journal.heads());
  for (const Head& head : heads) {
    ChainReader reader(journal, head);
    for (;;) {
      OCTROI_CO_TRY(const auto rows, co_await reader.next());
      if (rows.empty()) break;
      for (const StoredRow& row : rows) verifier.add_row(row);
    }
  }
  co_return Result<>{};
}

}  // namespace octroi::audit
