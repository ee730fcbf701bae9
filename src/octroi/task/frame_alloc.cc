#include "octroi/task/frame_alloc.h"

namespace octroi::detail {

namespace {
/// Empties the thread's lists when it ends, and keeps what is freed after that from entering them.
struct FrameLists {
  FrameLists() = default;
  FrameLists(const FrameLists&) = delete;
  FrameLists& operator=(const FrameLists&) = delete;
  ~FrameLists() {
    for (FrameList& list : frame_lists) {
      while (FreeFrame* frame = list.head) {
        list.head = frame->next;
        ::operator delete(frame);
      }
      list.size = kFrameKeep;
    }
  }
};
}  // namespace

void* frame_alloc_slow(std::size_t size) {
  thread_local FrameLists lists;
  static_cast<void>(lists);
  return ::operator new(size);
}

}  // namespace octroi::detail
