// What a 402 and a redemption cost: formatting a challenge, its id, and verifying a credential.
#include <benchmark/benchmark.h>

#include "octroi/base/bytes.h"
#include "octroi/mpp/binding.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/lightning/charge.h"

namespace octroi::mpp {
namespace {

lightning::ChargeRequest request() {
  lightning::ChargeRequest r;
  r.amount = Sat::from_raw(100).value();
  r.invoice = "lnbcrt1u1p" + std::string(280, 'q');
  r.network = "regtest";
  r.payment_hash = PaymentHash(crypto::sha256(Bytes(32, 1)));
  return r;
}

Challenge challenge() {
  Challenge c;
  c.id = std::string(43, 'x');
  c.realm = "api.example.com";
  c.method = "lightning";
  c.intent = "charge";
  c.request = lightning::format_charge_request(request()).value();
  c.expires = "2026-03-15T12:05:00Z";
  return c;
}

KeyRing ring() {
  const Secret secret(std::string(32, 'k'));
  return KeyRing::from_secrets({&secret}).value();
}

const BindingFields kPlace{"payment", "weather", "GET", "path:/v1/weather"};

void BM_FormatChallenge(benchmark::State& state) {
  const Challenge c = challenge();
  for (auto _ : state) benchmark::DoNotOptimize(format_challenge(c));
}
BENCHMARK(BM_FormatChallenge);

void BM_FormatChargeRequest(benchmark::State& state) {
  const lightning::ChargeRequest r = request();
  for (auto _ : state) benchmark::DoNotOptimize(lightning::format_charge_request(r));
}
BENCHMARK(BM_FormatChargeRequest);

void BM_ChallengeId(benchmark::State& state) {
  const KeyRing keys = ring();
  const Challenge c = challenge();
  for (auto _ : state) benchmark::DoNotOptimize(challenge_id(keys.current(), id_slots(c)));
}
BENCHMARK(BM_ChallengeId);

void BM_BoundChallengeId(benchmark::State& state) {
  const KeyRing keys = ring();
  const Challenge c = challenge();
  for (auto _ : state) benchmark::DoNotOptimize(bound_challenge_id(keys, kPlace, id_slots(c)));
}
BENCHMARK(BM_BoundChallengeId);

void BM_NormalisePath(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(normalise_path("/v1/weather/today"));
}
BENCHMARK(BM_NormalisePath);

/// Everything between the field value and the proof.
void BM_VerifyCredential(benchmark::State& state) {
  const KeyRing keys = ring();
  Challenge c = challenge();
  c.id = bound_challenge_id(keys, kPlace, id_slots(c));
  const std::string text =
      format_credential(c, lightning::charge_payload_json(Secret(Bytes(32, 1)))).value();
  for (auto _ : state) {
    const Credential credential = parse_credential(text).value();
    benchmark::DoNotOptimize(
        verify_bound_id(keys, kPlace, id_slots(credential.challenge()), credential.challenge().id));
    benchmark::DoNotOptimize(lightning::verify_charge(credential, {from_unix_seconds(1'700'000'000),
                                                                   Millis(0), std::nullopt})
                                 .value());
  }
}
BENCHMARK(BM_VerifyCredential);

void BM_ParseChallenges(benchmark::State& state) {
  const std::string text = format_challenge(challenge()).value();
  const std::array<std::string_view, 1> lines = {text};
  for (auto _ : state) benchmark::DoNotOptimize(parse_challenges(lines));
}
BENCHMARK(BM_ParseChallenges);

}  // namespace
}  // namespace octroi::mpp
