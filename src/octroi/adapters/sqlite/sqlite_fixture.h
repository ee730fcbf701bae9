// octroi/adapters/sqlite/sqlite_fixture.h: a store in a folder of its own. For tests only.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::sqlite {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "octroi-store-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(std::string_view name = "octroi.db") const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

/// A file of the newest schema without a row: what tests that open hundreds of stores begin with,
/// rather than migrate each time.
inline void begin_migrated(const std::string& path) {
  static const TempFolder folder;
  static const bool made = [] {
    ManualClock clock(ledger::kStart);
    SqliteOptions options;
    options.path = folder.file();
    return open_sqlite_store(options, clock).has_value();
  }();
  ASSERT_TRUE(made);
  std::filesystem::copy_file(folder.file(), path);
}

class SqliteFixture final : public ledger::StoreFixture {
 public:
  SqliteFixture() { open(); }
  ledger::Store& store() override { return *store_; }
  void restart() override {
    store_.reset();
    open();
  }
  [[nodiscard]] std::string path() const { return folder_.file(); }

 private:
  void open() {
    SqliteOptions options;
    options.path = folder_.file();
    auto opened = open_sqlite_store(options, clock_);
    ASSERT_TRUE(opened) << opened.error().message();
    store_ = *std::move(opened);
  }
  TempFolder folder_;
  ManualClock clock_{ledger::kStart};
  std::unique_ptr<ledger::Store> store_;
};

}  // namespace octroi::sqlite
