// octroi/http/h1_writer.h: heads and chunk sizes as bytes. Framing fields are written here from
// what the sender decided, never copied from a message. Pure. Source  RFC 9112.  Thread: any.
#pragma once

#include <optional>

#include "octroi/http/h1_buffer.h"
#include "octroi/http/message.h"

namespace octroi::http::h1 {

/// What a head says about the body after it.
struct BodyPlan {
  std::optional<std::uint64_t> length;  // Content-Length
  bool chunked = false;
};
enum class ConnectionOption : std::uint8_t { none, close, keep_alive, upgrade };

/// `date` is written unless the head brings its own; "" for none.
void write_response_head(OutBuffer& out, const ResponseHead& head, BodyPlan plan,
                         ConnectionOption option, std::string_view date);
/// `host` goes into the Host field.
void write_request_head(OutBuffer& out, const RequestHead& head, std::string_view host,
                        BodyPlan plan, ConnectionOption option);
/// The last chunk with its trailer section; fields that may not stand there are left out.
void write_last_chunk(OutBuffer& out, const Headers& trailers);
/// The size line of a chunk.
void write_chunk_size(OutBuffer& out, std::size_t size);

}  // namespace octroi::http::h1
