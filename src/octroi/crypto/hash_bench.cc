// What a kept key saves: an HMAC of 64 bytes with midstates, without them, and a plain hash.
#include <benchmark/benchmark.h>

#include "octroi/crypto/hash.h"
#include "octroi/crypto/secp256k1.h"

namespace octroi::crypto {
namespace {

const std::string kMessage(64, 'm');
const std::string kRoot(32, 'k');

void HmacKeptKey(benchmark::State& state) {
  const HmacSha256Key key{as_bytes(kRoot)};
  for (auto _ : state) benchmark::DoNotOptimize(key.mac(as_bytes(kMessage)));
}
BENCHMARK(HmacKeptKey);

void HmacFreshKey(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(hmac_sha256(as_bytes(kRoot), as_bytes(kMessage)));
}
BENCHMARK(HmacFreshKey);

void Sha256Of32Bytes(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(sha256(as_bytes(kRoot)));
}
BENCHMARK(Sha256Of32Bytes);

void EcdsaRecover(benchmark::State& state) {
  SeededRandom random(1);
  const PrivateKey key = PrivateKey::generate(random);
  const Sha256Digest hash = sha256(as_bytes(kMessage));
  const RecoverableSignature signature = key.sign_recoverable(hash);
  for (auto _ : state) benchmark::DoNotOptimize(recover(hash, signature));
}
BENCHMARK(EcdsaRecover);

}  // namespace
}  // namespace octroi::crypto
