// octroi/app/run_shims.h: what `octroi run` puts before programs whose clients take neither a proxy
// nor an authority from the environment: a module that Python loads at its start, and one that Node
// loads before the program. They change connections to the vendors' hosts only, and only where they
// go; the programs stay as they are.
//
// Both read OCTROI_RUN_PROXY (the proxy's URL), OCTROI_RUN_HOSTS (with commas) and OCTROI_RUN_CA
// (Node: octroi's certificate; Python: a bundle with it).
#pragma once

#include <string_view>

namespace octroi::app {

/// sitecustomize.py: stripe-python brings a bundle of its own, which is replaced once it is loaded.
/// A sitecustomize that stands behind this one is run, too.
extern const std::string_view kPythonShim;
/// For node --require: agents that were made without a proxy (stripe-node's), and fetch of versions
/// of Node that know no proxy.
extern const std::string_view kNodeShim;

}  // namespace octroi::app
