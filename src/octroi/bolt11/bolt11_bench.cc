#include <benchmark/benchmark.h>

#include "octroi/bolt11/bolt11.h"

namespace octroi::bolt11 {
namespace {

crypto::PrivateKey key() {
  SeededRandom random(1);
  return crypto::PrivateKey::generate(random);
}

Invoice sample(bool named) {
  Invoice in;
  in.network = Network::regtest;
  in.amount = 1500_msat;
  in.created = from_unix_seconds(1'700'000'000);
  in.description = "a page of weather";
  in.expiry = Seconds(900);
  in.names_payee = named;
  return in;
}

void DecodeRecovered(benchmark::State& state) {
  const std::string text = encode(sample(false), key()).value();
  for (auto _ : state) benchmark::DoNotOptimize(decode(text));
}
BENCHMARK(DecodeRecovered);

void DecodeNamedPayee(benchmark::State& state) {
  const std::string text = encode(sample(true), key()).value();
  for (auto _ : state) benchmark::DoNotOptimize(decode(text));
}
BENCHMARK(DecodeNamedPayee);

void Encode(benchmark::State& state) {
  const Invoice in = sample(false);
  const crypto::PrivateKey k = key();
  for (auto _ : state) benchmark::DoNotOptimize(encode(in, k));
}
BENCHMARK(Encode);

}  // namespace
}  // namespace octroi::bolt11
