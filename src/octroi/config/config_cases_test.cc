// Runs tests/config/*.case: one behaviour a file.
//
//   @secret env://NAME value   what a reference stands for (others do not exist)
//   @env NAME=value            an environment variable
//   @show path                 print this part with defaults, rather than all that was given
//   @json                      print as JSON
//   <the configuration>
//   ----------
//   <problems with line and column, then the printed configuration>
//
// OCTROI_TEST_UPDATE=1 writes the second half anew; read the difference before committing it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "octroi/config/load.h"
#include "octroi/config/print.h"

namespace octroi::config {
namespace {

std::filesystem::path source_dir() {
  const char* dir = std::getenv("OCTROI_SOURCE");
  return dir == nullptr ? std::filesystem::current_path() : std::filesystem::path(dir);
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

constexpr std::string_view kLine = "----------\n";

struct Case {
  std::filesystem::path path;
  std::string head;  // everything before the line
  std::string yaml;
  std::string expected;
  std::map<std::string, std::string> secrets;
  std::map<std::string, std::string> env{{"HOME", "/home/test"}};
  std::string show;
  bool json = false;
  bool has_show = false;
};

Case parse_case(const std::filesystem::path& path) {
  Case c;
  c.path = path;
  const std::string text = read(path);
  const std::size_t line = text.find(kLine);
  c.head = text.substr(0, line);
  if (line != std::string::npos) c.expected = text.substr(line + kLine.size());
  std::size_t at = 0;
  while (c.head.compare(at, 1, "@") == 0) {
    const std::size_t end = c.head.find('\n', at);
    const std::string directive = c.head.substr(at, end - at);
    const std::size_t space = directive.find(' ');
    const std::string name = directive.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : directive.substr(space + 1);
    if (name == "@secret") {
      const std::size_t split = rest.find(' ');
      c.secrets[rest.substr(0, split)] = rest.substr(split + 1);
    } else if (name == "@env") {
      const std::size_t split = rest.find('=');
      c.env[rest.substr(0, split)] = rest.substr(split + 1);
    } else if (name == "@show") {
      c.show = rest;
      c.has_show = true;
    } else if (name == "@json") {
      c.json = true;
    } else {
      ADD_FAILURE() << "unknown directive " << name;
    }
    at = end + 1;
  }
  c.yaml = c.head.substr(at);
  return c;
}

std::string show(const Problem& p) {
  std::string out = p.severity == Severity::error ? "error " : "warning ";
  if (p.line > 0) {
    out += std::to_string(p.line) + ":" + std::to_string(p.column) + " ";
  } else if (p.file != "octroi.yaml") {
    out += "(" + p.file + ") ";
  }
  if (!p.path.empty()) out += p.path + ": ";
  return out + p.message + "\n  fix: " + p.fix + "\n";
}

std::string run(const Case& c) {
  const ManualClock clock(from_rfc3339("2026-11-21T12:00:00Z").value());
  LoadOptions options;
  options.env = c.env;
  options.clock = &clock;
  options.resolve = [&](std::string_view reference) -> Result<Secret> {
    const auto it = c.secrets.find(std::string(reference));
    if (it == c.secrets.end())
      return fail(Errc::unreadable, std::string(reference) + " does not exist");
    return Secret(std::string_view(it->second));
  };
  const LoadResult loaded = load(c.yaml, "octroi.yaml", options);
  std::string out;
  if (!loaded) {
    for (const Problem& p : loaded.error()) {
      out += show(p);
      EXPECT_FALSE(p.fix.empty()) << p.message;
    }
    return out;
  }
  for (const Problem& p : loaded->warnings) out += show(p);
  PrintOptions print_options;
  print_options.json = c.json;
  print_options.defaults = c.has_show;
  print_options.only = c.show;
  return out + print(*loaded->values, print_options).value_or("(no such path)\n");
}

std::vector<std::filesystem::path> all_cases() {
  std::vector<std::filesystem::path> out;
  const auto dir = source_dir() / "tests" / "config";
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ec)) {
    if (entry.path().extension() == ".case") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class ConfigCase : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(ConfigCase, matches) {
  const Case c = parse_case(GetParam());
  const std::string actual = run(c);
  for (const auto& [reference, value] : c.secrets) {
    if (reference.find("plain") == std::string::npos) {
      EXPECT_EQ(actual.find(value), std::string::npos)
          << "the value of " << reference << " is shown";
    }
  }
  if (std::getenv("OCTROI_TEST_UPDATE") != nullptr && actual != c.expected) {
    std::ofstream(GetParam(), std::ios::binary) << c.head << kLine << actual;
    return;
  }
  EXPECT_EQ(actual, c.expected);
}

INSTANTIATE_TEST_SUITE_P(all, ConfigCase, testing::ValuesIn(all_cases()), [](const auto& info) {
  std::string name = info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char ch) { return std::isalnum(ch) == 0; }, '_');
  return name;
});

TEST(ConfigCases, are_there) { EXPECT_GE(all_cases().size(), 60U); }

}  // namespace
}  // namespace octroi::config
