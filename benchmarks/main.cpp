// SPDX-License-Identifier: MIT
// One process measures one group: a workload in one mode, with every peer that was built and the limits of the machine.
// Google Benchmark takes their repetitions in random order. run.py starts one process after another.
//
//     xent-benchmarks                                      the names of all groups
//     xent-benchmarks labels-4096x1000/gradient [FLAGS]    one of them; FLAGS are Google Benchmark's
#include "peer.hpp"

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string_view>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace bench {

namespace {

// --- workloads ---------------------------------------------------------------------------------------------------------

enum class Target { labels, targets, none };

struct Traits {
  bool in_place = false;  // measured in place as well
  bool columns = false;   // column-major
  bool wide = false;      // double instead of float
  bool options = false;   // xent with one option after another instead of peers
};

struct Workload {
  const char* name;
  Function function;
  Target target;
  Index rows, classes;
  Traits traits = {};
};

constexpr Workload workloads[] = {
    {"labels-60000x10", Function::cross_entropy, Target::labels, 60000, 10},
    {"labels-4096x1000", Function::cross_entropy, Target::labels, 4096, 1000},
    {"labels-256x50257", Function::cross_entropy, Target::labels, 256, 50257, {.in_place = true}},
    {"labels-64x128256", Function::cross_entropy, Target::labels, 64, 128256},
    {"labels-1000000x2", Function::cross_entropy, Target::labels, 1000000, 2},
    {"labels-1000000x3", Function::cross_entropy, Target::labels, 1000000, 3},
    {"labels-1000000x5", Function::cross_entropy, Target::labels, 1000000, 5},
    {"labels-32x10", Function::cross_entropy, Target::labels, 32, 10},
    {"labels-60000x10-columns", Function::cross_entropy, Target::labels, 60000, 10, {.columns = true}},
    {"labels-4096x1000-columns", Function::cross_entropy, Target::labels, 4096, 1000, {.columns = true}},
    {"labels-256x50257-columns", Function::cross_entropy, Target::labels, 256, 50257, {.columns = true}},
    {"labels-4096x1000-double", Function::cross_entropy, Target::labels, 4096, 1000, {.wide = true}},
    {"targets-4096x1000", Function::cross_entropy, Target::targets, 4096, 1000},
    {"binary-10000000", Function::binary, Target::targets, 10000000, 1},
    {"softmax-4096x1000", Function::softmax, Target::none, 4096, 1000},
    {"log_softmax-4096x1000", Function::log_softmax, Target::none, 4096, 1000},
    {"logsumexp-4096x1000", Function::logsumexp, Target::none, 4096, 1000},
    {"options-4096x1000", Function::cross_entropy, Target::labels, 4096, 1000, {.options = true}},
    {"options-60000x10", Function::cross_entropy, Target::labels, 60000, 10, {.options = true}},
};

std::vector<std::string> modes(const Workload& workload) {
  if (workload.target == Target::none) return {"values"};
  if (workload.traits.in_place) return {"loss", "gradient", "in-place"};
  return {"loss", "gradient"};
}

// --- data --------------------------------------------------------------------------------------------------------------

template <class Scalar>
using Array = std::unique_ptr<Scalar[], decltype(&std::free)>;

/// Lies on a cache line, has been written to.
template <class Scalar>
Array<Scalar> new_array(Index size) {
  const std::size_t bytes = (std::size_t(size) * sizeof(Scalar) + 63) / 64 * 64;
  void* memory = std::aligned_alloc(64, bytes);
  std::memset(memory, 0, bytes);
  return {static_cast<Scalar*>(memory), &std::free};
}

/// Normal logits of standard deviation 2 with labels drawn evenly: no class is easy to predict, for processors too.
template <class Scalar>
struct Data {
  explicit Data(const Workload& w)
      : size(w.rows * w.classes),
        logits(new_array<Scalar>(size)),
        original(new_array<Scalar>(size)),
        out(new_array<Scalar>(size)),
        expected(new_array<Scalar>(size)),
        labels(w.target == Target::labels ? new_array<std::int64_t>(w.rows) : Array<std::int64_t>(nullptr, &std::free)),
        targets(w.target == Target::targets ? new_array<Scalar>(size) : Array<Scalar>(nullptr, &std::free)) {
    std::minstd_rand random(1);
    std::normal_distribution<float> normal(0, 2);
    for (Index k = 0; k < size; ++k) original[std::size_t(k)] = Scalar(normal(random));
    if (labels) draw_labels(w, random);
    if (targets) draw_targets(w, random);
    restore();
  }

  void draw_labels(const Workload& w, std::minstd_rand& random) {
    std::uniform_int_distribution<std::int64_t> label(0, w.classes - 1);
    std::generate_n(labels.get(), w.rows, [&] { return label(random); });
  }

  /// Distributions over the classes, or probabilities where there is one class.
  void draw_targets(const Workload& w, std::minstd_rand& random) {
    std::uniform_real_distribution<float> weight(0, 1);
    for (Index i = 0; i < w.rows; ++i) {
      const std::span<Scalar> row(targets.get() + i * w.classes, std::size_t(w.classes));
      double sum = 0;
      for (Scalar& t : row) sum += double(t = Scalar(weight(random)));
      if (w.classes > 1) {
        for (Scalar& t : row) t = Scalar(double(t) / sum);
      }
    }
  }

  void restore() { std::copy_n(original.get(), size, logits.get()); }

  Index size;
  Array<Scalar> logits, original, out, expected;
  Array<std::int64_t> labels;
  Array<Scalar> targets;
};

// --- peers -------------------------------------------------------------------------------------------------------------

template <class Scalar>
Ways peers(const Problem<Scalar>& problem) {
  Ways all = xent_ways(problem);
  const auto append = [&](Ways more) {
    for (Way& way : more) all.push_back(std::move(way));
  };
  append(eigen_ways(problem));
  append(eigen_native_ways(problem));
#ifdef HAVE_TORCH
  append(torch_ways(problem));
#endif
#ifdef HAVE_ONEDNN
  append(onednn_ways(problem));
#endif
  return all;
}

constexpr double tolerance = 1e-4;

/// What is wrong with a way, by comparison with the first one's loss and result; empty if nothing is.
template <class Scalar>
std::string fault(const Way& way, const Problem<Scalar>& problem, Data<Scalar>& data, std::optional<double>& loss) {
  data.restore();
  if (!problem.in_place()) std::fill_n(data.out.get(), data.size, std::numeric_limits<Scalar>::quiet_NaN());
  const double value = way.run();
  if (way.deliver) way.deliver();
  const Index written = problem.function == Function::logsumexp ? problem.rows : problem.size();
  const bool has_result = problem.gradient || problem.function > Function::binary;
  if (!loss) {
    loss = value;
    std::copy_n(problem.out, written, data.expected.get());
    return {};
  }
  if (!(std::abs(value - *loss) <= tolerance * std::abs(*loss))) {
    return "loss " + std::to_string(value) + " instead of " + std::to_string(*loss);
  }
  if (!has_result) return {};
  double largest = 0, difference = 0;
  for (Index k = 0; k < written; ++k) {
    const double expected = double(data.expected[std::size_t(k)]), apart = std::abs(double(problem.out[k]) - expected);
    largest = std::max(largest, std::abs(expected));
    if (!(apart <= difference)) difference = apart;  // a NaN stays
  }
  if (difference <= tolerance * largest) return {};
  return "results differ by " + std::to_string(difference / largest) + " of the largest";
}

// --- measuring ---------------------------------------------------------------------------------------------------------

void add(const Way& way, const std::string& error = {}) {
  benchmark::RegisterBenchmark(way.name.c_str(),
                               [=](benchmark::State& state) {
                                 if (!error.empty()) return state.SkipWithError(error.c_str());
                                 for (auto _ : state) benchmark::DoNotOptimize(way.run());
                               })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

/// Bytes that have to be moved: inputs read once, outputs written once.
template <class Scalar>
Index useful_bytes(const Problem<Scalar>& p) {
  const Index array = p.size() * Index(sizeof(Scalar));
  Index bytes = array;
  if (p.labels != nullptr) bytes += p.rows * Index(sizeof(std::int64_t));
  if (p.targets != nullptr) bytes += array;
  if (p.function == Function::logsumexp) return bytes + p.rows * Index(sizeof(Scalar));
  return p.gradient || p.function > Function::binary ? bytes + array : bytes;
}

void describe(const std::string& group, Index bytes) {
  benchmark::AddCustomContext("group", group);
  benchmark::AddCustomContext("bytes", std::to_string(bytes));
  benchmark::AddCustomContext("compiler", COMPILER);
  benchmark::AddCustomContext("flags", FLAGS);
  benchmark::AddCustomContext("Eigen", std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) +
                                           "." + std::to_string(EIGEN_MINOR_VERSION));
#ifdef HAVE_TORCH
  benchmark::AddCustomContext("torch", torch_version());
#endif
#ifdef HAVE_ONEDNN
  benchmark::AddCustomContext("oneDNN", onednn_version());
#endif
}

template <class Scalar>
void measure(const Workload& workload, const std::string& mode) {
  Data<Scalar> data(workload);
  Scalar* const out = mode == "in-place" ? data.logits.get() : data.out.get();
  const Problem<Scalar> problem{workload.function,
                                mode != "loss" && mode != "values",
                                workload.traits.columns,
                                workload.rows,
                                workload.classes,
                                data.logits.get(),
                                data.labels.get(),
                                data.targets.get(),
                                out};
  describe(std::string(workload.name) + "/" + mode, useful_bytes(problem));
  if (workload.traits.options) {
    for (const Way& way : xent_option_ways(problem)) add(way);
  } else {
    std::optional<double> loss;
    const Ways ways = peers(problem);
    for (const Way& way : ways) {
      const std::string error = fault(way, problem, data, loss);
      if (!error.empty()) {
        std::fprintf(stderr, "%s/%s: %s: %s\n", workload.name, mode.c_str(), way.name.c_str(), error.c_str());
      }
      add(way, error);
    }
    // By turns, until the allocator has room for all of them.
    for (int round = 0; round < 2; ++round) {
      for (const Way& way : ways) way.run();
    }
    for (const Way& way : limit_ways(problem)) add(way);
  }
  // In place, the gradient of one run is the logits of the next. That is as much work, and as many exponentials.
  data.restore();
  benchmark::RunSpecifiedBenchmarks();
}

bool measure_group(std::string_view group) {
  for (const Workload& workload : workloads) {
    for (const std::string& mode : modes(workload)) {
      if (group != std::string(workload.name) + "/" + mode) continue;
      if (workload.traits.wide) {
        measure<double>(workload, mode);
      } else {
        measure<float>(workload, mode);
      }
      return true;
    }
  }
  return false;
}

/// Freed memory stays with the process: what peers allocate in every call costs them no page faults.
void keep_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);  // a threshold for mmap would be refused above 32 MB
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace

}  // namespace bench

int main(int count, char** arguments) {
  bench::keep_memory();
  if (count < 2) {
    for (const auto& workload : bench::workloads) {
      for (const std::string& mode : bench::modes(workload)) std::printf("%s/%s\n", workload.name, mode.c_str());
    }
    return 0;
  }
  const std::string group = arguments[1];
  arguments[1] = arguments[0];
  benchmark::Initialize(&(--count), ++arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 2;
  if (bench::measure_group(group)) return 0;
  std::fprintf(stderr, "no group is named %s\n", group.c_str());
  return 2;
}
