// Test tool for tests/interop: makes macaroons with our writer, and checks others'.
//
//   macaroon_tool make     stdin: {"root_key_hex","location","identifier_hex","caveats":[…]} a line
//                          stdout: the macaroon in hex, a line each
//   macaroon_tool verify   stdin: {"root_key_hex","macaroon_hex"} a line; stdout: "valid",
//   "invalid" or "malformed"
#include <iostream>
#include <string>

#include "octroi/json/value.h"
#include "octroi/l402/macaroon.h"

using namespace octroi;

namespace {

Result<std::string> make(json::Value in) {
  OCTROI_TRY(const std::string_view root_hex, in.string("root_key_hex"));
  OCTROI_TRY(const Bytes root, from_hex(root_hex));
  OCTROI_TRY(const std::string_view location, in.string("location"));
  OCTROI_TRY(const std::string_view id_hex, in.string("identifier_hex"));
  OCTROI_TRY(const Bytes id, from_hex(id_hex));
  l402::MacaroonWriter writer(root, location, id);
  OCTROI_TRY(const json::Value caveats, in.array("caveats"));
  for (const json::Value caveat : caveats.elements()) {
    OCTROI_TRY(const std::string_view text, caveat.as_string());
    writer.add(text);
  }
  OCTROI_TRY(const Bytes bytes, std::move(writer).finish());
  return to_hex(bytes);
}

Result<std::string> verify(json::Value in) {
  OCTROI_TRY(const std::string_view root_hex, in.string("root_key_hex"));
  OCTROI_TRY(const Bytes root, from_hex(root_hex));
  OCTROI_TRY(const std::string_view text, in.string("macaroon_hex"));
  OCTROI_TRY(const Bytes bytes, from_hex(text));
  const auto macaroon = l402::decode_macaroon(bytes);
  if (!macaroon) return "malformed";
  return l402::signature_matches(*macaroon, root) ? "valid" : "invalid";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 2 ? argv[1] : "";
  if (mode != "make" && mode != "verify") {
    std::cerr << "usage: macaroon_tool make|verify\n";
    return 2;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto document = json::parse(line);
    if (!document) {
      std::cerr << "not JSON\n";
      return 2;
    }
    const auto out = mode == "make" ? make(document->root()) : verify(document->root());
    if (!out) {
      std::cerr << out.error().message() << "\n";
      return 1;
    }
    std::cout << *out << "\n";
  }
  return 0;
}
