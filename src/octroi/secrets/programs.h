// octroi/secrets/programs.h: providers that ask a program: one of the administrator's own
// (exec://), and 1Password's (op://).
//
//   exec:///usr/local/bin/read-key stripe live     words with one space between; %20 is a space
//   op://vault/item[/section]/field                `op read --no-newline` of what is on $PATH
//
// What op wants to know stands in its variables: OP_SERVICE_ACCOUNT_TOKEN, or OP_CONNECT_HOST and
// OP_CONNECT_TOKEN; a session that asks somebody to unlock it does not work without a terminal.
// Errors   those of program.h; bad_reference for a word that is no percent-encoding; not_set when
//          there is no op.
// Thread   blocking: start-up and the control thread.
#pragma once

#include <string>
#include <vector>

#include "octroi/secrets/program.h"
#include "octroi/secrets/provider.h"

namespace octroi::secrets {

class ExecProvider final : public SecretProvider {
 public:
  /// `environment`: of this process; little of it is handed on (plain_environment).
  explicit ExecProvider(const Variables& environment, Millis timeout = Millis(10'000))
      : environment_(plain_environment(environment)), timeout_(timeout) {}
  [[nodiscard]] Scheme scheme() const override { return Scheme::exec; }
  [[nodiscard]] Result<Fetched> fetch(const Reference& reference) override;

 private:
  Variables environment_;
  Millis timeout_;
};

class OnePasswordProvider final : public SecretProvider {
 public:
  explicit OnePasswordProvider(const Variables& environment, Millis timeout = Millis(20'000))
      : environment_(plain_environment(environment, {"OP_"})), timeout_(timeout) {}
  [[nodiscard]] Scheme scheme() const override { return Scheme::op; }
  [[nodiscard]] Result<Fetched> fetch(const Reference& reference) override;

 private:
  Variables environment_;
  Millis timeout_;
};

/// The words of what stands behind exec://; the first is the program.
[[nodiscard]] Result<std::vector<std::string>> exec_words(std::string_view locator);

}  // namespace octroi::secrets
