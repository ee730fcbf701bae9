// octroi/adapters/pricer/price_service.h: a price book on the network: the six calls as POST with
// JSON (HTTP/1.1 and HTTP/2) and as unary gRPC, at one address.
//
// Fails   a request that cannot be priced is 422 (INVALID_ARGUMENT), what cannot be kept now is 503
//         (UNAVAILABLE); a wrong token is 401 (UNAUTHENTICATED).
// Thread  the loop of its exchanges.
#pragma once

#include <memory>

#include "octroi/adapters/pricer/price_book.h"
#include "octroi/base/secret.h"
#include "octroi/http/server.h"

namespace octroi::pricer {

class PriceService {
 public:
  /// `token` null: whoever reaches it may ask.
  PriceService(PriceBook& book, std::shared_ptr<const Secret> token)
      : book_(book), token_(std::move(token)) {}
  Task<void> handle(http::Exchange& exchange);

 private:
  struct Told {
    int status = 200;
    int grpc = 0;
    std::string message;
  };
  Task<Told> serve(http::Exchange* exchange, bool grpc);
  [[nodiscard]] bool may_ask(const http::Headers& headers) const;

  PriceBook& book_;
  std::shared_ptr<const Secret> token_;
};

}  // namespace octroi::pricer
