#include "octroi/base/metrics.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <set>
#include <type_traits>

#include <fmt/format.h>

namespace octroi {

void Histogram::observe_micros(std::int64_t micros) noexcept {
  const auto bound = std::lower_bound(kBoundsMicros.begin(), kBoundsMicros.end(), micros);
  buckets_[static_cast<std::size_t>(bound - kBoundsMicros.begin())].add();
  sum_.add(std::max<std::int64_t>(micros, 0));
}

Histogram::Snapshot Histogram::snapshot() const noexcept {
  Snapshot s;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    s.buckets[i] = buckets_[i].value();
    s.count += s.buckets[i];
  }
  s.sum_micros = sum_.value();
  return s;
}

struct MetricRegistry::Family {
  Type type = Type::counter;
  std::string help;
  // By the text of the labels ("service=\"weather\"", empty for none). Cells are owned by pointer
  // because callers keep references.
  std::map<std::string, std::unique_ptr<Counter>> counters;
  std::map<std::string, std::unique_ptr<Gauge>> gauges;
  std::map<std::string, std::unique_ptr<Histogram>> histograms;
  std::set<std::string> hidden;

  template <class T>
  auto& cells() {
    if constexpr (std::is_same_v<T, Counter>) {
      return counters;
    } else if constexpr (std::is_same_v<T, Gauge>) {
      return gauges;
    } else {
      return histograms;
    }
  }
};

namespace {

/// Text format 0.0.4: backslash and line feed are escaped in help, and the quote in label values.
std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string label_text(Labels labels) {
  std::sort(labels.begin(), labels.end());
  std::string out;
  for (const auto& [key, value] : labels) {
    if (!out.empty()) out += ',';
    fmt::format_to(std::back_inserter(out), "{}=\"{}\"", key, escaped(value, true));
  }
  return out;
}

/// What label_text() wrote, read back: cells are many, and their labels are kept once.
Labels labels_of(std::string_view text) {
  Labels out;
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    std::pair<std::string, std::string> label(text.substr(0, equals), "");
    text.remove_prefix(equals + 2);
    for (; text.front() != '"'; text.remove_prefix(1)) {
      if (text.front() != '\\') {
        label.second += text.front();
        continue;
      }
      text.remove_prefix(1);
      label.second += text.front() == 'n' ? '\n' : text.front();
    }
    text.remove_prefix(text.size() > 1 ? 2 : 1);  // the quote, and a comma
    out.push_back(std::move(label));
  }
  return out;
}

/// Microseconds as decimal seconds without trailing zeros.
std::string seconds_text(std::int64_t micros) {
  std::string out = fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

void write_sample(std::string& out, std::string_view name, std::string_view labels,
                  std::int64_t value) {
  if (labels.empty()) {
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
  } else {
    fmt::format_to(std::back_inserter(out), "{}{{{}}} {}\n", name, labels, value);
  }
}

void write_histogram(std::string& out, std::string_view name, const std::string& labels,
                     const Histogram::Snapshot& s) {
  const std::string comma = labels.empty() ? "" : ",";
  std::int64_t below = 0;
  for (std::size_t i = 0; i < s.buckets.size(); ++i) {
    below += s.buckets[i];
    const std::string bound = i < Histogram::kBoundsMicros.size()
                                  ? seconds_text(Histogram::kBoundsMicros[i])
                                  : std::string("+Inf");
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma,
                   bound, below);
  }
  const std::string braces = labels.empty() ? "" : "{" + labels + "}";
  fmt::format_to(std::back_inserter(out), "{}_sum{} {}\n{}_count{} {}\n", name, braces,
                 seconds_text(s.sum_micros), name, braces, s.count);
}

}  // namespace

template <class T>
T& MetricRegistry::cell(Type type, std::string_view name, std::string_view help, Labels labels) {
  const std::string key = label_text(std::move(labels));
  const std::lock_guard lock(mutex_);
  auto& family = families_[std::string(name)];
  if (!family) {
    family = std::make_shared<Family>();
    family->type = type;
    family->help = std::string(help);
  }
  if (family->type != type) {
    // One name with two types is a mistake in the program that no input can cause.
    std::fputs("octroi: a metric is registered twice with different types\n", stderr);
    std::abort();
  }
  family->hidden.erase(key);
  auto& slot = family->template cells<T>()[key];
  if (!slot) slot = std::make_unique<T>();
  return *slot;
}

Counter& MetricRegistry::counter(std::string_view name, std::string_view help, Labels labels) {
  return cell<Counter>(Type::counter, name, help, std::move(labels));
}
Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, Labels labels) {
  return cell<Gauge>(Type::gauge, name, help, std::move(labels));
}
Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help, Labels labels) {
  return cell<Histogram>(Type::histogram, name, help, std::move(labels));
}

void MetricRegistry::hide(std::string_view name, Labels labels) {
  std::string key = label_text(std::move(labels));
  const std::lock_guard lock(mutex_);
  if (const auto found = families_.find(name); found != families_.end())
    found->second->hidden.insert(std::move(key));
}

std::string MetricRegistry::exposition() const {
  static constexpr std::array<std::string_view, 3> kTypeNames = {"counter", "gauge", "histogram"};
  std::string out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name,
                   escaped(family->help, false), name,
                   kTypeNames[static_cast<std::size_t>(family->type)]);
    const auto shown = [&f = *family](const std::string& labels) {
      return !f.hidden.contains(labels);
    };
    for (const auto& [labels, counter] : family->counters) {
      if (shown(labels)) write_sample(out, name, labels, counter->value());
    }
    for (const auto& [labels, gauge] : family->gauges) {
      if (shown(labels)) write_sample(out, name, labels, gauge->value());
    }
    for (const auto& [labels, histogram] : family->histograms) {
      if (shown(labels)) write_histogram(out, name, labels, histogram->snapshot());
    }
  }
  return out;
}

std::vector<MetricFamily> MetricRegistry::snapshot() const {
  std::vector<MetricFamily> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    MetricFamily made{family->type, name, family->help, {}};
    const auto add = [&](const std::string& labels, std::int64_t value,
                         const Histogram::Snapshot& histogram) {
      if (!family->hidden.contains(labels))
        made.points.push_back({labels_of(labels), value, histogram});
    };
    for (const auto& [labels, counter] : family->counters) add(labels, counter->value(), {});
    for (const auto& [labels, gauge] : family->gauges) add(labels, gauge->value(), {});
    for (const auto& [labels, histogram] : family->histograms)
      add(labels, 0, histogram->snapshot());
    if (!made.points.empty()) out.push_back(std::move(made));
  }
  return out;
}

}  // namespace octroi
