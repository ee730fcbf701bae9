// octroi/http/testdata_test.h: reads the vector tables of tests/testdata/http. Tests only.
#pragma once

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "octroi/base/file.h"
#include "octroi/http/h1_parser.h"
#include "octroi/json/value.h"

namespace octroi::http {

inline json::Document load_table(const std::string& name) {
  const char* const set = std::getenv("OCTROI_TESTDATA");
  const std::string root = set != nullptr ? set : OCTROI_TESTDATA_DIR;
  auto text = read_file(root + "/http/" + name);
  EXPECT_TRUE(text) << name;
  auto document = json::parse(*text);
  EXPECT_TRUE(document) << document.error().message();
  return std::move(*document);
}

/// The tables write bytes as code points 0 to 255; JSON carries them as UTF-8.
inline std::string to_bytes(std::string_view utf8) {
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x80) {
      bytes += static_cast<char>(c);
    } else {
      bytes +=
          static_cast<char>(((c & 0x03) << 6) | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
    }
  }
  return bytes;
}

inline std::string_view fault_name(h1::Fault fault) {
  using h1::Fault;
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::bad_method:
      return "bad_method";
    case Fault::bad_target:
      return "bad_target";
    case Fault::bad_version:
      return "bad_version";
    case Fault::unsupported_version:
      return "unsupported_version";
    case Fault::bad_status_line:
      return "bad_status_line";
    case Fault::bad_line_end:
      return "bad_line_end";
    case Fault::bad_field_name:
      return "bad_field_name";
    case Fault::bad_field_value:
      return "bad_field_value";
    case Fault::folded_field:
      return "folded_field";
    case Fault::bad_host:
      return "bad_host";
    case Fault::bad_content_length:
      return "bad_content_length";
    case Fault::bad_transfer_coding:
      return "bad_transfer_coding";
    case Fault::unknown_transfer_coding:
      return "unknown_transfer_coding";
    case Fault::length_and_coding:
      return "length_and_coding";
    case Fault::too_many_fields:
      return "too_many_fields";
    case Fault::head_too_large:
      return "head_too_large";
    case Fault::target_too_long:
      return "target_too_long";
    case Fault::method_not_served:
      return "method_not_served";
    case Fault::bad_chunk:
      return "bad_chunk";
    case Fault::long_extensions:
      return "long_extensions";
  }
  return "?";
}

inline std::string framing_text(h1::Framing framing) {
  switch (framing.kind) {
    case h1::BodyKind::none:
      return "none";
    case h1::BodyKind::length:
      return "length " + std::to_string(framing.length);
    case h1::BodyKind::chunked:
      return "chunked";
    case h1::BodyKind::until_close:
      return "until_close";
  }
  return "?";
}

}  // namespace octroi::http
