// SPDX-License-Identifier: MIT
// options.hpp - the command line.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

enum class Data { digits, fashion_mnist };

struct Options {
  Data data = Data::digits;
  std::filesystem::path path;          // where the data are; empty: where they usually are
  std::filesystem::path output = ".";  // where the learning curves go
  std::uint64_t seed = 1;
  std::optional<int> epochs;  // left out: what suits the data, see settings() in main.cpp
  std::optional<int> hidden;
  std::optional<int> batch;
  std::optional<float> learning_rate;
  bool quick = false;
  bool help = false;
};

inline constexpr std::string_view usage = R"(usage: digits [options]

Trains two classifiers of small images, softmax regression and a network with one
hidden layer, and reports what they have learnt.

  --data NAME           digits (default): handwritten digits, shipped with the example
                        fashion-mnist: 70,000 pieces of clothing
  --path DIR            folder of the data
  --output DIR          folder for the learning curves (default: the current one)
  --epochs N            passes over the training images
  --hidden N            width of the hidden layer
  --batch N             images per step
  --learning-rate X     size of the first steps; it falls linearly to 0
  --seed N              of the split, the weights and the order (default: 1)
  --quick               two epochs only, to see that everything works
  --help                this text
)";

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class Integer>
Integer parse_integer(const std::string& flag, const std::string& text, Integer lowest) {
  Integer value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < lowest) {
    throw UsageError(flag + " needs a whole number from " + std::to_string(lowest) + " on, not '" + text + "'");
  }
  return value;
}

inline float parse_rate(const std::string& flag, const std::string& text) {
  char* stop = nullptr;
  const float value = std::strtof(text.c_str(), &stop);
  if (text.empty() || *stop != '\0' || !std::isfinite(value) || value <= 0) {
    throw UsageError(flag + " needs a number above 0, not '" + text + "'");
  }
  return value;
}

inline Data parse_data(const std::string& text) {
  if (text == "digits") return Data::digits;
  if (text == "fashion-mnist") return Data::fashion_mnist;
  throw UsageError("--data knows digits and fashion-mnist, not '" + text + "'");
}

inline Options parse_options(int argc, const char* const* argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) throw UsageError(flag + " needs a value");
      return argv[++i];
    };
    if (flag == "--help" || flag == "-h")
      options.help = true;
    else if (flag == "--quick")
      options.quick = true;
    else if (flag == "--data")
      options.data = parse_data(value());
    else if (flag == "--path")
      options.path = value();
    else if (flag == "--output")
      options.output = value();
    else if (flag == "--seed")
      options.seed = parse_integer<std::uint64_t>(flag, value(), 0);
    else if (flag == "--epochs")
      options.epochs = parse_integer(flag, value(), 1);
    else if (flag == "--hidden")
      options.hidden = parse_integer(flag, value(), 1);
    else if (flag == "--batch")
      options.batch = parse_integer(flag, value(), 1);
    else if (flag == "--learning-rate")
      options.learning_rate = parse_rate(flag, value());
    else
      throw UsageError("unknown option '" + flag + "'");
  }
  return options;
}
