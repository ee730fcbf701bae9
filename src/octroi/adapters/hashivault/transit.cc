#include "octroi/adapters/hashivault/transit.h"

#include <algorithm>

#include "octroi/base/bytes.h"
#include "octroi/json/writer.h"
#include "octroi/secrets/provider.h"

namespace octroi::hashivault {

using secrets::Errc;

namespace {

constexpr std::size_t kLongestWrapped = 4096;

/// `text` needs no escapes.
Secret body_with(std::string_view field, std::string_view text) {
  std::string body;
  body.reserve(32 + text.size());  // never moved, so no copy stays
  body.append("{\"").append(field).append("\":\"").append(text).append("\"}");
  return Secret::take(std::move(body));
}

/// By status: the server's own words are not repeated.
tl::unexpected<Error> no_key(int status, std::string_view operation) {
  switch (status) {
    case 400:
      return refused(Errc::unreadable,
                     fmt::format("the server cannot {}: it has no such key, or not the version "
                                 "that wrapped",
                                 operation),
                     status);
    case 403:
      return refused(Errc::unreadable,
                     fmt::format("the server refuses the token: it is over, or its policy does "
                                 "not let it {} with this key",
                                 operation),
                     status);
    case 404:
      return refused(Errc::not_set, "there is no transit engine at this mount", status);
    default:
      return refused(status);
  }
}

Task<Result<Secret>> answer_of(Conversation* talk, Question question, std::string operation) {
  OCTROI_CO_TRY(Answer answer, co_await talk->ask(std::move(question)));
  if (answer.status != 200) co_return no_key(answer.status, operation);
  co_return std::move(answer.body);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_wrapped(std::string_view text) {
  if (text.size() > kLongestWrapped) return false;
  const std::size_t first = text.find(':');
  if (first == 0 || first == std::string_view::npos) return false;
  const std::size_t second = text.find(':', first + 1);
  if (second == std::string_view::npos) return false;
  const std::string_view who = text.substr(0, first);
  const std::string_view version = text.substr(first + 1, second - first - 1);
  const auto raw = from_base64(text.substr(second + 1));
  return std::ranges::all_of(who, [](char c) { return c >= 'a' && c <= 'z'; }) &&
         version.starts_with('v') && is_number(version.substr(1)) && raw && !raw->empty();
}

std::optional<std::string> read_wrapped(const Secret& body) {
  const auto text = secrets::select_json(body, "data.ciphertext");
  if (!text || !is_wrapped(text->reveal_text())) return std::nullopt;
  return std::string(text->reveal_text());
}

std::optional<Secret> read_unwrapped(const Secret& body) {
  const auto text = secrets::select_json(body, "data.plaintext");
  if (!text) return std::nullopt;
  auto raw = from_base64(text->reveal_text());
  if (!raw || raw->empty()) return std::nullopt;
  return Secret::take(*std::move(raw));
}

Result<Secret> TransitKey::ask(std::string_view operation, Secret body) const {
  const std::size_t slash = name_.rfind('/');
  Question question;
  question.method = "POST";
  question.target = "/v1" + encoded_path(name_.substr(0, slash)) + "/" + std::string(operation) +
                    encoded_path(name_.substr(slash + 1));
  question.body = std::move(body);
  auto answer = access_->converse<Secret>(timeout_, [&](Conversation* talk) {
    return answer_of(talk, std::move(question), std::string(operation));
  });
  if (!answer) return fail(std::move(answer).error().within("transit key " + name_));
  return answer;
}

Result<std::string> TransitKey::wrap(const Secret& key) const {
  const Secret encoded = Secret::take(to_base64(key.reveal()));
  OCTROI_TRY(const Secret body, ask("encrypt", body_with("plaintext", encoded.reveal_text())));
  auto wrapped = read_wrapped(body);
  if (!wrapped)
    return fail(Errc::unreadable, "transit key " + name_ + ": the answer is no wrapped key");
  return *std::move(wrapped);
}

Result<Secret> TransitKey::unwrap(const std::string& wrapped) const {
  if (!is_wrapped(wrapped))
    return fail(Errc::unreadable, "transit key " + name_ + ": what it should unwrap is damaged");
  OCTROI_TRY(const Secret body, ask("decrypt", body_with("ciphertext", wrapped)));
  auto key = read_unwrapped(body);
  if (!key) return fail(Errc::unreadable, "transit key " + name_ + ": the answer is no key");
  return *std::move(key);
}

}  // namespace octroi::hashivault
