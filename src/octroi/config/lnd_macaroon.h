// octroi/config/lnd_macaroon.h: what can be told from lnd's credential without asking lnd: its
// bytes, and whether it may pay. Internal to octroi/config.
//
// Shape   macaroon version 2; the identifier is a byte 3 and a protobuf message with the granted
//         operations (field 3), each an entity (1) and its actions (2).
// Secrets the credential itself never leaves these functions but as hex in a Secret's making.
// Thread  pure.
#pragma once

#include <optional>
#include <string>

#include "octroi/base/secret.h"

namespace octroi::config {

/// lnd's macaroon file as hex; accepts hex text too. Empty when it is neither.
[[nodiscard]] std::string macaroon_hex(const Secret& secret);

/// Whether it grants payments; nothing when the identifier is not lnd's.
[[nodiscard]] std::optional<bool> macaroon_can_pay(const Secret& secret);

}  // namespace octroi::config
