#include "octroi/base/secret.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include <sys/mman.h>

#include "octroi/base/secret_memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OCTROI_SECRETS_ON_HEAP \
  1  // so that the sanitizer sees the bounds and the life of each secret
#endif
#endif

namespace octroi {

void secure_wipe(void* data, std::size_t size) noexcept {
  if (size != 0) explicit_bzero(data, size);
}

bool constant_time_equal(ByteView a, ByteView b) noexcept {
  if (a.size() != b.size()) return false;
  // volatile keeps the compiler from leaving the loop at the first difference.
  volatile std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

namespace {

[[noreturn]] void out_of_memory() { throw std::bad_alloc(); }

std::atomic<bool>& some_unlocked() {
  static std::atomic<bool> flag{false};
  return flag;
}

#ifdef OCTROI_SECRETS_ON_HEAP

std::uint8_t* allocate(std::size_t size) {
  auto* block = static_cast<std::uint8_t*>(std::malloc(size));
  if (block == nullptr) out_of_memory();
  return block;
}
void release(std::uint8_t* block, std::size_t) noexcept { std::free(block); }

#else

std::uint8_t* map_guarded(std::size_t size) {
  void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) out_of_memory();
  // Both are best effort: RLIMIT_MEMLOCK may be small, and a secret that can be swapped is still
  // better than a program that does not start.
  if (mlock(pages, size) != 0) some_unlocked().store(true);
  (void)madvise(pages, size, MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(pages);
}

/// Blocks of a power of two from locked pages, with one free list a size. Pages are never given
/// back: the number of secrets alive at once is small and returns to the same level.
class Arena {
 public:
  static constexpr std::size_t kSmallest = 32;
  static constexpr std::size_t kLargest = 4096;
  static constexpr std::size_t kChunk = std::size_t{32} * 1024;

  static bool fits(std::size_t size) { return size <= kLargest; }

  std::uint8_t* allocate(std::size_t size) {
    const std::size_t block = block_size(size);
    const std::lock_guard lock(mutex_);
    Free*& list = free_[index(block)];
    if (list != nullptr) {
      Free* first = list;
      list = first->next;
      first->next = nullptr;
      return reinterpret_cast<std::uint8_t*>(first);
    }
    if (left_ < block) {
      // What is left of the old chunk is smaller than one block of this size: it goes unused.
      next_ = map_guarded(kChunk);
      left_ = kChunk;
    }
    left_ -= block;
    return std::exchange(next_, next_ + block);
  }

  void release(std::uint8_t* data, std::size_t size) noexcept {
    const std::lock_guard lock(mutex_);
    Free*& list = free_[index(block_size(size))];
    list = ::new (data) Free{list};
  }

 private:
  struct Free {
    Free* next;
  };
  static std::size_t block_size(std::size_t size) {
    return std::bit_ceil(std::max(size, kSmallest));
  }
  static std::size_t index(std::size_t block) {
    return static_cast<std::size_t>(std::countr_zero(block) - std::countr_zero(kSmallest));
  }

  std::mutex mutex_;
  std::array<Free*, 8> free_{};
  std::uint8_t* next_ = nullptr;
  std::size_t left_ = 0;
};
static_assert(Arena::kSmallest << 7 == Arena::kLargest);

Arena& arena() {
  // Never destroyed: secrets in static storage may die after it would.
  alignas(Arena) static std::array<unsigned char, sizeof(Arena)> storage;
  static Arena* const instance = ::new (storage.data()) Arena;
  return *instance;
}

std::uint8_t* allocate(std::size_t size) {
  return Arena::fits(size) ? arena().allocate(size) : map_guarded(size);
}
void release(std::uint8_t* block, std::size_t size) noexcept {
  if (Arena::fits(size)) {
    arena().release(block, size);
  } else {
    munmap(block, size);
  }
}

#endif

}  // namespace

bool secrets_are_locked() noexcept { return !some_unlocked().load(); }

Secret::Secret(ByteView bytes) : size_(bytes.size()) {
  if (size_ == 0) return;
  data_ = allocate(size_);
  std::memcpy(data_, bytes.data(), size_);
}

Secret Secret::take(std::string&& text) {
  Secret secret{std::string_view(text)};
  secure_wipe(text.data(), text.size());
  text.clear();
  return secret;
}

Secret Secret::take(Bytes&& bytes) {
  Secret secret{ByteView(bytes)};
  secure_wipe(bytes.data(), bytes.size());
  bytes.clear();
  return secret;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Secret::~Secret() { reset(); }

void Secret::reset() noexcept {
  if (data_ == nullptr) return;
  secure_wipe(data_, size_);
  release(std::exchange(data_, nullptr), std::exchange(size_, 0));
}

}  // namespace octroi
