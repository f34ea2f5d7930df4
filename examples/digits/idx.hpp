// SPDX-License-Identifier: MIT
// idx.hpp - reads IDX, the format of MNIST and its relatives: a magic number, the sizes, then the bytes.
#pragma once

#include <Eigen/Core>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

struct Idx {
  std::vector<Eigen::Index> sizes;
  std::vector<unsigned char> bytes;
};

inline std::vector<unsigned char> read_all(std::FILE* stream) {
  std::vector<unsigned char> content;
  std::vector<unsigned char> block(std::size_t{1} << 20);
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stream)) {
    content.insert(content.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return content;
}

inline std::vector<unsigned char> read_plain(const std::filesystem::path& file) {
  std::FILE* const stream = std::fopen(file.c_str(), "rb");
  if (stream == nullptr) throw std::runtime_error("cannot read " + file.string());
  std::vector<unsigned char> content = read_all(stream);
  const bool failed = std::ferror(stream) != 0;
  std::fclose(stream);
  if (failed) throw std::runtime_error("cannot read " + file.string());
  return content;
}

inline std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Lets gzip unpack: every machine with .gz files has it, and the example stays free of a further library.
inline std::vector<unsigned char> read_gzip(const std::filesystem::path& file) {
  std::FILE* const stream = popen(("gzip -dc < " + shell_quoted(file.string()) + " 2> /dev/null").c_str(), "r");
  if (stream == nullptr) throw std::runtime_error("cannot start gzip to unpack " + file.string());
  std::vector<unsigned char> content = read_all(stream);
  if (pclose(stream) != 0) throw std::runtime_error("gzip cannot unpack " + file.string());
  return content;
}

inline std::vector<unsigned char> read_plain_or_gzip(const std::filesystem::path& file) {
  std::filesystem::path packed = file;
  packed += ".gz";
  if (std::filesystem::exists(file)) return read_plain(file);
  if (std::filesystem::exists(packed)) return read_gzip(packed);
  throw std::runtime_error("no " + packed.string() +
                           "; apt-get install dataset-fashion-mnist, or name its folder by --path");
}

/// Whether `bytes` is the product of the sizes. Dividing instead of multiplying: a broken file cannot make it overflow.
inline bool holds(std::size_t bytes, const std::vector<Eigen::Index>& sizes) {
  for (const Eigen::Index size : sizes) {
    if (size == 0 || bytes % static_cast<std::size_t>(size) != 0) return false;
    bytes /= static_cast<std::size_t>(size);
  }
  return bytes == 1;
}

inline Idx parse_idx(const std::vector<unsigned char>& content, std::size_t dimensions, const std::string& name) {
  const std::size_t header = 4 + 4 * dimensions;
  if (content.size() < header) throw std::runtime_error(name + ": ends within its header");
  // The magic number: two zeros, 8 for unsigned bytes, the number of dimensions.
  if (content[0] != 0 || content[1] != 0 || content[2] != 8 || content[3] != dimensions) {
    throw std::runtime_error(name + ": not an IDX file of bytes with " + std::to_string(dimensions) + " dimension(s)");
  }
  Idx idx;
  for (std::size_t d = 0; d < dimensions; ++d) {
    Eigen::Index size = 0;
    for (std::size_t byte = 0; byte < 4; ++byte) size = size * 256 + content[4 + 4 * d + byte];  // big-endian
    idx.sizes.push_back(size);
  }
  if (!holds(content.size() - header, idx.sizes)) {
    std::string announced;
    for (const Eigen::Index size : idx.sizes) announced += (announced.empty() ? "" : " x ") + std::to_string(size);
    throw std::runtime_error(name + ": its header announces " + announced + " bytes, but " +
                             std::to_string(content.size() - header) + " follow");
  }
  idx.bytes.assign(content.begin() + static_cast<std::ptrdiff_t>(header), content.end());
  return idx;
}

inline Idx read_idx(const std::filesystem::path& file, std::size_t dimensions) {
  return parse_idx(read_plain_or_gzip(file), dimensions, file.string());
}
