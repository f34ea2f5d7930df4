// SPDX-License-Identifier: MIT
// digits - two classifiers of small images, trained with xent and plain Eigen.
//
// Softmax regression gives each class a weight per pixel; the network first makes features of its own out of the
// pixels. Both end in logits, one per class, and both learn from nothing but xent::softmax_cross_entropy_with_gradient.
#include "curves.hpp"
#include "data.hpp"
#include "network.hpp"
#include "options.hpp"
#include "random.hpp"
#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace {

struct Settings {
  int epochs, hidden, batch;
  float learning_rate;
};

Settings settings(const Options& options) {
  const Settings usual = options.data == Data::digits ? Settings{60, 100, 20, 0.02f} : Settings{12, 160, 100, 0.002f};
  return {options.epochs.value_or(options.quick ? 2 : usual.epochs), options.hidden.value_or(usual.hidden),
          options.batch.value_or(usual.batch), options.learning_rate.value_or(usual.learning_rate)};
}

/// Every training image once, in a new random order; `rate` falls from step to step.
void train_epoch(Network& network, const Samples& train, Eigen::Index batch, float rate, float rate_at_end,
                 Random& random) {
  const std::vector<Eigen::Index> order = random.permutation(train.size());
  for (Eigen::Index from = 0; from < train.size(); from += batch) {
    const Eigen::Index to = std::min(from + batch, train.size());
    const float part = static_cast<float>(from) / static_cast<float>(train.size());
    network.train(train.pick({order.begin() + from, order.begin() + to}), rate + part * (rate_at_end - rate));
  }
}

Curve run(const std::string& name, const std::vector<Eigen::Index>& sizes, const DataSet& data, const Settings& use,
          Random& random) {
  Network network(sizes, random);
  Curve curve{name, {}, {}};
  const auto measure = [&] {
    curve.train.push_back(loss_in_bits(network, data.train));
    curve.test.push_back(loss_in_bits(network, data.test));
  };
  double seconds = 0;
  {
    const Progress progress(name);
    measure();
    for (int epoch = 1; epoch <= use.epochs; ++epoch) {
      const auto rate = [&](int done) {
        return use.learning_rate * (1 - static_cast<float>(done) / static_cast<float>(use.epochs));
      };
      train_epoch(network, data.train, use.batch, rate(epoch - 1), rate(epoch), random);
      measure();
      progress.show(epoch, use.epochs, curve.train.back());
    }
    seconds = progress.seconds();
  }
  std::printf("%s: %td parameters, %d epochs in %.1f s\n", name.c_str(), network.parameters(), use.epochs, seconds);
  const Evaluation test(network, data.test, static_cast<Eigen::Index>(data.classes.size()));
  print_losses(test);
  print_confusion(test.confusion, data.classes);
  return curve;
}

void save_curves(const Options& options, const DataSet& data, const std::vector<Curve>& curves) {
  const std::string name = options.data == Data::digits ? "digits" : "fashion-mnist";
  const std::filesystem::path table = options.output / (name + "-curves.tsv");
  const std::filesystem::path picture = options.output / (name + "-curves.svg");
  write_table(table, curves);
  if (draw(table, picture, data.title + ": learning curves", curves, data.classes.size())) {
    std::printf("learning curves: %s\n", picture.c_str());
  } else {
    std::printf("learning curves: %s (a table only: gnuplot, which draws it, is missing or failed)\n", table.c_str());
  }
}

void demo(const Options& options) {
  std::filesystem::create_directories(options.output);  // before the work, lest it be for nothing
  Random random(options.seed);
  const DataSet data = load(options, random);
  const Settings use = settings(options);
  const Eigen::Index pixels = data.train.images.cols();
  const auto classes = static_cast<Eigen::Index>(data.classes.size());
  std::printf("%s: %td images to learn from, %td to test on, %td pixels, %td classes\n\n", data.title.c_str(),
              data.train.size(), data.test.size(), pixels, classes);

  const std::vector<Curve> curves{
      run("softmax regression", {pixels, classes}, data, use, random),
      run("one hidden layer of " + std::to_string(use.hidden), {pixels, use.hidden, classes}, data, use, random)};
  save_curves(options, data, curves);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse_options(argc, argv);
    if (options.help)
      std::fputs(usage.data(), stdout);
    else
      demo(options);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "digits: %s; see digits --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "digits: %s\n", error.what());
    return 1;
  }
}
