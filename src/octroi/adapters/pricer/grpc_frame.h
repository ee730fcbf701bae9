// octroi/adapters/pricer/grpc_frame.h: a unary gRPC message in its frame: a flag, four bytes of
// length, the message. Source  gRPC over HTTP/2, "Length-Prefixed-Message".  Thread: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace octroi::pricer {

[[nodiscard]] inline std::string framed(std::string_view message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(size >> shift & 0xff));
  out += message;
  return out;
}

/// The one message of a body; nothing when there are none, several, or a compressed one.
[[nodiscard]] inline std::optional<std::string_view> unframed(std::string_view body) {
  if (body.size() < 5 || body[0] != '\0') return std::nullopt;
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<unsigned char>(body[i]);
  if (body.size() - 5 != size) return std::nullopt;
  return body.substr(5);
}

}  // namespace octroi::pricer
