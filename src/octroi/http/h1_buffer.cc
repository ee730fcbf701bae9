#include "octroi/http/h1_buffer.h"

#include <vector>

namespace octroi::http::h1 {

namespace {
constexpr std::size_t kKeptBlocks = 256;  // 4 MiB a thread
std::vector<Block>& spare_blocks() {
  thread_local std::vector<Block> blocks;
  return blocks;
}
}  // namespace

Block take_block() {
  auto& spare = spare_blocks();
  if (spare.empty()) return std::make_unique_for_overwrite<std::uint8_t[]>(kBlockSize);
  Block block = std::move(spare.back());
  spare.pop_back();
  return block;
}

void give_block(Block block) noexcept {
  auto& spare = spare_blocks();
  if (spare.capacity() == 0) spare.reserve(kKeptBlocks);
  if (spare.size() < kKeptBlocks) spare.push_back(std::move(block));
}

std::span<std::uint8_t> ReadBuffer::room() {
  if (!data_) {
    data_ = take_block();
    capacity_ = kBlockSize;
  }
  if (end_ == capacity_ && begin_ > 0) {
    std::memmove(data_.get(), data_.get() + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_) {
    auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity_ * 2);
    std::memcpy(larger.get(), data_.get(), end_);
    if (capacity_ == kBlockSize) give_block(std::move(data_));
    data_ = std::move(larger);
    capacity_ *= 2;
  }
  return {data_.get() + end_, capacity_ - end_};
}

void ReadBuffer::drop() noexcept {
  if (data_ && capacity_ == kBlockSize) give_block(std::move(data_));
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

void OutBuffer::grow(std::size_t more) {
  const std::size_t wanted = std::max<std::size_t>({size_ + more, capacity_ * 2, 1024});
  auto larger = std::make_unique_for_overwrite<char[]>(wanted);
  if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
  data_ = std::move(larger);
  capacity_ = wanted;
}

}  // namespace octroi::http::h1
