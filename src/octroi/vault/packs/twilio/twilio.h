// octroi/vault/packs/twilio/twilio.h: Twilio: text messages and calls, which cost by country and
// length. The real credential is "AC…:token" (or "AC…:SK…:secret"); agents have a pair that looks
// the same, and the account's id in paths, forms and answers is exchanged both ways.
//
// Prices   are estimates that are rarely too low: segments times a rate by country code, the
//          dearest one where the table has none. What Twilio says later settles them.
// Refused  what is no message, no call with a time limit and no read: numbers, verification,
//          studio and whatever spends in ways that only Twilio sees.
// Thread: pure.
#pragma once

#include <memory>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_twilio_pack();

/// Parts in which a text of this length is sent: never fewer than Twilio counts.
[[nodiscard]] std::int64_t sms_segments(std::string_view utf8);

struct PhoneRate {
  std::string_view prefix;   // after the plus
  std::string_view country;  // "US"; empty: not in the table
  MicroUsd sms, mms, minute;
};
/// Of "+15551234567" and "whatsapp:+1…"; everything else is as dear as it can be, in no country.
[[nodiscard]] PhoneRate phone_rate(std::string_view to);

}  // namespace octroi::vault
