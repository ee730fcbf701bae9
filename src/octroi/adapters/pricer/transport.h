// octroi/adapters/pricer/transport.h: how a call gets to a price source and its answer back.
// Internal to adapters/pricer.  Thread: the client's loop.
#pragma once

#include <memory>
#include <string>

#include "octroi/adapters/pricer/wire.h"
#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/http/client.h"
#include "octroi/task/task.h"

namespace octroi::pricer {

/// What all calls of one source have in common; held by each call while it is under way.
struct Line {
  std::unique_ptr<http::Client> client;
  http::Url url;  // its target is the prefix of paths, without a slash at its end
  std::shared_ptr<const Secret> token;
  Millis timeout{5'000};
};

/// A message out, a message back; `key` empty: none. Errors  Errc::no_price where the program
/// refuses the request, Errc::unavailable for everything else.
[[nodiscard]] Task<Result<std::string>> call_http(std::shared_ptr<Line> line, Call call,
                                                  std::string message, std::string key);
[[nodiscard]] Task<Result<std::string>> call_grpc(std::shared_ptr<Line> line, Call call,
                                                  std::string message, std::string key);

}  // namespace octroi::pricer
