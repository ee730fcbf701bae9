// octroi/audit/journal_testing.h: short ways for tests of and over a Journal. For tests only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/audit/export.h"
#include "octroi/audit/journal.h"
#include "octroi/audit/verify.h"
#include "octroi/task/group.h"

namespace octroi::audit {

/// Runs a task that finishes without a loop, and gives its value.
template <class T>
T now_of(Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  auto run = [](Task<T> t, std::optional<T>* into) -> Task<void> {
    into->emplace(co_await std::move(t));
  };
  group.start(run(std::move(task), &out));
  EXPECT_TRUE(out.has_value()) << "the task waits for a loop";
  return std::move(*out);
}

inline Event call_of(int n, std::string run = "run-1") {
  Event e;
  e.kind = kCallIntent;
  e.id = "call-" + std::to_string(n);
  e.run = std::move(run);
  e.vendor = "stripe";
  e.operation = "charges.create";
  e.amount = 100 * n;
  e.currency = "usd";
  e.verdict = Verdict::allowed;
  return e;
}

inline Signer signer_of(std::uint8_t n = 7) {
  return Signer::from_seed(Secret(ByteView(Bytes(32, n)))).value();
}

inline std::vector<std::string> lines_of(Journal& journal, Form form = Form::json_lines,
                                         Filter filter = {}) {
  std::vector<std::string> out;
  LineSink sink = [&out](std::string_view line) -> Result<> {
    out.emplace_back(line);
    return {};
  };
  const auto done = now_of(export_audit(journal, std::move(filter), form, sink));
  EXPECT_TRUE(done) << done.error().message();
  return out;
}

inline std::vector<std::string> proof_of(Journal& journal, std::string run) {
  std::vector<std::string> out;
  LineSink sink = [&out](std::string_view line) -> Result<> {
    out.emplace_back(line);
    return {};
  };
  const auto done = now_of(export_proof(journal, std::move(run), sink));
  EXPECT_TRUE(done) << done.error().message();
  return out;
}

inline Report verified(const std::vector<std::string>& lines, std::vector<PublicKey> keys = {}) {
  Verifier v(std::move(keys));
  for (const std::string& line : lines) v.add_line(line);
  return std::move(v).finish();
}

/// "changed writer/3", or "valid".
inline std::string verdict_of(const Report& report) {
  if (report.valid()) return "valid";
  const Finding& f = *report.first_bad;
  return std::string(to_string(f.fault)) + " " + f.row.writer + "/" + std::to_string(f.row.seq);
}

}  // namespace octroi::audit
