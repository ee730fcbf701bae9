#include "octroi/cli/command_line.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "octroi/cli/completion.h"
#include "octroi/cli/config_file.h"
#include "octroi/cli/output.h"

namespace octroi::cli {
namespace {

/// What a call gave the commands of this test, and what it printed.
struct Seen {
  std::string command;
  std::string url;
  std::string cost;
  std::vector<std::string> headers;
  bool quiet = false;
  std::int64_t limit = 20;
  GlobalOptions global;
  bool json = false;
  std::vector<std::string> rest;
  std::string out;
  std::string err;
  int code = -1;
};

class Cli : public testing::Test {
 protected:
  Seen call(std::vector<std::string> args, bool terminal = true) {
    auto seen = std::make_shared<Seen>();
    std::ostringstream out;
    std::ostringstream err;
    Host host{out, err, terminal, env_, nullptr, nullptr, "1.2.3", nullptr};
    CommandLine line;
    add_own_commands(line);
    line.describe_group("wallet", "Money out.");
    line.add({.name = "fetch",
              .summary = "Fetches and pays.",
              .examples = {{"octroi fetch http://127.0.0.1/", "an example"}},
              .options =
                  [seen](OptionSet& o) {
                    o.repeated("-H,--header", seen->headers, "A header.");
                    o.option("--max-cost", seen->cost, "A bound.");
                    o.flag("-q,--quiet", seen->quiet, "Says less.");
                    o.positional("url", seen->url, "Where.");
                  },
              .run = [seen](const Invocation& c) { return note(*seen, "fetch", c); },
              .json_when_piped = true});
    line.add({.name = "wallet pay",
              .summary = "Pays.",
              .examples = {},
              .options = [seen](OptionSet& o) { o.option("--limit", seen->limit, "How many."); },
              .run = [seen](const Invocation& c) { return note(*seen, "wallet pay", c); }});
    line.add({.name = "run",
              .summary = "Runs.",
              .examples = {},
              .options = {},
              .run = [seen](const Invocation& c) { return note(*seen, "run", c); },
              .takes_rest = true});
    seen->code = line.run(std::move(args), host);
    seen->out = out.str();
    seen->err = err.str();
    return *seen;
  }

  static ExitCode note(Seen& seen, std::string command, const Invocation& c) {
    seen.command = std::move(command);
    seen.global = c.global;
    seen.json = c.json;
    seen.rest = c.rest;
    return ExitCode::done;
  }

  std::map<std::string, std::string> env_;
};

TEST_F(Cli, global_options_before_the_command) {
  const Seen s = call({"--config", "a.yaml", "--json", "fetch", "http://x/"});
  EXPECT_EQ(s.code, 0);
  EXPECT_EQ(s.command, "fetch");
  EXPECT_EQ(s.global.config, "a.yaml");
  EXPECT_TRUE(s.json);
  EXPECT_EQ(s.url, "http://x/");
}

TEST_F(Cli, global_options_after_the_command) {
  const Seen s =
      call({"wallet", "pay", "--limit", "3", "--json", "--config=b.yaml", "--log-level", "debug"});
  EXPECT_EQ(s.command, "wallet pay");
  EXPECT_EQ(s.limit, 3);
  EXPECT_TRUE(s.json);
  EXPECT_EQ(s.global.config, "b.yaml");
  EXPECT_EQ(s.global.log_level, "debug");
}

TEST_F(Cli, nothing_after_two_dashes_is_ours) {
  const Seen s = call({"--json", "run", "--", "sh", "-c", "echo --config x", "--help"});
  EXPECT_EQ(s.command, "run");
  EXPECT_TRUE(s.global.config.empty());
  EXPECT_EQ(s.rest, (std::vector<std::string>{"sh", "-c", "echo --config x", "--help"}));
}

TEST_F(Cli, two_dashes_make_the_rest_positional) {
  const Seen s = call({"fetch", "--", "--json"});
  EXPECT_EQ(s.url, "--json");
  EXPECT_FALSE(s.json);
}

TEST_F(Cli, repeated_options_take_one_value_each) {
  const Seen s = call({"fetch", "-H", "A: 1", "-H", "B: 2", "http://x/", "-q"});
  EXPECT_EQ(s.code, 0) << s.err;
  EXPECT_EQ(s.headers, (std::vector<std::string>{"A: 1", "B: 2"}));
  EXPECT_EQ(s.url, "http://x/");
  EXPECT_TRUE(s.quiet);
}

TEST_F(Cli, an_option_value_may_look_like_a_global_option) {
  const Seen s = call({"fetch", "--max-cost=--json", "http://x/"});
  EXPECT_EQ(s.cost, "--json");
  EXPECT_FALSE(s.json);
}

TEST_F(Cli, json_when_piped) {
  EXPECT_TRUE(call({"fetch", "http://x/"}, /*terminal=*/false).json);
  EXPECT_FALSE(call({"fetch", "http://x/"}, /*terminal=*/true).json);
  EXPECT_FALSE(call({"wallet", "pay"}, /*terminal=*/false).json);
}

struct UsageRow {
  const char* name;
  std::vector<std::string> args;
  std::string says;
};
class CliUsage : public Cli, public testing::WithParamInterface<UsageRow> {};
TEST_P(CliUsage, ends_with_two_and_says_what_to_do) {
  const Seen s = call(GetParam().args);
  EXPECT_EQ(s.code, 2);
  EXPECT_TRUE(s.command.empty());
  EXPECT_TRUE(s.out.empty()) << s.out;
  EXPECT_NE(s.err.find(GetParam().says), std::string::npos) << s.err;
}
INSTANTIATE_TEST_SUITE_P(
    rows, CliUsage,
    testing::Values(
        UsageRow{"unknown_command", {"fetsh", "http://x/"}, "did you mean `octroi fetch`?"},
        UsageRow{"unknown_in_group", {"wallet", "pai"}, "did you mean `octroi wallet pay`?"},
        UsageRow{"unknown_after_global", {"--config", "x", "serv"}, "\"serv\" is not a command"},
        UsageRow{"unknown_option", {"fetch", "http://x/", "--nope"}, "--nope"},
        UsageRow{"missing_positional", {"fetch"}, "url is required"},
        UsageRow{"too_many_positionals", {"fetch", "a", "b"}, "octroi fetch --help"},
        UsageRow{"bad_number", {"wallet", "pay", "--limit", "many"}, "--limit"},
        UsageRow{"bad_level", {"--log-level", "loud", "run"}, "--log-level"},
        UsageRow{"group_alone", {"wallet"}, "pay"}, UsageRow{"nothing", {}, "fetch"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_F(Cli, help_shows_options_and_examples) {
  const Seen s = call({"fetch", "--help"});
  EXPECT_EQ(s.code, 0);
  EXPECT_TRUE(s.err.empty());
  EXPECT_NE(s.out.find("--max-cost"), std::string::npos);
  EXPECT_NE(s.out.find("Usage: octroi fetch [options] url"), std::string::npos) << s.out;
  EXPECT_NE(s.out.find("octroi fetch http://127.0.0.1/"), std::string::npos);
  EXPECT_NE(call({"--help"}).out.find("wallet"), std::string::npos);
  EXPECT_NE(call({"wallet", "-h"}).out.find("Money out."), std::string::npos);
}

TEST_F(Cli, version) {
  EXPECT_EQ(call({"version"}).out, "octroi 1.2.3\n");
  EXPECT_EQ(call({"version", "--json"}).out, "{\"version\":\"1.2.3\"}\n");
}

TEST_F(Cli, completion_knows_every_command) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Seen s = call({"completion", shell});
    EXPECT_EQ(s.code, 0);
    for (const char* word : {"wallet", "pay", "fetch", "max-cost", "config"})
      EXPECT_NE(s.out.find(word), std::string::npos) << shell << word;
  }
  EXPECT_EQ(call({"completion", "tcsh"}).code, 2);
}

TEST_F(Cli, bash_completion_is_valid_and_completes) {
  const auto file = std::filesystem::temp_directory_path() / "octroi_completion_test.bash";
  std::ofstream(file) << call({"completion", "bash"}).out
                      << "COMP_WORDS=(octroi wallet pa); COMP_CWORD=2; _octroi; [[ "
                         "\"${COMPREPLY[*]}\" == pay ]] || exit 1\n"
                         "COMP_WORDS=(octroi --json fetch --max); COMP_CWORD=3; _octroi; [[ "
                         "\"${COMPREPLY[*]}\" == --max-cost ]] || exit 1\n";
  EXPECT_EQ(std::system(("bash --norc --noprofile " + file.string()).c_str()), 0);
  std::filesystem::remove(file);
}

class CliConfig : public Cli {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("octroi_cli_test_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(dir_);
    file_ = (dir_ / "octroi.yaml").string();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& text) const { std::ofstream(file_) << text; }
  std::string read() const {
    std::stringstream s;
    s << std::ifstream(file_).rdbuf();
    return s.str();
  }
  std::filesystem::path dir_;
  std::string file_;
};

TEST_F(CliConfig, check_names_every_problem) {
  write("lisen: 1\nlog: { level: loud }\nworkers: many\nshutdown_grace: 30\nadmin: { listn: x }\n");
  const Seen s = call({"check", "--config", file_});
  EXPECT_EQ(s.code, 2);
  for (const char* line : {":1:1: error: lisen", ":2:15: error: log.level", ":3:10: error: workers",
                           ":4:17: error: shutdown_grace", ":5:10: error: admin.listn"}) {
    EXPECT_NE(s.err.find(line), std::string::npos) << line << "\n" << s.err;
  }
  EXPECT_NE(s.err.find("5 errors"), std::string::npos);
  const Seen j = call({"check", "--config", file_, "--json"});
  EXPECT_EQ(j.code, 2);
  EXPECT_EQ(j.out.find("{\"file\":"), 0U);
  EXPECT_NE(j.out.find("\"valid\":false"), std::string::npos);
}

TEST_F(CliConfig, check_accepts) {
  write("admin: {}\n");
  const Seen s = call({"check", "--config", file_});
  EXPECT_EQ(s.code, 0);
  EXPECT_EQ(s.out, file_ + ": ok\n");
}

TEST_F(CliConfig, found_through_the_environment) {
  write("admin: {}\n");
  env_["OCTROI_CONFIG"] = file_;
  EXPECT_EQ(call({"check"}).code, 0);
  env_["OCTROI_CONFIG"] = file_ + ".not";
  EXPECT_EQ(call({"check"}).code, 2);
  env_.erase("OCTROI_CONFIG");
  std::filesystem::create_directories(dir_ / "octroi");
  std::filesystem::rename(file_, dir_ / "octroi" / "octroi.yaml");
  env_["XDG_CONFIG_HOME"] = dir_.string();
  EXPECT_EQ(call({"check"}).code, 0);
}

TEST_F(CliConfig, print_and_log_level) {
  write("admin: {}\nlog: { level: info }\n");
  EXPECT_EQ(call({"config", "print", "log.level", "--config", file_}).out, "info\n");
  EXPECT_EQ(call({"config", "print", "log.level", "--config", file_, "--log-level", "debug"}).out,
            "debug\n");
  EXPECT_EQ(call({"config", "print", "--given", "--config", file_}).out,
            "admin: {}\nlog:\n  level: info\n");
  EXPECT_EQ(call({"config", "print", "no.such", "--config", file_}).code, 2);
  EXPECT_EQ(call({"config", "print", "log.level", "--json", "--config", file_}).out, "\"info\"\n");
}

TEST_F(CliConfig, fmt_writes_only_when_asked) {
  const std::string untidy =
      "admin:   {}\n\n\n# about the log\nlog:\n      level: info   # quiet\n";
  const std::string tidy = "admin:   {}\n\n# about the log\nlog:\n  level: info   # quiet\n";
  write(untidy);
  EXPECT_EQ(call({"config", "fmt", "--config", file_}).out, tidy);
  EXPECT_EQ(read(), untidy);
  EXPECT_EQ(call({"config", "fmt", "--check", "--config", file_}).code, 1);
  EXPECT_EQ(call({"config", "fmt", "--write", "--config", file_}).code, 0);
  EXPECT_EQ(read(), tidy);
  EXPECT_EQ(call({"config", "fmt", "--check", "--config", file_}).code, 0);
  EXPECT_EQ(call({"config", "fmt", "--check", "--write", "--config", file_}).code, 2);
}

TEST_F(Cli, docs_are_the_reference) {
  EXPECT_EQ(call({"config", "docs"}).out.find("# Configuration reference"), 0U);
}

TEST(Output, json_and_tables) {
  EXPECT_EQ(JsonObject().text("a", "x\"\n\x01").number("b", -3).boolean("c", true).null("d").str(),
            "{\"a\":\"x\\\"\\n\\u0001\",\"b\":-3,\"c\":true,\"d\":null}");
  EXPECT_EQ(json_array({"1", "2"}), "[1,2]");
  EXPECT_EQ(table({{"a", "bcd"}, {"äöü", "e"}}), "a    bcd\näöü  e\n");
}

TEST(ExitCodes, follow_the_kind_of_error) {
  EXPECT_EQ(exit_code_for(ErrorKind::invalid), ExitCode::usage);
  EXPECT_EQ(exit_code_for(ErrorKind::timeout), ExitCode::network);
  EXPECT_EQ(exit_code_for(ErrorKind::limit), ExitCode::rate_limited);
  EXPECT_EQ(exit_code_for(ErrorKind::internal), ExitCode::failed);
}

}  // namespace
}  // namespace octroi::cli
