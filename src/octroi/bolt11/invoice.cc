#include <fmt/format.h>

#include "octroi/bolt11/bolt11.h"

namespace octroi::bolt11 {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::bad_bech32:
      return {"bolt11.bad_bech32", ErrorKind::invalid};
    case Errc::bad_prefix:
      return {"bolt11.bad_prefix", ErrorKind::invalid};
    case Errc::bad_amount:
      return {"bolt11.bad_amount", ErrorKind::invalid};
    case Errc::too_short:
      return {"bolt11.too_short", ErrorKind::invalid};
    case Errc::bad_field:
      return {"bolt11.bad_field", ErrorKind::invalid};
    case Errc::missing_field:
      return {"bolt11.missing_field", ErrorKind::invalid};
    case Errc::conflict:
      return {"bolt11.conflict", ErrorKind::invalid};
    case Errc::unknown_feature:
      return {"bolt11.unknown_feature", ErrorKind::refused};
    case Errc::bad_signature:
      return {"bolt11.bad_signature", ErrorKind::refused};
    case Errc::wrong_key:
      return {"bolt11.wrong_key", ErrorKind::invalid};
  }
  return {"bolt11.unknown", ErrorKind::internal};
}

std::string_view to_string(Network n) {
  switch (n) {
    case Network::mainnet:
      return "mainnet";
    case Network::testnet:
      return "testnet";
    case Network::signet:
      return "signet";
    case Network::regtest:
      return "regtest";
    case Network::simnet:
      return "simnet";
  }
  return "unknown";
}

std::string_view currency_prefix(Network n) {
  switch (n) {
    case Network::mainnet:
      return "bc";
    case Network::testnet:
      return "tb";
    case Network::signet:
      return "tbs";
    case Network::regtest:
      return "bcrt";
    case Network::simnet:
      return "sb";
  }
  return "";
}

std::string short_channel_id_text(std::uint64_t id) {
  return fmt::format("{}x{}x{}", id >> 40, (id >> 16) & 0xffffff, id & 0xffff);
}

}  // namespace octroi::bolt11
