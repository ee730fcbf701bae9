#include "octroi/net/stream.h"

namespace octroi::net {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::closed:
      return {"net.closed", ErrorKind::unavailable};
    case Errc::reset:
      return {"net.reset", ErrorKind::unavailable};
    case Errc::timeout:
      return {"net.timeout", ErrorKind::timeout};
    case Errc::refused:
      return {"net.refused", ErrorKind::unavailable};
    case Errc::unreachable:
      return {"net.unreachable", ErrorKind::unavailable};
    case Errc::resolve_failed:
      return {"net.resolve_failed", ErrorKind::unavailable};
    case Errc::tls_handshake:
      return {"net.tls_handshake", ErrorKind::unavailable};
    case Errc::tls_certificate:
      return {"net.tls_certificate", ErrorKind::refused};
    case Errc::address_in_use:
      return {"net.address_in_use", ErrorKind::conflict};
    case Errc::bad_address:
      return {"net.bad_address", ErrorKind::invalid};
    case Errc::blocked:
      return {"net.blocked", ErrorKind::refused};
    case Errc::system:
      return {"net.system", ErrorKind::internal};
  }
  return {"net.unknown", ErrorKind::internal};
}

Task<Result<std::size_t>> read_some(Stream& stream, std::span<std::uint8_t> into, Millis timeout) {
  for (;;) {
    const IoResult got = stream.read_now(into);
    switch (got.status) {
      case IoStatus::ok:
        co_return got.size;
      case IoStatus::eof:
        co_return std::size_t{0};
      case IoStatus::error:
        co_return fail(got.error);
      case IoStatus::would_block:
        break;
    }
    OCTROI_CO_CHECK(co_await stream.ready(Direction::read, timeout));
  }
}

Task<Result<>> write_all(Stream& stream, ByteView bytes, Millis timeout) {
  while (!bytes.empty()) {
    const IoResult put = stream.write_now({&bytes, 1});
    switch (put.status) {
      case IoStatus::ok:
        bytes = bytes.subspan(put.size);
        continue;
      case IoStatus::eof:
        co_return fail(Errc::closed);
      case IoStatus::error:
        co_return fail(put.error);
      case IoStatus::would_block:
        break;
    }
    OCTROI_CO_CHECK(co_await stream.ready(Direction::write, timeout));
  }
  co_return Result<>{};
}

}  // namespace octroi::net
