#include "octroi/audit/verify.h"

#include <algorithm>
#include <utility>

#include "octroi/audit/chain.h"
#include "octroi/audit/proof.h"
#include "octroi/json/value.h"

namespace octroi::audit {
namespace {

/// The writer and number that a text tells of itself, whatever else is wrong with it.
std::optional<RowId> told_by(std::string_view text) {
  const auto doc = json::parse(text, {4, kLongestRow + 256, false});
  if (!doc) return std::nullopt;
  const auto writer = doc->root().string("writer");
  const auto seq = doc->root().int64("seq");
  if (!writer || !seq || !is_writer(*writer) || *seq < 1 || *seq > kLargestNumber) {
    return std::nullopt;
  }
  return RowId{std::string(*writer), *seq};
}

}  // namespace

std::string_view to_string(Fault f) {
  switch (f) {
    case Fault::changed:
      return "changed";
    case Fault::removed:
      return "removed";
    case Fault::moved:
      return "moved";
    case Fault::repeated:
      return "repeated";
    case Fault::foreign:
      return "foreign";
    case Fault::cut_off:
      return "cut_off";
    case Fault::rewritten:
      return "rewritten";
    case Fault::forged:
      return "forged";
    case Fault::unproven:
      return "unproven";
  }
  return "changed";
}

Verifier::Verifier(std::vector<PublicKey> keys) : keys_(std::move(keys)) {
  report_.trusted_key = !keys_.empty();
}

void Verifier::found(RowId row, Fault fault, std::string message, std::int64_t line) {
  if (report_.first_bad) return;
  report_.first_bad = Finding{std::move(row), fault, line, std::move(message)};
}

Verifier::Chain& Verifier::chain_of(const std::string& writer) {
  last_writer_ = writer;
  const auto [it, added] = chains_.try_emplace(writer);
  if (added) it->second.last = origin_of(writer);
  return it->second;
}

// --- lines

void Verifier::add_line(std::string_view line) {
  ++line_;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.empty()) return;
  auto parsed = parse_export_line(line);
  if (!parsed) return add_unreadable(parsed.error().message());
  if (const auto* row = std::get_if<StoredRow>(&*parsed)) return add_row(*row);
  if (const auto* checkpoint = std::get_if<Checkpoint>(&*parsed))
    return add_checkpoint(*checkpoint);
  if (const auto* link = std::get_if<Link>(&*parsed)) {
    return add_link(link->id.writer, link->id.seq, link->text_hash);
  }
  add_header(std::get<ProofHeader>(*parsed).run);
}

void Verifier::add_header(std::string_view run) {
  if (line_ != 1) return found({last_writer_, 0}, Fault::foreign, "a header within the file");
  proof_ = true;
  report_.run = run;
}

/// A line that cannot be read stands where the next row of the chain should.
void Verifier::add_unreadable(std::string_view why) {
  ++report_.rows;
  if (last_writer_.empty()) return found({}, Fault::changed, std::string(why));
  Chain& chain = chain_of(last_writer_);
  found({last_writer_, chain.next}, Fault::changed, std::string(why));
  ++chain.next;
  chain.lost = true;
}

// --- checkpoints

void Verifier::add_checkpoint(const Checkpoint& c) {
  const bool known = std::ranges::find(keys_, c.key) != keys_.end();
  if (!is_signed(c)) {
    return found({c.writer, c.seq}, Fault::forged, "the checkpoint's signature is wrong");
  }
  if (keys_.empty()) {
    keys_.push_back(c.key);  // the first one names it
  } else if (!known) {
    return found({c.writer, c.seq}, Fault::forged,
                 "the checkpoint is signed by a key that is not trusted");
  }
  expect({c.writer, c.seq}, c.row_hash, true);
}

void Verifier::expect(const RowId& id, const Digest& hash, bool is_signed) {
  const auto [it, added] = chains_.try_emplace(id.writer);
  Chain& chain = it->second;
  if (added) chain.last = origin_of(id.writer);
  if (id.seq < chain.next) {
    const bool is_last = chain.begun && id.seq + 1 == chain.next && !chain.lost;
    if (!is_last) {
      if (is_signed) ++report_.late_checkpoints;
      return;
    }
    if (chain.last != hash) {
      return found(id, Fault::rewritten, "a later line tells another hash of this row");
    }
    if (is_signed) {
      ++report_.checkpoints;
      chain.unsigned_rows = 0;
    }
    return;
  }
  const auto [at, fresh] = chain.expected.try_emplace(id.seq, Expected{hash, is_signed});
  if (fresh) return;
  if (at->second.hash != hash) {
    return found(id, Fault::rewritten, "two checkpoints tell different hashes of this row");
  }
  at->second.is_signed = at->second.is_signed || is_signed;
}

// --- rows

void Verifier::add_row(const StoredRow& row) {
  ++report_.rows;
  Chain& chain = chain_of(row.id.writer);
  place(chain, row);
  const auto read = read_row(row);
  const bool whole = hash_of_row(row.prev_hash, hash_of_text(row.text)) == row.row_hash;
  const auto told = told_by(row.text);
  if (told && *told != row.id) {
    found(row.id, Fault::moved, fmt::format("here stands row {} of {}", told->seq, told->writer));
  } else if (!whole) {
    found(row.id, Fault::changed, "its text does not have its hash");
  } else if (!read) {
    found(row.id, Fault::changed, std::string(read.error().message()));
  } else if (!row.searchable) {
    found(row.id, Fault::changed, "what it is searched by is not what it says");
  }
  if (read && proof_ && read->event.run != report_.run) {
    found(row.id, Fault::foreign, "it is of another run");
  }
  if (row.id.seq < chain.next) return;  // said by place()
  join(chain, row);
  advance(chain, row.id, row.row_hash);
  chain.lost = !whole || !read;
  if (!read) return;
  if (const auto before = reference_of(read->event); before && !proof_) {
    expect(before->id, before->row_hash, false);
  }
}

/// Whether it is the number that comes next.
void Verifier::place(Chain& chain, const StoredRow& row) {
  const RowId& id = row.id;
  if (id.seq < chain.next) {
    auto& first = report_.first_bad;
    if (chain.gap == id.seq && first && first->fault == Fault::removed && first->row == id) {
      first->fault = Fault::moved;
      first->message = fmt::format("it stands at line {}, after later rows", line_);
      return;
    }
    return found(id, Fault::repeated, "a row of this number came before");
  }
  if (id.seq == chain.next) return;
  if (proof_ && chain.unsigned_rows == 0) {
    // A new stretch: what stands before it is not shown.
    chain.next = id.seq;
    chain.last = row.prev_hash;
    chain.lost = false;
    return;
  }
  chain.gap = chain.next;
  found({id.writer, chain.next}, Fault::removed,
        fmt::format("row {} comes next: {} missing", id.seq, id.seq - chain.next));
  chain.next = id.seq;
  chain.lost = true;
}

/// Whether it was written after the row that stands before it.
void Verifier::join(Chain& chain, const StoredRow& row) {
  if (chain.seam) settle_seam(chain, row);
  if (chain.lost || row.prev_hash == chain.last) return;
  if (row.id.seq == 1) {
    return found(row.id, Fault::foreign, "it was not written as the first row of this writer");
  }
  if (!report_.first_bad) chain.seam = Seam{row.id.seq, line_};
}

/// The later one of two that do not fit is right when the row after it was built on it.
void Verifier::settle_seam(Chain& chain, const StoredRow& next) {
  const Seam seam = *std::exchange(chain.seam, {});
  const bool later_is_right = next.id.seq == seam.seq + 1 && next.prev_hash == chain.last;
  if (later_is_right) {
    found({next.id.writer, seam.seq - 1}, Fault::changed,
          "the next row was written after another one", seam.line);
  } else {
    found({next.id.writer, seam.seq}, Fault::foreign, "it was not written after the row before it",
          seam.line);
  }
}

void Verifier::advance(Chain& chain, const RowId& id, const Digest& hash) {
  chain.begun = true;
  chain.next = id.seq + 1;
  chain.last = hash;
  ++chain.unsigned_rows;
  // Those before it are within a gap, which was told already.
  chain.expected.erase(chain.expected.begin(), chain.expected.lower_bound(id.seq));
  const auto expected = chain.expected.begin();
  if (expected == chain.expected.end() || expected->first > id.seq) return;
  if (expected->second.hash != hash) {
    if (chain.seam) settle_seam(chain, {id, {}, {}, {}, true});
    found(id, Fault::rewritten, "the checkpoint over it tells another hash");
  } else {
    if (chain.seam && chain.seam->seq == id.seq) {
      // The signature is over the later one: it is right.
      const Seam seam = *std::exchange(chain.seam, {});
      found({id.writer, id.seq - 1}, Fault::changed, "the next row was written after another one",
            seam.line);
    }
    if (expected->second.is_signed) {
      ++report_.checkpoints;
      chain.unsigned_rows = 0;
    }
  }
  chain.expected.erase(expected);
}

/// Of a proof: a row that is not shown.
void Verifier::add_link(std::string_view writer, std::int64_t seq, const Digest& text_hash) {
  Chain& chain = chain_of(std::string(writer));
  const RowId id{std::string(writer), seq};
  if (!proof_) return found(id, Fault::removed, "only its hash is there");
  if (!chain.begun || seq != chain.next) {
    return found(id, Fault::foreign, "it does not continue what stands before it");
  }
  advance(chain, id, hash_of_row(chain.last, text_hash));
}

// --- the end

void Verifier::close(const std::string& writer, Chain& chain) {
  if (chain.seam) settle_seam(chain, {{writer, 0}, {}, {}, {}, true});
  if (proof_) {
    if (chain.unsigned_rows > 0) {
      found({writer, chain.next - chain.unsigned_rows}, Fault::unproven,
            "no checkpoint stands behind it", 0);
    }
    return;
  }
  chain.expected.erase(chain.expected.begin(), chain.expected.lower_bound(chain.next));
  if (chain.expected.empty()) return;
  found({writer, chain.next}, Fault::cut_off,
        fmt::format("there were rows up to {} at least", chain.expected.rbegin()->first), 0);
}

void Verifier::check_proven() {
  if (!demands_checkpoint_ || report_.rows == 0 || report_.checkpoints > 0) return;
  found({last_writer_, 1}, Fault::unproven,
        "there is no checkpoint before any row: nothing shows that these are the server's", 0);
}

Report Verifier::finish() && {
  for (auto& [writer, chain] : chains_) {
    close(writer, chain);
    if (chain.begun) ++report_.writers;
    report_.unsigned_rows += chain.unsigned_rows;
  }
  if (proof_ && report_.rows == 0) found({}, Fault::removed, "a proof without a row", 0);
  check_proven();
  return std::move(report_);
}

}  // namespace octroi::audit
