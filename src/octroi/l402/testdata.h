// octroi/l402/testdata.h: the module's vector files, for its tests.   Thread: any.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "octroi/json/value.h"

namespace octroi::l402 {

/// Ends the test program when the file is missing or broken: nothing could be tested then.
inline json::Document load_testdata(const std::string& name) {
  const char* root = std::getenv("OCTROI_TESTDATA");
  std::ifstream in(std::string(root != nullptr ? root : "tests/testdata") + "/l402/" + name);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto document = json::parse(text);
  if (!document) {
    std::fprintf(stderr, "testdata l402/%s: %s\n", name.c_str(),
                 std::string(document.error().message()).c_str());
    std::abort();
  }
  return *std::move(document);
}

}  // namespace octroi::l402
