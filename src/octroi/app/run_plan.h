// octroi/app/run_plan.h: what a program is started with by `octroi run`: which variables it gets
// and loses, and which files they name. Each part of octroi that has something to give adds its
// share; by now that is the vault.
//
// A plan's values hold keys: it is never printed. Files are made in a folder of their own (0700),
// which goes when the plan goes.
// Thread: the main thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi::app {

using Environment = std::map<std::string, std::string>;

struct RunPlan {
  Environment set;
  std::set<std::string> unset;
  /// The child's environment out of ours.
  [[nodiscard]] Environment over(const Environment& ours) const;
};

/// A folder with files for one child.
class RunFolder {
 public:
  [[nodiscard]] static Result<RunFolder> make(const Environment& ours);
  RunFolder(RunFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();
  /// The path of the file that now holds this.
  [[nodiscard]] Result<std::string> write(const std::string& name, std::string_view content) const;

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// What the vault's door says that a key opens (`/.well-known/octroi/vault`).
struct VaultGrant {
  Secret key;      // as it was given
  std::string id;  // its name, which is no secret
  std::string vendor, pack;
  std::vector<std::string> hosts;
  std::vector<std::string> unset;
  std::string ca_pem;  // empty: this vault is no proxy
};

struct VaultShare {
  std::string url;  // of the vault's door: "http://127.0.0.1:8403"
  std::string run;  // what the child's calls are written down as; empty: what the key says
  std::vector<VaultGrant> grants;
};

/// Whether each key has variables of its own: one base URL and one key are all that a program reads
/// for an SDK, and of two the later would stand there alone. StateErrc::bad_argument.
[[nodiscard]] Result<> check_distinct(const VaultShare& share);

/// Whether the calls of the child can carry `share.run`: the proxy does it, by the name that it is
/// given, and nothing else of the environment. StateErrc::bad_argument.
[[nodiscard]] Result<> check_run(const VaultShare& share);

/// Proxy, trust, base URLs and keys of the vault, of a share that is distinct.
[[nodiscard]] Result<> add_vault(RunPlan& plan, const VaultShare& share, const RunFolder& folder,
                                 const Environment& ours);

/// Starts the program, passes signals on and waits; its exit code, or 128 and the signal's number,
/// 127 when there is no such program, 126 when it cannot be run.
[[nodiscard]] int run_child(const std::vector<std::string>& words, const Environment& environment);
/// To be called before threads are there: what run_child passes on is blocked in all of them.
void hold_signals();

}  // namespace octroi::app
