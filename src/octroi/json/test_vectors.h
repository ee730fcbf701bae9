// octroi/json/test_vectors.h: for tests: reads a table from tests/testdata. Not part of the
// library.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "octroi/json/value.h"

namespace octroi::json {

inline std::string read_test_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The object in tests/testdata/<name>; the rows are its "vectors".
inline Document read_test_table(const std::string& name) {
  const char* const set = std::getenv("OCTROI_TESTDATA");
  const std::filesystem::path root = set != nullptr ? set : OCTROI_TESTDATA_DIR;
  auto document = parse(read_test_file(root / name));
  if (!document) throw std::runtime_error(name + ": " + std::string(document.error().message()));
  return *std::move(document);
}

/// A row's name as GoogleTest wants it.
inline std::string test_name(Value row) {
  std::string name(row.string("name").value());
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

}  // namespace octroi::json
