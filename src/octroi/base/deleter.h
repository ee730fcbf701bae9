// octroi/base/deleter.h: what frees the objects of a C library in unique_ptrs:
// std::unique_ptr<BIO, Deleter<BIO_free>>.
// Thread: pure.
#pragma once

namespace octroi {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};

}  // namespace octroi
