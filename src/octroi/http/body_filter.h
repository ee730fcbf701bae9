// octroi/http/body_filter.h: stands between an upstream's answer and the client: what the filter
// writes is what the client gets, and while it waits, the upstream is not read.
//
// Life    begin() once with the final head; then, when it says so, pass() for each piece of the
//         body, end() when the body came whole. abandon() any time in between, from the loop.
// Thread  the exchange's loop.
#pragma once

#include <cstdint>
#include <optional>

#include "octroi/http/message.h"
#include "octroi/http/server.h"
#include "octroi/task/task.h"

namespace octroi::http {

/// How a relay goes on after a piece of the body.
enum class Passing : std::uint8_t {
  on,    // with the next piece
  stop,  // not at all: the answer ends here, in good order, and the upstream is cut
  cut,   // not at all: the client is cut, so that it takes nothing for whole
  gone,  // writing failed: the client left
};

/// What becomes of an answer's body.
enum class Filtering : std::uint8_t {
  off,      // it passes by itself
  same,     // through the filter, which changes no byte of it
  changed,  // through the filter; its length is not known any more
};

class BodyFilter {
 public:
  virtual ~BodyFilter() = default;
  /// Before RelayOptions::on_head. `length` is the body's, where it is known. An error keeps the
  /// whole answer from the client: RelayState::failed with it, and the upstream is not to blame.
  virtual Task<Result<Filtering>> begin(ResponseHead& head,
                                        std::optional<std::uint64_t> length) = 0;
  virtual Task<Passing> pass(ByteView piece, Exchange& client) = 0;
  /// Before the end of the answer is written.
  virtual Task<Passing> end(Exchange& client) = 0;
  /// The client left: whatever the filter waits for, nobody waits for it any more.
  virtual void abandon() noexcept = 0;
};

}  // namespace octroi::http
