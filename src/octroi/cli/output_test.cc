#include "octroi/cli/output.h"

#include <gtest/gtest.h>

namespace octroi::cli {
namespace {

TEST(WithoutControls, NothingMovesTheCursorOrTurnsTheText) {
  EXPECT_EQ(without_controls("Grüße, plain – 100 €"), "Grüße, plain – 100 €");
  EXPECT_EQ(without_controls("a\x1b[4Ab\nc\x7f"), "a?[4Ab?c?");
  EXPECT_EQ(without_controls("a\xc2\x9b"
                             "4A"),
            "a?4A");
  EXPECT_EQ(without_controls("a\u202eb\u2066c\u2028"), "a?b?c?");
  EXPECT_EQ(without_controls("cut \xe2\x80"), "cut \xe2\x80");
}

}  // namespace
}  // namespace octroi::cli
