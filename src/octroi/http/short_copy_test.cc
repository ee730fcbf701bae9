#include "octroi/http/short_copy.h"

#include <string>

#include <gtest/gtest.h>

namespace octroi::http {
namespace {

TEST(ShortCopy, CopiesEverySizeAndNothingMore) {
  std::string source;
  for (int i = 0; i < 80; ++i) source.push_back(static_cast<char>('!' + i));
  for (std::size_t size = 0; size <= source.size(); ++size) {
    std::string target(source.size() + 2, '.');
    const std::string_view piece = std::string_view(source).substr(source.size() - size);
    char* const end = short_copy(target.data() + 1, piece);
    EXPECT_EQ(end, target.data() + 1 + size) << size;
    EXPECT_EQ(target.front(), '.') << size;
    EXPECT_EQ(target.substr(1, size), piece) << size;
    EXPECT_EQ(target.substr(1 + size), std::string(target.size() - 1 - size, '.')) << size;
  }
}

}  // namespace
}  // namespace octroi::http
