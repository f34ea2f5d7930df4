// SPDX-License-Identifier: MIT
// data.hpp - labelled images, and how they come from the disk.
#pragma once

#include "idx.hpp"
#include "options.hpp"
#include "random.hpp"

#include <Eigen/Core>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// One image per row, so that a batch is a handful of rows and each of them lies in one piece.
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Labels = Eigen::VectorXi;

struct Samples {
  Matrix images;  // N x pixels, in [0, 1]
  Labels labels;  // N class indices

  Eigen::Index size() const { return images.rows(); }
  Samples pick(const std::vector<Eigen::Index>& rows) const {
    return {images(rows, Eigen::seqN(0, images.cols())), labels(rows)};
  }
};

struct DataSet {
  std::string title;
  std::vector<std::string> classes;
  Samples train, test;
};

// --- handwritten digits: text, 64 pixels from 0 to 16 and the digit in every line ---------------------------------

inline std::vector<int> parse_csv_line(const std::string& line, const std::string& where) {
  std::vector<int> fields;
  const char* at = line.data();
  const char* const end = at + line.size();
  while (true) {
    int value = 0;
    const auto [stop, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (stop != end && *stop != ',')) {
      throw std::runtime_error(where + ": field " + std::to_string(fields.size() + 1) + " is not a whole number");
    }
    fields.push_back(value);
    if (stop == end) return fields;
    at = stop + 1;
  }
}

inline void check_digit(const std::vector<int>& fields, const std::string& where) {
  if (fields.size() != 65) {
    throw std::runtime_error(where + ": " + std::to_string(fields.size()) + " fields, expected 64 pixels and a digit");
  }
  for (std::size_t k = 0; k < 64; ++k) {
    if (fields[k] < 0 || fields[k] > 16) {
      throw std::runtime_error(where + ": pixel " + std::to_string(fields[k]) + " is outside [0, 16]");
    }
  }
  if (fields[64] < 0 || fields[64] > 9) {
    throw std::runtime_error(where + ": digit " + std::to_string(fields[64]) + " is outside [0, 9]");
  }
}

inline Samples read_digits(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot read " + file.string() + "; --path names the folder of digits.csv");
  std::vector<std::vector<int>> rows;
  for (std::string line; std::getline(stream, line);) {
    const std::string where = file.string() + ":" + std::to_string(rows.size() + 1);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    rows.push_back(parse_csv_line(line, where));
    check_digit(rows.back(), where);
  }
  if (rows.size() < 3) throw std::runtime_error(file.string() + ": too few images to train and to test");

  const auto count = static_cast<Eigen::Index>(rows.size());
  Samples samples{Matrix(count, 64), Labels(count)};
  for (Eigen::Index i = 0; i < count; ++i) {
    const Eigen::Map<const Eigen::RowVectorXi> row(rows[static_cast<std::size_t>(i)].data(), 65);
    samples.images.row(i) = row.head(64).cast<float>() / 16;
    samples.labels(i) = row(64);
  }
  return samples;
}

inline DataSet load_digits(const std::filesystem::path& folder, Random& random) {
  const Samples all = read_digits(folder / "digits.csv");
  const std::vector<Eigen::Index> order = random.permutation(all.size());
  const auto third = order.begin() + static_cast<std::ptrdiff_t>(order.size() / 3);
  return {"handwritten digits",
          {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          all.pick({third, order.end()}),
          all.pick({order.begin(), third})};
}

// --- Fashion-MNIST: four IDX files -----------------------------------------------------------------------------------

inline Samples read_idx_samples(const std::filesystem::path& folder, const std::string& part) {
  const Idx images = read_idx(folder / (part + "-images-idx3-ubyte"), 3);
  const Idx labels = read_idx(folder / (part + "-labels-idx1-ubyte"), 1);
  const Eigen::Index count = images.sizes[0];
  const Eigen::Index pixels = images.sizes[1] * images.sizes[2];
  if (labels.sizes[0] != count) {
    throw std::runtime_error(folder.string() + ": " + std::to_string(count) + " " + part + " images, but " +
                             std::to_string(labels.sizes[0]) + " labels");
  }
  using Bytes = Eigen::Matrix<unsigned char, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Bytes> image_bytes(images.bytes.data(), count, pixels);
  const Eigen::Map<const Bytes> label_bytes(labels.bytes.data(), count, 1);
  return {image_bytes.cast<float>() / 255, label_bytes.cast<int>()};
}

inline DataSet load_fashion_mnist(const std::filesystem::path& folder) {
  DataSet data{"Fashion-MNIST",
               {"T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"},
               read_idx_samples(folder, "train"),
               read_idx_samples(folder, "t10k")};
  for (const Samples* part : {&data.train, &data.test}) {
    if (part->size() == 0 || part->images.cols() != data.train.images.cols() || part->labels.maxCoeff() > 9) {
      throw std::runtime_error(folder.string() + ": not Fashion-MNIST: no images, unequal sizes, or a label above 9");
    }
  }
  return data;
}

// --------------------------------------------------------------------------------------------------------------------

// The build says where the source tree keeps the data; compiled by hand, the program looks below the current folder.
#ifndef XENT_EXAMPLES_DATA_DIR
#define XENT_EXAMPLES_DATA_DIR "examples/data"
#endif

inline DataSet load(const Options& options, Random& random) {
  const bool digits = options.data == Data::digits;
  const std::filesystem::path usual = digits ? XENT_EXAMPLES_DATA_DIR : "/usr/share/datasets/fashion-mnist";
  const std::filesystem::path folder = options.path.empty() ? usual : options.path;
  return digits ? load_digits(folder, random) : load_fashion_mnist(folder);
}
