// octroi/app/server_state.h: what the commands over a server's state share. A running server is
// asked over its admin listener, because it alone may write its store; when nothing listens there
// the store is opened here, under the same lock.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/stores.h"
#include "octroi/json/value.h"
#include "octroi/ledger/store.h"
#include "octroi/net/loop.h"

namespace octroi::app {

enum class StateErrc : std::uint8_t {
  no_admin,
  admin_said_no,
  bad_argument,
  not_found,
  needs_server
};
ErrorInfo error_info(StateErrc e);

/// The server's answer, or no_admin when nobody listens.
Task<Result<std::string>> ask_admin(net::Loop* loop, const config::Config* config,
                                    std::string method, std::string target,
                                    Millis timeout = Millis(10'000));

/// The same with a body and conditions; any 2xx is an answer.
struct AdminAsk {
  std::string method = "GET";
  std::string target;
  std::string body;      // JSON; empty: none
  std::string if_match;  // empty: none
  Millis timeout{30'000};
  std::string if_none_match = {};  // empty: none
};
Task<Result<std::string>> ask_admin(net::Loop* loop, const config::Config* config, AdminAsk ask);
/// Then the store may be opened here.
[[nodiscard]] bool nobody_listens(const Result<std::string>& answer);
/// As a part of a path or a query.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// One command at work. `code` is what it exits with.
struct Call {
  const Common& common;
  const config::Config& config;
  net::Loop& loop;
  int code = kFailed;
};
int with_config(const Common& common, const std::function<Task<void>(Call*)>& work,
                Needs needs = Needs::all);
/// For what is asked of a running server, or done in its store: without secrets of vendors, nodes
/// and webhooks, so that a key can be revoked from a shell that has none of them.
int with_server(const Common& common, const std::function<Task<void>(Call*)>& work);
/// The configuration with all its secrets, for the few steps in the store that need them.
[[nodiscard]] Result<config::Loaded> load_whole(const Common& common);
/// Prints the error and sets the code.
int tell(Call* call, const Error& error);
/// Prints the answer, as it is or as `print` shows it to a reader, or tells its error.
void finish(Call* call, const Result<std::string>& answer,
            const std::function<void(const json::Value&)>& print);
/// Empty when it is not there or no text.
[[nodiscard]] std::string text_of(const json::Value& v, std::string_view name);

}  // namespace octroi::app
