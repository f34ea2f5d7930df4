// SPDX-License-Identifier: MIT
// oneDNN has softmax and log-softmax, forward and backward, but no cross-entropy: picking the labels' values and
// scattering their gradient is the caller's part. Two ways: log-softmax with its backward primitive, and softmax straight
// into the gradient, which the caller scales and subtracts from.
#include "peer.hpp"

#include <oneapi/dnnl/dnnl.hpp>
#include <oneapi/dnnl/dnnl_version.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace bench {

namespace {

using dnnl::algorithm;
using dnnl::memory;

/// Softmax or its logarithm over the classes, and the way back.
class Softmax {
 public:
  Softmax(const Problem<float>& p, algorithm kind)
      : shape_({p.rows, p.classes}, memory::data_type::f32, memory::format_tag::ab) {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::softmax_forward::primitive_desc forward(engine_, dnnl::prop_kind::forward_training, kind, shape_,
                                                        shape_, 1);
    forward_ = dnnl::softmax_forward(forward);
    backward_ = dnnl::softmax_backward({engine_, kind, shape_, shape_, shape_, 1, forward});
#else
    const dnnl::softmax_v2_forward::primitive_desc forward({dnnl::prop_kind::forward_training, kind, shape_, shape_, 1},
                                                           engine_);
    forward_ = dnnl::softmax_v2_forward(forward);
    backward_ = dnnl::softmax_v2_backward({{kind, shape_, shape_, shape_, 1}, engine_, forward});
#endif
  }

  memory array() const { return memory(shape_, engine_); }
  memory array(const float* data) const { return memory(shape_, engine_, const_cast<float*>(data)); }

  void forward(const memory& from, const memory& to) {
    forward_.execute(stream_, {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}});
    stream_.wait();
  }

  void backward(const memory& values, const memory& slope, const memory& to) {
    backward_.execute(stream_, {{DNNL_ARG_DST, values}, {DNNL_ARG_DIFF_DST, slope}, {DNNL_ARG_DIFF_SRC, to}});
    stream_.wait();
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory::desc shape_;
  dnnl::primitive forward_, backward_;
};

float* data(const memory& array) { return static_cast<float*>(array.get_data_handle()); }

/// Where each row has the entry of its label.
struct AtLabels {
  explicit AtLabels(const Problem<float>& p) : labels(p.labels), rows(p.rows), classes(p.classes) {}

  Index at(Index i) const { return i * classes + labels[i]; }

  double minus_mean(const float* log_probs) const {
    double sum = 0;
    for (Index i = 0; i < rows; ++i) sum -= log_probs[at(i)];
    return sum / double(rows);
  }

  double minus_mean_log(const float* probs) const {
    double sum = 0;
    for (Index i = 0; i < rows; ++i) sum -= std::log(probs[at(i)]);
    return sum / double(rows);
  }

  const std::int64_t* labels;
  Index rows, classes;
};

std::function<double()> by_log_softmax(const Problem<float>& p) {
  auto softmax = std::make_shared<Softmax>(p, algorithm::softmax_log);
  const memory logits = softmax->array(p.logits), log_probs = softmax->array();
  const AtLabels labels(p);
  const auto forward = [=] {
    softmax->forward(logits, log_probs);
    return labels.minus_mean(data(log_probs));
  };
  if (!p.gradient) return forward;
  const memory slope = softmax->array(), out = softmax->array(p.out);
  std::fill_n(data(slope), p.size(), 0.0f);
  return [=] {
    const double loss = forward();
    for (Index i = 0; i < labels.rows; ++i) data(slope)[labels.at(i)] = -1.0f / float(labels.rows);
    softmax->backward(log_probs, slope, out);
    for (Index i = 0; i < labels.rows; ++i) data(slope)[labels.at(i)] = 0;  // cheaper than to clear all of it
    return loss;
  };
}

std::function<double()> by_softmax(const Problem<float>& p) {
  auto softmax = std::make_shared<Softmax>(p, algorithm::softmax_accurate);
  const memory logits = softmax->array(p.logits), out = p.gradient ? softmax->array(p.out) : softmax->array();
  const AtLabels labels(p);
  const auto forward = [=] {
    softmax->forward(logits, out);
    return labels.minus_mean_log(data(out));
  };
  if (!p.gradient) return forward;
  return [=, size = p.size(), gradient = p.out] {
    const double loss = forward();
    const float share = 1.0f / float(labels.rows);
    for (Index k = 0; k < size; ++k) gradient[k] *= share;
    for (Index i = 0; i < labels.rows; ++i) gradient[labels.at(i)] -= share;
    return loss;
  };
}

std::function<double()> function(const Problem<float>& p, algorithm kind) {
  auto softmax = std::make_shared<Softmax>(p, kind);
  return [=, logits = softmax->array(p.logits), out = softmax->array(p.out)] {
    softmax->forward(logits, out);
    return 0.0;
  };
}

}  // namespace

template <>
Ways onednn_ways(const Problem<float>& p) {
  if (p.columns) return {};  // only its slow reference implementation has strides between the classes
  switch (p.function) {
    case Function::softmax:
      return {{"onednn:softmax", function(p, algorithm::softmax_accurate)}};
    case Function::log_softmax:
      return {{"onednn:logsoftmax", function(p, algorithm::softmax_log)}};
    case Function::cross_entropy:
      if (p.labels == nullptr) return {};
      return {{"onednn:logsoftmax", by_log_softmax(p)}, {"onednn:softmax", by_softmax(p)}};
    default:
      return {};
  }
}

/// oneDNN's softmax knows no double on processors.
template <>
Ways onednn_ways(const Problem<double>&) {
  return {};
}

std::string onednn_version() {
  const dnnl::version_t* version = dnnl::version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
}

}  // namespace bench
