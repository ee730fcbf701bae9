#include "octroi/app/server_state.h"

#include <cstdio>

#include "octroi/base/file.h"
#include "octroi/cli/config_file.h"

namespace octroi::app {

ErrorInfo error_info(StateErrc e) {
  switch (e) {
    case StateErrc::no_admin:
      return {"cli.no-admin", ErrorKind::unavailable};
    case StateErrc::admin_said_no:
      return {"cli.admin-said-no", ErrorKind::refused};
    case StateErrc::bad_argument:
      return {"cli.bad-argument", ErrorKind::invalid};
    case StateErrc::not_found:
      return {"cli.not-found", ErrorKind::not_found};
    case StateErrc::needs_server:
      return {"cli.needs-server", ErrorKind::unavailable};
  }
  return {"cli.unknown", ErrorKind::internal};
}

Task<Result<std::string>> ask_admin(net::Loop* loop, const config::Config* config,
                                    std::string method, std::string target, Millis timeout) {
  co_return co_await ask_admin(loop, config,
                               {std::move(method), std::move(target), {}, {}, timeout});
}

Task<Result<std::string>> ask_admin(net::Loop* loop, const config::Config* config, AdminAsk ask) {
  if (!config->admin.listen) co_return fail(StateErrc::no_admin, "admin.listen is not configured");
  auto client = http::make_client(*loop, http::ClientConfig{});
  http::Request request;
  request.method = std::move(ask.method);
  OCTROI_CO_TRY(request.url,
                http::Url::parse("http://" + config->admin.listen->str() + ask.target));
  if (config->admin.token != nullptr) {
    request.headers.set("Authorization",
                        "Bearer " + std::string(config->admin.token->reveal_text()));
  } else if (!config->admin.token_file.empty()) {
    auto token = read_secret_file(config->admin.token_file);
    // The first server to start makes it.
    if (!token && token.error().kind() == ErrorKind::not_found)
      co_return fail(StateErrc::no_admin, "no server has listened at admin.listen yet");
    if (!token) co_return fail(std::move(token).error());
    request.headers.set("Authorization", "Bearer " + std::string(token->reveal_text()));
  }
  if (!ask.if_match.empty()) request.headers.set("If-Match", ask.if_match);
  if (!ask.if_none_match.empty()) request.headers.set("If-None-Match", ask.if_none_match);
  if (!ask.body.empty()) {
    request.headers.set("Content-Type", "application/json");
    request.body = std::move(ask.body);
  }
  auto response = co_await client->fetch(std::move(request), 64ULL << 20, ask.timeout);
  if (!response) {
    if (response.error().is(http::Errc::connect_failed))
      co_return fail(StateErrc::no_admin, "no server listens at admin.listen");
    co_return fail(std::move(response).error());
  }
  if (response->status / 100 == 2) co_return std::move(response->body);
  std::string detail = fmt::format("the server answered {}", response->status);
  if (auto doc = json::parse(response->body)) {
    if (auto text = doc->root().string("detail")) detail = std::string(*text);
  }
  // The words were wrong: that is told as it is where no server is asked.
  co_return fail(response->status == 400 ? StateErrc::bad_argument : StateErrc::admin_said_no,
                 detail);
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

int with_config(const Common& common, const std::function<Task<void>(Call*)>& work, Needs needs) {
  auto loaded = load_config(common, needs);
  if (!loaded) return kUsage;
  net::Loop loop;
  Call call{common, loaded->config, loop};
  run_on_loop(loop, work(&call));
  return call.code;
}

int with_server(const Common& common, const std::function<Task<void>(Call*)>& work) {
  return with_config(common, work, Needs::store);
}

Result<config::Loaded> load_whole(const Common& common) {
  const auto file = cli::find_config(common.call);
  if (!file) return fail(config::Errc::invalid_config, cli::no_config_message());
  auto loaded = cli::try_load_config(common.call, *file, /*secrets=*/true);
  if (!loaded) return fail(config::Errc::invalid_config, config::to_text(loaded.error()));
  return *std::move(loaded);
}

int tell(Call* call, const Error& error) {
  return call->code =
             tell_error(call->common, error, error.kind() == ErrorKind::invalid ? kUsage : kFailed);
}

bool nobody_listens(const Result<std::string>& answer) {
  return !answer && answer.error().is(StateErrc::no_admin);
}

void finish(Call* call, const Result<std::string>& answer,
            const std::function<void(const json::Value&)>& print) {
  if (!answer) {
    tell(call, answer.error());
    return;
  }
  call->code = kDone;
  if (call->common.json) {
    std::printf("%s\n", answer->c_str());
    return;
  }
  if (const auto doc = json::parse(*answer, {64, 64U << 20, false})) print(doc->root());
}

std::string text_of(const json::Value& v, std::string_view name) {
  return std::string(v.string(name).value_or(""));
}

}  // namespace octroi::app
