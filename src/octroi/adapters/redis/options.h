// octroi/adapters/redis/options.h: where a Redis is and how to be let in.
// Thread: values.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi::redis {

struct RedisOptions {
  std::string host;
  std::uint16_t port = 6379;
  std::string user;                        // of its ACL; empty: the default user
  std::shared_ptr<const Secret> password;  // null: none is sent
  int database = 0;
  bool tls = false;
  std::string ca_pem;                      // of its certificate; empty: the system's store
  Millis deadline = Millis(250);           // for an answer: then the connection is given up
  Millis connect_timeout = Millis(2'000);  // for each address, and for TLS
  Millis longest_pause = Millis(1'000);    // between attempts to connect
  Millis heartbeat = Millis(100);          // how soon a lost memory is noticed without traffic
};

}  // namespace octroi::redis
