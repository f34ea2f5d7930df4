// SPDX-License-Identifier: MIT
// network.hpp - layers of weights with max(0, .) between them, and their training.
#pragma once

#include "data.hpp"
#include "random.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <cmath>
#include <utility>
#include <vector>

/// A tensor to be learnt, with Adam's running means of its gradient and of the gradient's square.
struct Parameter {
  explicit Parameter(Matrix start)
      : value(std::move(start)), gradient(Matrix::Zero(value.rows(), value.cols())), mean(gradient), square(gradient) {}

  void step(float rate, int time) {
    constexpr float b1 = 0.9f, b2 = 0.999f;
    mean = b1 * mean + (1 - b1) * gradient;
    square = b2 * square + (1 - b2) * gradient.cwiseAbs2();
    // Both means start at zero; dividing by what is missing from their weights takes that bias out.
    const float unbias =
        std::sqrt(1 - std::pow(b2, static_cast<float>(time))) / (1 - std::pow(b1, static_cast<float>(time)));
    value.array() -= rate * unbias * mean.array() / (square.array().sqrt() + 1e-8f);
  }

  Matrix value, gradient, mean, square;
};

struct Layer {
  explicit Layer(Matrix start) : weight(std::move(start)), bias(Matrix::Zero(1, weight.value.cols())) {}

  Matrix operator()(const Matrix& input) const { return (input * weight.value).rowwise() + bias.value.row(0); }

  Parameter weight, bias;
};

/// Sizes {64, 10} make softmax regression, {64, 100, 10} a network with one hidden layer.
class Network {
 public:
  Network(const std::vector<Eigen::Index>& sizes, Random& random) {
    for (std::size_t k = 2; k < sizes.size(); ++k)
      layers_.emplace_back(random_weights(sizes[k - 2], sizes[k - 1], random));
    // From zeros the logits are all equal: the network starts by saying that it knows nothing.
    layers_.emplace_back(Matrix::Zero(sizes[sizes.size() - 2], sizes.back()));
  }

  /// N x classes. The softmax is left to the loss.
  Matrix logits(const Matrix& images) const { return std::move(forward(images).back()); }

  /// One step of Adam on one batch. A little label smoothing keeps the logits of images long learnt from growing on.
  void train(const Samples& batch, float rate) {
    std::vector<Matrix> values = forward(batch.images);
    // The gradient takes the place of the logits, which are not needed any more.
    xent::softmax_cross_entropy_with_gradient(values.back(), batch.labels, values.back(), {.label_smoothing = 0.01f});
    backward(batch.images, values);
    ++time_;
    for (Layer& layer : layers_) {
      layer.weight.step(rate, time_);
      layer.bias.step(rate, time_);
    }
  }

  Eigen::Index parameters() const {
    Eigen::Index count = 0;
    for (const Layer& layer : layers_) count += layer.weight.value.size() + layer.bias.value.size();
    return count;
  }

 private:
  /// Uniform, of the size that lets signals through max(0, .) without growing or fading (He et al. 2015).
  static Matrix random_weights(Eigen::Index inputs, Eigen::Index outputs, Random& random) {
    const float limit = std::sqrt(6 / static_cast<float>(inputs));
    Matrix weights(inputs, outputs);
    for (float& weight : weights.reshaped()) weight = limit * (2 * random.uniform() - 1);
    return weights;
  }

  /// What leaves each layer.
  std::vector<Matrix> forward(const Matrix& images) const {
    std::vector<Matrix> values;
    for (const Layer& layer : layers_) {
      Matrix next = values.empty() ? layer(images) : layer(values.back());
      if (&layer != &layers_.back()) next = next.cwiseMax(0);
      values.push_back(std::move(next));
    }
    return values;
  }

  /// From the gradient of the logits in values.back() to those of the parameters, last layer first.
  void backward(const Matrix& images, std::vector<Matrix>& values) {
    for (std::size_t k = layers_.size(); k-- > 0;) {
      const Matrix& gradient = values[k];
      layers_[k].weight.gradient.noalias() = (k > 0 ? values[k - 1] : images).transpose() * gradient;
      layers_[k].bias.gradient = gradient.colwise().sum();
      if (k == 0) break;
      const Matrix open = (values[k - 1].array() > 0).cast<float>();  // where max(0, .) lets a gradient pass
      values[k - 1].noalias() = gradient * layers_[k].weight.value.transpose();
      values[k - 1].array() *= open.array();
    }
  }

  std::vector<Layer> layers_;
  int time_ = 0;
};
