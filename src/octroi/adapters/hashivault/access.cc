#include "octroi/adapters/hashivault/access.h"

#include <algorithm>

#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"
#include "octroi/secrets/errc.h"

namespace octroi::hashivault {

using secrets::Errc;

namespace {

constexpr std::uint64_t kMostAnswer = std::uint64_t{1} << 20;
constexpr Millis kLongestKept{60'000};
constexpr Millis kBeforeItsEnd{5'000};

Result<http::ClientConfig> client_config(const Server& server, Millis timeout) {
  http::ClientConfig config;
  config.timeouts = {.connect = timeout, .first_byte = timeout, .idle = timeout};
  config.server_name = server.tls_name;
  if (server.url.tls() && !server.ca_file.empty()) {
    net::TlsClientOptions options;
    auto pem = read_file(server.ca_file, std::size_t{1} << 20);
    if (!pem) return fail(std::move(pem).error().within("VAULT_CACERT"));
    options.ca_pem = *std::move(pem);
    auto tls = net::make_tls_client(std::move(options));
    if (!tls) return fail(std::move(tls).error().within("VAULT_CACERT"));
    config.tls = *std::move(tls);
  }
  return config;
}

Secret login_body(const AppRole& role) {
  std::string text;
  text.reserve(64 +
               2 * (role.role_id.size() + role.secret_id.size()));  // never moved, so no copy stays
  text += "{\"role_id\":";
  json::append_quoted(text, role.role_id.reveal_text());
  text += ",\"secret_id\":";
  json::append_quoted(text, role.secret_id.reveal_text());
  text += '}';
  return Secret::take(std::move(text));
}

tl::unexpected<Error> no_login(int status, const std::string& mount) {
  switch (status) {
    case 400:
    case 401:
    case 403:
      return refused(
          Errc::unreadable,
          fmt::format("the server refuses the login at auth/{}: VAULT_ROLE_ID or VAULT_SECRET_ID "
                      "is wrong, used up or over, or VAULT_APPROLE_MOUNT is another one",
                      mount),
          status);
    case 404:
      return refused(Errc::not_set,
                     fmt::format("there is no AppRole at auth/{}: VAULT_APPROLE_MOUNT says where "
                                 "it is mounted",
                                 mount),
                     status);
    default:
      return refused(status);
  }
}

}  // namespace

tl::unexpected<Error> refused(Errc why, std::string_view what, int status) {
  return fail(why, fmt::format("{} (status {})", what, status));
}

tl::unexpected<Error> refused(int status) {
  if (status >= 300 && status < 400)
    return refused(Errc::unavailable,
                   "the server points elsewhere, which is not followed: name its active node in "
                   "VAULT_ADDR",
                   status);
  switch (status) {
    case 400:
      return refused(Errc::unreadable, "the server does not understand the request", status);
    case 429:
      return refused(Errc::unavailable, "the server is asked too often, or stands by", status);
    case 472:
    case 473:
      return refused(Errc::unavailable, "the server stands by: name the active one in VAULT_ADDR",
                     status);
    case 503:
      return refused(Errc::unavailable, "the server is sealed, or down for maintenance", status);
    default:
      return refused(Errc::unavailable, "the server does not answer as it should", status);
  }
}

Access::Token Access::kept() {
  const std::lock_guard lock(guard_);
  const UnixMillis now = clock_.now();
  if (now < since_ || now >= until_) token_.reset();
  return token_;
}

void Access::keep(Token token, Seconds lease) {
  const UnixMillis now = clock_.now();
  Millis most = kLongestKept;
  if (lease > Seconds(0)) most = std::min<Millis>(most, lease - kBeforeItsEnd);
  const std::lock_guard lock(guard_);
  token_ = most > Millis(0) ? std::move(token) : nullptr;
  since_ = now;
  until_ = now + most;
}

void Access::forget(const Token& token) {
  const std::lock_guard lock(guard_);
  if (token_ == token) token_.reset();
}

Result<std::unique_ptr<Conversation>> Conversation::begin(Access* access, net::Loop* loop,
                                                          Millis timeout) {
  OCTROI_TRY(auto server, Server::from(access->environment_));
  OCTROI_TRY(auto config, client_config(server, timeout));
  std::unique_ptr<Conversation> out(
      new Conversation(access, loop, std::move(server), loop->now() + timeout));
  out->client_ = http::make_client(*loop, std::move(config));
  return out;
}

Task<Result<Answer>> Conversation::ask(Question question) {
  OCTROI_CO_CHECK(co_await sign_in());
  OCTROI_CO_TRY(Answer answer, co_await send(&question, token_.get()));
  if (answer.status != 403 || !earlier_) co_return answer;
  // Revoked or over, which nobody tells us otherwise. A new one that is refused is so by its
  // policy.
  access_->forget(token_);
  token_.reset();
  OCTROI_CO_CHECK(co_await sign_in());
  co_return co_await send(&question, token_.get());
}

Task<Result<>> Conversation::sign_in() {
  if (token_ != nullptr) co_return Result<>{};
  earlier_ = false;
  OCTROI_CO_TRY(auto named, token_from(access_->environment_));
  if (named) {
    redactor().add(*named);
    token_ = std::make_shared<const Secret>(*std::move(named));
    co_return Result<>{};
  }
  token_ = access_->kept();
  earlier_ = token_ != nullptr;
  if (earlier_) co_return Result<>{};
  OCTROI_CO_TRY(auto role, app_role_from(access_->environment_, access_->read_));
  if (!role) {
    co_return fail(Errc::not_set,
                   "neither VAULT_TOKEN nor VAULT_TOKEN_FILE is set, nor VAULT_ROLE_ID with "
                   "VAULT_SECRET_ID: give octroi a token that may do this, or an AppRole");
  }
  co_return co_await log_in(*std::move(role));
}

Task<Result<>> Conversation::log_in(AppRole role) {
  redactor().add(role.role_id);
  redactor().add(role.secret_id);
  const Question question{"POST", "/v1/auth" + encoded_path(role.mount) + "/login",
                          login_body(role)};
  OCTROI_CO_TRY(const Answer answer, co_await send(&question, nullptr));
  if (answer.status != 200) co_return no_login(answer.status, role.mount);
  auto login = read_login(answer.body);
  if (!login) {
    co_return fail(Errc::unreadable,
                   fmt::format("the login at auth/{} gives no token: octroi shows role_id and "
                               "secret_id and nothing else",
                               role.mount));
  }
  redactor().add(login->token);
  token_ = std::make_shared<const Secret>(std::move(login->token));
  access_->keep(token_, login->lease);
  co_return Result<>{};
}

Task<Result<Answer>> Conversation::send(const Question* question, const Secret* token) {
  const Millis left = ends_ - loop_->now();
  if (left <= Millis(0)) co_return fail(Errc::timeout, "the server does not answer in time");
  http::Request request;
  request.method = question->method;
  request.url = server_.url;
  request.url.target += question->target;
  request.headers.set("Accept", "application/json");
  request.headers.set("X-Vault-Request", "true");
  if (token != nullptr) request.headers.set("X-Vault-Token", std::string(token->reveal_text()));
  if (!server_.name_space.empty()) request.headers.set("X-Vault-Namespace", server_.name_space);
  if (!question->body.empty()) {
    request.headers.set("Content-Type", "application/json");
    request.body = std::string(question->body.reveal_text());
  }
  auto answer = co_await client_->fetch(std::move(request), kMostAnswer, left);
  if (!answer) {
    const bool late = answer.error().is(http::Errc::timeout);
    co_return fail(late ? Errc::timeout : Errc::unavailable, std::string(answer.error().message()));
  }
  Answer out;
  out.status = answer->status;
  out.body = Secret::take(std::move(answer->body));
  co_return out;
}

}  // namespace octroi::hashivault
