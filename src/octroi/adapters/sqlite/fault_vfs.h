// octroi/adapters/sqlite/fault_vfs.h: a SQLite file system that fails when told to, and remembers
// what would be left after the power went: for each file, its content at the last successful sync.
// For tests only.
#pragma once

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <sqlite3.h>

namespace octroi::sqlite {

class FaultVfs {
 public:
  static constexpr const char* kName = "octroi-fault";

  enum class Mode : std::uint8_t {
    once,        // the N-th write or sync fails, later ones work
    from_there,  // the disk is dead from the N-th on
    torn,        // the N-th write stops half-way, then the disk is dead
  };

  static const char* name(Mode mode) {
    switch (mode) {
      case Mode::once:
        return "once";
      case Mode::from_there:
        return "from_there";
      case Mode::torn:
        return "torn";
    }
    return "unknown";
  }

  static FaultVfs& instance() {
    static FaultVfs vfs;
    return vfs;
  }

  /// Counts writes and syncs from zero; `at` 0 never fails.
  void arm(long at, Mode mode) {
    count_ = 0;
    at_ = at;
    mode_ = mode;
    fired_ = false;
  }
  [[nodiscard]] long count() const { return count_; }
  /// Of files, ever.
  [[nodiscard]] long syncs() const { return syncs_; }
  [[nodiscard]] bool fired() const { return fired_; }

  /// The files as a machine that lost power now would find them. Names are kept; removals count at
  /// once, which is the harder case for a log that is deleted.
  void power_cut_into(const std::string& folder) {
    const std::scoped_lock lock(mutex_);
    for (const auto& [path, content] : durable_) {
      std::ofstream out(folder + "/" + std::filesystem::path(path).filename().string(),
                        std::ios::binary);
      out.write(content.data(), static_cast<std::streamsize>(content.size()));
    }
  }
  void forget() {
    const std::scoped_lock lock(mutex_);
    durable_.clear();
  }

 private:
  struct File {
    sqlite3_file base;
    char* path;
    sqlite3_file* real;  // follows this struct in the same allocation
  };
  static File* self(sqlite3_file* f) { return reinterpret_cast<File*>(f); }
  static sqlite3_file* real(sqlite3_file* f) { return self(f)->real; }

  FaultVfs() {
    system_ = sqlite3_vfs_find(nullptr);
    vfs_ = *system_;
    vfs_.zName = kName;
    vfs_.pNext = nullptr;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + system_->szOsFile;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    sqlite3_vfs_register(&vfs_, 0);
  }

  bool fails_now() {
    const long n = ++count_;
    if (at_ == 0 || n < at_ || (mode_ == Mode::once && n > at_)) return false;
    fired_ = true;
    return true;
  }

  static int open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* out, int flags,
                  int* out_flags) {
    File* f = self(out);
    f->base.pMethods = nullptr;
    f->path = nullptr;
    f->real = reinterpret_cast<sqlite3_file*>(f + 1);
    FaultVfs& vfs = instance();
    const int code = vfs.system_->xOpen(vfs.system_, name, f->real, flags, out_flags);
    if (code != SQLITE_OK) return code;
    f->path = sqlite3_mprintf("%s", name == nullptr ? "" : name);
    f->base.pMethods = methods();
    if (name != nullptr) {
      const std::scoped_lock lock(vfs.mutex_);
      vfs.durable_.try_emplace(name);
    }
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* /*vfs*/, const char* name, int sync_dir) {
    FaultVfs& vfs = instance();
    {
      const std::scoped_lock lock(vfs.mutex_);
      vfs.durable_.erase(name);
    }
    return vfs.system_->xDelete(vfs.system_, name, sync_dir);
  }

  static int close(sqlite3_file* f) {
    sqlite3_free(self(f)->path);
    return real(f)->pMethods->xClose(real(f));
  }
  static int write(sqlite3_file* f, const void* data, int size, sqlite3_int64 offset) {
    FaultVfs& vfs = instance();
    if (vfs.fails_now()) {
      if (vfs.mode_ == Mode::torn) {
        static_cast<void>(real(f)->pMethods->xWrite(real(f), data, size / 2, offset));
      }
      return SQLITE_IOERR_WRITE;
    }
    return real(f)->pMethods->xWrite(real(f), data, size, offset);
  }
  static int sync(sqlite3_file* f, int flags) {
    FaultVfs& vfs = instance();
    ++vfs.syncs_;
    if (vfs.fails_now()) return SQLITE_IOERR_FSYNC;
    // The real disk need not move for this test: what counts as durable is copied here.
    static_cast<void>(flags);
    vfs.remember(f);
    return SQLITE_OK;
  }
  void remember(sqlite3_file* f) {
    sqlite3_int64 size = 0;
    real(f)->pMethods->xFileSize(real(f), &size);
    std::vector<char> content(static_cast<std::size_t>(size));
    if (size > 0) real(f)->pMethods->xRead(real(f), content.data(), static_cast<int>(size), 0);
    const std::scoped_lock lock(mutex_);
    durable_[self(f)->path] = std::move(content);
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;
      m.xClose = close;
      m.xRead = [](sqlite3_file* f, void* d, int n, sqlite3_int64 o) {
        return real(f)->pMethods->xRead(real(f), d, n, o);
      };
      m.xWrite = write;
      m.xTruncate = [](sqlite3_file* f, sqlite3_int64 n) {
        return real(f)->pMethods->xTruncate(real(f), n);
      };
      m.xSync = sync;
      m.xFileSize = [](sqlite3_file* f, sqlite3_int64* n) {
        return real(f)->pMethods->xFileSize(real(f), n);
      };
      m.xLock = [](sqlite3_file* f, int l) { return real(f)->pMethods->xLock(real(f), l); };
      m.xUnlock = [](sqlite3_file* f, int l) { return real(f)->pMethods->xUnlock(real(f), l); };
      m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
        return real(f)->pMethods->xCheckReservedLock(real(f), out);
      };
      m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
        return real(f)->pMethods->xFileControl(real(f), op, arg);
      };
      m.xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); };
      m.xDeviceCharacteristics = [](sqlite3_file* f) {
        return real(f)->pMethods->xDeviceCharacteristics(real(f));
      };
      m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
        return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
      };
      m.xShmLock = [](sqlite3_file* f, int o, int n, int flags) {
        return real(f)->pMethods->xShmLock(real(f), o, n, flags);
      };
      m.xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); };
      m.xShmUnmap = [](sqlite3_file* f, int del) {
        return real(f)->pMethods->xShmUnmap(real(f), del);
      };
      return m;
    }();
    return &kMethods;
  }

  sqlite3_vfs* system_;
  sqlite3_vfs vfs_;
  std::atomic<long> count_{0};
  std::atomic<long> syncs_{0};
  std::atomic<long> at_{0};
  std::atomic<Mode> mode_{Mode::once};
  std::atomic<bool> fired_{false};
  std::mutex mutex_;
  std::map<std::string, std::vector<char>> durable_;
};

}  // namespace octroi::sqlite
