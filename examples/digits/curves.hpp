// SPDX-License-Identifier: MIT
// curves.hpp - the learning curves, as a table and as a picture.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

/// Losses in bits, one per epoch; the first stands before any training.
struct Curve {
  std::string name;
  std::vector<float> train, test;
};

/// One block per model, two empty lines between them: gnuplot's `index`.
inline void write_table(const std::filesystem::path& file, const std::vector<Curve>& curves) {
  std::FILE* const out = std::fopen(file.c_str(), "w");
  if (out == nullptr) throw std::runtime_error("cannot write " + file.string());
  for (const Curve& curve : curves) {
    std::fprintf(out, "# %s: epoch, training loss, test loss (bits)\n", curve.name.c_str());
    for (std::size_t epoch = 0; epoch < curve.train.size(); ++epoch) {
      std::fprintf(out, "%zu\t%.6g\t%.6g\n", epoch, static_cast<double>(curve.train[epoch]),
                   static_cast<double>(curve.test[epoch]));
    }
    std::fputs("\n\n", out);
  }
  if (std::fclose(out) != 0) throw std::runtime_error("cannot write " + file.string());
}

inline std::string gnuplot_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

/// The lines of the plot command for the k-th curve: the test loss, named at its end, and the training loss, dashed.
inline std::string plot_lines(const std::filesystem::path& table, const Curve& curve, std::size_t k) {
  const std::string data = gnuplot_quoted(table.string()) + " index " + std::to_string(k);
  const std::string colour = k % 2 == 0 ? " rgb '#2166ac'" : " rgb '#c8553d'";
  const std::string name = gnuplot_quoted("  " + curve.name);
  const std::string last = std::to_string(curve.test.size() - 1);
  return data + " using 1:3 with lines lw 2.5 lc" + colour + ", " + data + " using 1:2 with lines lw 1.5 dt 2 lc" +
         colour + ", " + data + " using 1:3:(" + name + ") every ::" + last + " with labels left tc" + colour;
}

/// The table drawn by gnuplot as SVG; false where gnuplot is missing or fails.
inline bool draw(const std::filesystem::path& table, const std::filesystem::path& picture, const std::string& title,
                 const std::vector<Curve>& curves, std::size_t classes) {
  if (std::system("command -v gnuplot > /dev/null 2>&1") != 0) return false;
  std::FILE* const gnuplot = popen("gnuplot", "w");
  if (gnuplot == nullptr) return false;
  std::fprintf(gnuplot, R"(
set terminal svg size 760,420 font 'sans-serif,14' background '#ffffff'
set output %s
set title %s font ',16' offset 0,0.1
set label 'solid: test, dashed: training' at graph 0.5,1.06 center textcolor rgb '#777777'
set tmargin 4
set xlabel 'epoch'
set ylabel 'loss in bits'
set logscale y
set xrange [0:%zu]
guess = log(%zu) / log(2)
set yrange [:guess * 1.4]
set ytics (5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
set border 3 linecolor rgb '#999999'
set tics nomirror scale 0.6 textcolor rgb '#333333'
set grid linecolor rgb '#e6e6e6' linetype 1
set label 'guessing' at graph 1, first guess offset 1.2,0 textcolor rgb '#777777'
set rmargin 24
set key off
plot guess with lines lw 1.5 dt 3 lc rgb '#777777')",
               gnuplot_quoted(picture.string()).c_str(), gnuplot_quoted(title).c_str(),
               std::max<std::size_t>(1, curves.front().train.size() - 1), classes);
  for (std::size_t k = 0; k < curves.size(); ++k) {
    std::fprintf(gnuplot, ", %s", plot_lines(table, curves[k], k).c_str());
  }
  std::fprintf(gnuplot, "\n");
  return pclose(gnuplot) == 0;
}
