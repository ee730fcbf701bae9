// octroi/net/tls_deleter.h: what frees OpenSSL's objects in unique_ptrs. Internal to net.
// Thread: pure.
#pragma once

namespace octroi::net {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};

}  // namespace octroi::net
