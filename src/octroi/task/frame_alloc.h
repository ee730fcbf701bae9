// octroi/task/frame_alloc.h: memory of coroutine frames and other short-lived objects of a request,
// kept on free lists of the thread that frees them: an allocation is a few instructions once warm.
//
// Sizes    up to 2 KiB in steps of 64 bytes; larger ones and every size under a sanitizer go to the
//          heap, so that a use after free is still seen.
// Thread   any; a block freed on another thread changes its list.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace octroi::detail {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define OCTROI_FRAME_ALLOC_OFF 1
#endif
#endif

inline constexpr std::size_t kFrameStep = 64;
inline constexpr std::size_t kFrameClasses = 32;
inline constexpr std::size_t kFrameKeep = 256;  // blocks a class and thread

struct FreeFrame {
  FreeFrame* next;
};
struct FrameList {
  FreeFrame* head = nullptr;
  std::size_t size = 0;
};
// Without a destructor, so that an access is one instruction; frame_alloc_slow has them emptied
// when the thread ends.
inline constinit thread_local std::array<FrameList, kFrameClasses> frame_lists{};

/// From the heap, `size` bytes.
[[nodiscard]] void* frame_alloc_slow(std::size_t size);

[[nodiscard]] inline void* frame_alloc(std::size_t size) {
#ifndef OCTROI_FRAME_ALLOC_OFF
  const std::size_t index = (size - 1) / kFrameStep;
  if (index < kFrameClasses) [[likely]] {
    FrameList& list = frame_lists[index];
    if (FreeFrame* frame = list.head; frame != nullptr) [[likely]] {
      list.head = frame->next;
      --list.size;
      return frame;
    }
    return frame_alloc_slow((index + 1) * kFrameStep);
  }
#endif
  return ::operator new(size);
}

inline void frame_free(void* memory, std::size_t size) noexcept {
#ifndef OCTROI_FRAME_ALLOC_OFF
  const std::size_t index = (size - 1) / kFrameStep;
  if (index < kFrameClasses) [[likely]] {
    FrameList& list = frame_lists[index];
    if (list.size < kFrameKeep) [[likely]] {
      auto* frame = static_cast<FreeFrame*>(memory);
      frame->next = list.head;
      list.head = frame;
      ++list.size;
      return;
    }
  }
#endif
  ::operator delete(memory);
  static_cast<void>(size);
}

}  // namespace octroi::detail

namespace octroi {

/// The same memory for the containers of a request, whose sizes are alike from request to request.
template <class T>
struct FrameAllocator {
  using value_type = T;
  FrameAllocator() = default;
  template <class U>
  FrameAllocator(const FrameAllocator<U>& /*other*/) noexcept {}  // NOLINT
  [[nodiscard]] T* allocate(std::size_t n) {
    return static_cast<T*>(detail::frame_alloc(n * sizeof(T)));
  }
  void deallocate(T* p, std::size_t n) noexcept { detail::frame_free(p, n * sizeof(T)); }
  template <class U>
  bool operator==(const FrameAllocator<U>& /*other*/) const noexcept {
    return true;
  }
};

}  // namespace octroi
