// octroi/adapters/hashivault/access.h: conversations with the server, by whoever has a token or an
// AppRole. One Access for a process: its conversations share a login.
//
// Token    what the environment names; else that of a login with the AppRole, which is kept in
//          guarded memory for a minute at most, so that the secrets of one loading take one login.
//          When the server refuses a kept one (403), there is one new login, and one more try.
// Errors   secrets::Errc. Messages have a status at most, and nothing of what the server answered:
//          it may be what nobody should read.
// Thread   Access: any; what it does blocks. Conversation: its loop's.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "octroi/adapters/hashivault/server.h"
#include "octroi/http/client.h"
#include "octroi/net/run_apart.h"
#include "octroi/task/task.h"

namespace octroi::hashivault {

struct Question {
  std::string method = "GET";
  std::string target;  // "/v1/…", behind the server's prefix
  Secret body;         // JSON; empty: none
};

struct Answer {
  int status = 0;
  Secret body;
};

class Access {
 public:
  /// `read`: for references in VAULT_ROLE_ID and VAULT_SECRET_ID; without it they must be texts.
  explicit Access(Variables environment, ReadSecret read = nullptr, Clock& clock = system_clock())
      : environment_(std::move(environment)), read_(std::move(read)), clock_(clock) {}

  /// Runs `talk(Conversation*)`, a Task<Result<T>>, on a loop and a thread of its own, and waits
  /// for it, `timeout` for all of it.
  template <class T, class Talk>
  [[nodiscard]] Result<T> converse(Millis timeout, const Talk& talk);

 private:
  friend class Conversation;
  using Token = std::shared_ptr<const Secret>;

  /// Of a login not long ago; null: there is none.
  [[nodiscard]] Token kept();
  void keep(Token token, Seconds lease);
  void forget(const Token& token);

  Variables environment_;
  ReadSecret read_;
  Clock& clock_;
  std::mutex guard_;
  Token token_;
  UnixMillis since_{};
  UnixMillis until_{};
};

class Conversation {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Conversation>> begin(Access* access, net::Loop* loop,
                                                                   Millis timeout);
  /// Whatever the status.
  Task<Result<Answer>> ask(Question question);

 private:
  Conversation(Access* access, net::Loop* loop, Server server, Millis ends)
      : access_(access), loop_(loop), server_(std::move(server)), ends_(ends) {}
  Task<Result<>> sign_in();
  Task<Result<>> log_in(AppRole role);
  Task<Result<Answer>> send(const Question* question, const Secret* token);

  Access* access_;
  net::Loop* loop_;
  Server server_;
  Millis ends_;
  std::unique_ptr<http::Client> client_;
  Access::Token token_;
  bool earlier_ = false;  // the token is of an earlier conversation's login
};

/// Why a status that is not 200 is an error, whatever was asked. One that depends on what was asked
/// (400, 403, 404) has a meaning of its own there.
[[nodiscard]] tl::unexpected<Error> refused(int status);
[[nodiscard]] tl::unexpected<Error> refused(secrets::Errc why, std::string_view what, int status);

namespace detail {
template <class T, class Talk>
Task<Result<T>> conversed(Access* access, net::Loop* loop, Millis timeout, const Talk* talk) {
  OCTROI_CO_TRY(const auto conversation, Conversation::begin(access, loop, timeout));
  co_return co_await (*talk)(conversation.get());
}
}  // namespace detail

template <class T, class Talk>
Result<T> Access::converse(Millis timeout, const Talk& talk) {
  return net::run_apart<Result<T>>([&](net::Loop& loop) -> Task<Result<T>> {
    return detail::conversed<T>(this, &loop, timeout, &talk);
  });
}

}  // namespace octroi::hashivault
