#include "octroi/lightning/node.h"

#include <array>
#include <utility>

namespace octroi::lightning {
namespace {

constexpr std::array<std::pair<Network, std::string_view>, 5> kNetworks = {{
    {Network::mainnet, "mainnet"},
    {Network::testnet, "testnet"},
    {Network::signet, "signet"},
    {Network::regtest, "regtest"},
    {Network::simnet, "simnet"},
}};

}  // namespace

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::unavailable:
      return {"lightning.unavailable", ErrorKind::unavailable};
    case Errc::denied:
      return {"lightning.denied", ErrorKind::refused};
    case Errc::timeout:
      return {"lightning.timeout", ErrorKind::timeout};
    case Errc::bad_answer:
      return {"lightning.bad_answer", ErrorKind::internal};
    case Errc::not_found:
      return {"lightning.not_found", ErrorKind::not_found};
    case Errc::payment_failed:
      return {"lightning.payment_failed", ErrorKind::refused};
    case Errc::payment_unknown:
      return {"lightning.payment_unknown", ErrorKind::timeout};
    case Errc::insufficient:
      return {"lightning.insufficient", ErrorKind::refused};
    case Errc::bad_invoice:
      return {"lightning.bad_invoice", ErrorKind::invalid};
    case Errc::already_paid:
      return {"lightning.already_paid", ErrorKind::conflict};
  }
  return {"lightning.unknown", ErrorKind::internal};
}

std::string_view to_string(Network n) {
  for (const auto& [network, name] : kNetworks) {
    if (network == n) return name;
  }
  return "unknown";
}

std::optional<Network> parse_network(std::string_view text) {
  for (const auto& [network, name] : kNetworks) {
    if (name == text) return network;
  }
  return std::nullopt;
}

}  // namespace octroi::lightning
