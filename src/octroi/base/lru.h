// octroi/base/lru.h: a map of bounded size that forgets what was used longest ago.
//
// Thread: one; every worker has its own.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <unordered_map>
#include <utility>

namespace octroi {

template <class Key, class Value, class Hash = std::hash<Key>>
class LruCache {
 public:
  /// A capacity of 0 keeps nothing.
  explicit LruCache(std::size_t capacity) : capacity_(capacity) {}

  /// The value, now the most recently used; null when absent. Valid until the next put or erase.
  [[nodiscard]] Value* find(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  /// Inserts or replaces, and drops the least recently used when full.
  void put(const Key& key, Value value) {
    if (capacity_ == 0) return;
    if (Value* present = find(key); present != nullptr) {
      *present = std::move(value);
      return;
    }
    if (index_.size() >= capacity_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(key, std::move(value));
    index_.emplace(key, order_.begin());
  }

  bool erase(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return false;
    order_.erase(found->second);
    index_.erase(found);
    return true;
  }

  /// Erases every entry for which the predicate (const Key&, const Value&) holds; how many.
  template <class Predicate>
  std::size_t erase_if(Predicate predicate) {
    std::size_t erased = 0;
    for (auto it = order_.begin(); it != order_.end();) {
      if (!predicate(std::as_const(it->first), std::as_const(it->second))) {
        ++it;
        continue;
      }
      index_.erase(it->first);
      it = order_.erase(it);
      ++erased;
    }
    return erased;
  }

  void clear() {
    index_.clear();
    order_.clear();
  }
  [[nodiscard]] std::size_t size() const { return index_.size(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  using Order = std::list<std::pair<Key, Value>>;
  std::size_t capacity_;
  Order order_;  // most recently used first
  std::unordered_map<Key, typename Order::iterator, Hash> index_;
};

}  // namespace octroi
