// SPDX-License-Identifier: MIT
// tests/support/oracle.cpp - see oracle.hpp. It needs Boost's headers, and nothing of the library.
#include "oracle.hpp"

#include <boost/multiprecision/cpp_bin_float.hpp>

#include <cmath>
#include <cstddef>
#include <limits>

namespace oracle {
namespace {

namespace mp = boost::multiprecision;
// Of two words: with three, tests take 1.6 times as long.
using Big = mp::number<mp::cpp_bin_float<113, mp::digit_base_2>, mp::et_off>;
using Bigs = std::vector<Big>;

constexpr long double infinity = std::numeric_limits<long double>::infinity();
constexpr long double not_a_number = std::numeric_limits<long double>::quiet_NaN();

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

Exact exact(Big const& value, Big const& scale) {
  Exact result;
  result.hi = static_cast<long double>(value);
  result.lo = std::isfinite(result.hi) ? static_cast<long double>(Big(value - Big(result.hi))) : 0;
  result.scale = static_cast<long double>(abs(scale));
  return result;
}

Exact exact(Big const& value) { return exact(value, value); }

Exact special(long double value) { return {value, 0, value}; }

/// A factor of exactly 0 gives exactly 0 whatever it multiplies.
Big times(Big const& factor, Big const& value) { return factor == 0 ? Big(0) : Big(factor * value); }

/// exp, with 0 for what no scalar under test can hold.
Big exp_of(Big const& x) { return x < -20000 ? Big(0) : Big(mp::exp(x)); }

Big log1p_of(Big const& x) {
  if (x < 1e-9) return x - x * x / 2 + x * x * x / 3;  // the next term is below 1e-27 of it; 1 + x would lose more
  return mp::log(Big(1 + x));
}

Big softplus_of(Big const& x) { return x > 0 ? Big(x + log1p_of(exp_of(-x))) : log1p_of(exp_of(x)); }

Big sigmoid_of(Big const& x) { return x > 0 ? Big(1 / (1 + exp_of(-x))) : Big(exp_of(x) / (1 + exp_of(x))); }

Big weight(Reals const& weights, Index i) { return weights.empty() ? Big(1) : Big(weights[at(i)]); }

// ---- one row of logits -----------------------------------------------------------------------------------------

struct Row {
  enum class Kind { ordinary, nan, plus_infinity, all_masked } kind = Kind::ordinary;
  Bigs exps;         // exp(z_k - max)
  Bigs differences;  // max - z_k, meaningless where masked
  std::vector<bool> masked;
  Index unmasked = 0;
  Index first_max = 0;
  Big max = 0;
  Big tail = 0;     // the sum of all exps but the first maximum's
  Big total = 0;    // the sum of all exps
  Big largest = 0;  // max |z_k| over the unmasked

  Big log_sum() const { return log1p_of(tail); }
  Big logsumexp() const { return max + log_sum(); }
  Big softmax(Index k) const { return exps[at(k)] / total; }
  /// 1 - softmax(k) without a subtraction from 1.
  Big others(Index k) const { return k == first_max ? Big(tail / total) : Big((total - exps[at(k)]) / total); }
  Big nll(Index k) const { return differences[at(k)] + log_sum(); }
  /// The size at which logsumexp is well conditioned.
  Big logsumexp_scale() const {
    Big const value = abs(logsumexp());
    return value > largest ? value : largest;
  }
};

Row::Kind kind_of(Grid const& logits, Index i) {
  bool plus_infinity = false;
  bool all_masked = true;
  for (Index k = 0; k < logits.cols; ++k) {
    long double const z = logits(i, k);
    if (std::isnan(z)) return Row::Kind::nan;
    plus_infinity = plus_infinity || z == infinity;
    all_masked = all_masked && z == -infinity;
  }
  if (plus_infinity) return Row::Kind::plus_infinity;
  return all_masked ? Row::Kind::all_masked : Row::Kind::ordinary;
}

Row make_row(Grid const& logits, Index i) {
  Row row;
  row.kind = kind_of(logits, i);
  if (row.kind != Row::Kind::ordinary) return row;
  for (Index k = 1; k < logits.cols; ++k)
    if (logits(i, k) > logits(i, row.first_max)) row.first_max = k;
  row.max = Big(logits(i, row.first_max));
  for (Index k = 0; k < logits.cols; ++k) {
    bool const masked = logits(i, k) == -infinity;
    Big const difference = masked ? Big(0) : Big(row.max - Big(logits(i, k)));
    Big const e = masked ? Big(0) : exp_of(-difference);
    row.masked.push_back(masked);
    row.differences.push_back(difference);
    row.exps.push_back(e);
    row.total += e;
    if (k != row.first_max) row.tail += e;
    if (masked) continue;
    ++row.unmasked;
    Big const size = abs(Big(logits(i, k)));
    if (size > row.largest) row.largest = size;
  }
  return row;
}

/// The rows of the last grid are kept: tests ask for softmax, loss and gradient of the same logits in turn.
std::vector<Row> const& rows_of(Grid const& logits) {
  static Grid last;
  static std::vector<Row> rows;
  bool same = last.rows == logits.rows && last.cols == logits.cols && last.values.size() == logits.values.size();
  for (std::size_t j = 0; same && j < last.values.size(); ++j)
    same = last.values[j] == logits.values[j] || (std::isnan(last.values[j]) && std::isnan(logits.values[j]));
  if (same && !rows.empty()) return rows;
  rows.clear();
  for (Index i = 0; i < logits.rows; ++i) rows.push_back(make_row(logits, i));
  last = logits;
  return rows;
}

// ---- reductions ------------------------------------------------------------------------------------------------

/// Fills sum, mean and the gradient of the mean from the rest.
void reduce(Loss& loss, Big const& divisor, Big const& divisor_scale) {
  Big sum = 0;
  Big scale = 0;
  bool nan = false;
  bool plus = false;
  bool minus = false;
  for (Exact const& row : loss.none) {
    nan = nan || std::isnan(row.hi);
    plus = plus || row.hi == infinity;
    minus = minus || row.hi == -infinity;
    if (!std::isfinite(row.hi)) continue;
    sum += Big(row.hi) + Big(row.lo);
    scale += Big(row.scale);
  }
  bool const empty = divisor == 0;
  Big const condition = empty ? Big(1) : Big(divisor_scale / abs(divisor));
  long double const sign = divisor < 0 ? -1 : 1;
  loss.sum = exact(sum, scale);
  loss.mean = empty ? special(not_a_number) : exact(Big(sum / divisor), Big(scale / abs(divisor) * condition));
  if (nan || (plus && minus)) {
    loss.sum = loss.mean = special(not_a_number);
  } else if (plus || minus) {
    loss.sum = special(plus ? infinity : -infinity);
    loss.mean = special(empty ? not_a_number : sign * loss.sum.hi);
  }
  for (Exact const& entry : loss.gradient) {
    if (empty) {
      loss.mean_gradient.push_back({});
    } else if (!std::isfinite(entry.hi)) {
      loss.mean_gradient.push_back(special(sign * entry.hi));
    } else {
      Big const value = Big(entry.hi) + Big(entry.lo);
      loss.mean_gradient.push_back(exact(Big(value / divisor), Big(Big(entry.scale) / abs(divisor) * condition)));
    }
  }
}

struct Divisor {
  Big sum = 0;
  Big scale = 0;
  void add(Big const& value) {
    sum += value;
    scale += abs(value);
  }
};

void add_row(Loss& loss, Index classes, Exact const& value, Exact const& gradient) {
  loss.none.push_back(value);
  loss.gradient.insert(loss.gradient.end(), at(classes), gradient);
}

// ---- softmax cross entropy -------------------------------------------------------------------------------------

/// One row: factor * (sum_k c_k nll_k + z_loss logsumexp^2), and its gradient.
void add_weighted_nll(Loss& loss, Row const& row, Bigs const& c, Big const& factor, Big const& z_loss) {
  Index const classes = static_cast<Index>(c.size());
  if (row.kind != Row::Kind::ordinary) return add_row(loss, classes, special(not_a_number), special(not_a_number));
  Big value = 0;
  Big scale = 0;
  Big c_sum = 0;
  Big c_size = 0;
  Index terms = 0;
  bool target_masked = false;
  bool target_sign = false;
  for (Index k = 0; k < classes; ++k) {
    Big const& ck = c[at(k)];
    if (ck == 0) continue;
    ++terms;
    c_sum += ck;
    c_size += abs(ck);
    if (row.masked[at(k)]) {
      target_masked = true;
      target_sign = ck < 0;
      continue;
    }
    value += ck * row.nll(k);
    scale += abs(Big(ck * row.nll(k)));
  }
  Big const lse = row.logsumexp();
  Big const lse_scale = row.logsumexp_scale();
  value += z_loss * lse * lse;
  scale += z_loss * abs(lse) * lse_scale;
  loss.none.push_back(target_masked ? special(((factor < 0) != target_sign) ? -infinity : infinity)
                                    : exact(Big(factor * value), Big(factor * scale)));
  for (Index k = 0; k < classes; ++k) {
    Big const p = row.softmax(k);
    Big const own = c[at(k)];
    Big const entry = (c_sum - own) * p - own * row.others(k) + 2 * z_loss * lse * p;
    // One target only: all terms have the same sign and the entry is well conditioned. Several: it is a difference.
    Big const size = terms <= 1 ? Big((c_size - abs(own)) * p + abs(own) * row.others(k)) : Big(c_size * p + abs(own));
    loss.gradient.push_back(exact(Big(factor * entry), Big(factor * (size + 2 * z_loss * lse_scale * p))));
  }
}

/// The smoothing mass of one class: shared by the classes that are not masked.
Big smoothing_share(Row const& row, Index k, Big const& smoothing) {
  if (row.kind != Row::Kind::ordinary || row.masked[at(k)]) return 0;
  return smoothing / row.unmasked;
}

}  // namespace

Exacts softmax(Grid const& logits) {
  Exacts result;
  for (Row const& row : rows_of(logits))
    for (Index k = 0; k < logits.cols; ++k)
      result.push_back(row.kind == Row::Kind::ordinary ? exact(row.softmax(k)) : special(not_a_number));
  return result;
}

Exacts log_softmax(Grid const& logits) {
  Exacts result;
  for (Row const& row : rows_of(logits))
    for (Index k = 0; k < logits.cols; ++k) {
      if (row.kind != Row::Kind::ordinary)
        result.push_back(special(not_a_number));
      else
        result.push_back(row.masked[at(k)] ? special(-infinity) : exact(Big(-row.nll(k))));
    }
  return result;
}

Exacts logsumexp(Grid const& logits) {
  Exacts result;
  for (Row const& row : rows_of(logits)) switch (row.kind) {
      case Row::Kind::ordinary:
        result.push_back(exact(row.logsumexp(), row.logsumexp_scale()));
        break;
      case Row::Kind::nan:
        result.push_back(special(not_a_number));
        break;
      case Row::Kind::plus_infinity:
        result.push_back(special(infinity));
        break;
      case Row::Kind::all_masked:
        result.push_back(special(-infinity));
        break;
    }
  return result;
}

Exacts sigmoid(Grid const& x) {
  Exacts result;
  for (long double z : x.values) {
    if (std::isnan(z))
      result.push_back(special(z));
    else if (std::isinf(z))
      result.push_back(special(z > 0 ? 1 : 0));
    else
      result.push_back(exact(sigmoid_of(Big(z))));
  }
  return result;
}

Exacts softplus(Grid const& x) {
  Exacts result;
  for (long double z : x.values) {
    if (std::isnan(z))
      result.push_back(special(z));
    else if (std::isinf(z))
      result.push_back(special(z > 0 ? infinity : 0));
    else
      result.push_back(exact(softplus_of(Big(z))));
  }
  return result;
}

Exacts log_sigmoid(Grid const& x) {
  Grid minus_x = x;
  for (long double& z : minus_x.values) z = -z;
  Exacts result = softplus(minus_x);
  for (Exact& value : result) {
    value.hi = -value.hi;
    value.lo = -value.lo;
  }
  return result;
}

Loss softmax_cross_entropy(Grid const& logits, std::vector<Index> const& labels, Options const& options) {
  Loss loss;
  Divisor divisor;
  Big const smoothing = Big(options.label_smoothing);
  auto const& rows = rows_of(logits);
  for (Index i = 0; i < logits.rows; ++i) {
    Index const label = labels[at(i)];
    Big const factor = weight(options.sample_weights, i);
    if (label == options.ignore_index || factor == 0) {
      add_row(loss, logits.cols, {}, {});
      continue;
    }
    Bigs c;
    for (Index k = 0; k < logits.cols; ++k)
      c.push_back(weight(options.class_weights, k) *
                  (smoothing_share(rows[at(i)], k, smoothing) + (k == label ? Big(1 - smoothing) : Big(0))));
    add_weighted_nll(loss, rows[at(i)], c, factor, Big(options.z_loss));
    divisor.add(factor * weight(options.class_weights, label));
  }
  reduce(loss, divisor.sum, divisor.scale);
  return loss;
}

Loss softmax_cross_entropy(Grid const& logits, Grid const& targets, Options const& options) {
  Loss loss;
  Divisor divisor;
  Big const smoothing = Big(options.label_smoothing);
  auto const& rows = rows_of(logits);
  for (Index i = 0; i < logits.rows; ++i) {
    Big const factor = weight(options.sample_weights, i);
    if (factor == 0) {
      add_row(loss, logits.cols, {}, {});
      continue;
    }
    Bigs c;
    for (Index k = 0; k < logits.cols; ++k)
      c.push_back(weight(options.class_weights, k) *
                  (smoothing_share(rows[at(i)], k, smoothing) + (1 - smoothing) * Big(targets(i, k))));
    add_weighted_nll(loss, rows[at(i)], c, factor, Big(options.z_loss));
    divisor.add(factor);
  }
  reduce(loss, divisor.sum, divisor.scale);
  return loss;
}

namespace {

/// softplus and sigmoid with their limits at the infinities.
Big softplus_limit(long double z) {
  if (z == infinity) return std::numeric_limits<Big>::infinity();
  return z == -infinity ? Big(0) : softplus_of(Big(z));
}
/// All elements, PyTorch's divisor; none where every row is ignored, for then the mean is one over nothing.
Big counted_elements(Grid const& logits, Options const& options) {
  bool any = options.sample_weights.empty();
  for (long double s : options.sample_weights) any = any || s != 0;
  return any ? Big(logits.rows * logits.cols) : Big(0);
}

Big sigmoid_limit(long double z) { return std::isinf(z) ? Big(z > 0 ? 1 : 0) : sigmoid_of(Big(z)); }

}  // namespace

Loss sigmoid_cross_entropy(Grid const& logits, Grid const& targets, Options const& options) {
  Loss loss;
  Big const e = Big(options.label_smoothing);
  for (Index i = 0; i < logits.rows; ++i)
    for (Index k = 0; k < logits.cols; ++k) {
      long double const z = logits(i, k);
      Big const factor = weight(options.sample_weights, i) * weight(options.class_weights, k);
      bool const one = options.pos_weights.size() == 1;
      Big const p = weight(options.pos_weights, one ? 0 : k);
      if (factor == 0) {
        add_row(loss, 1, {}, {});
        continue;
      }
      if (std::isnan(z)) {
        add_row(loss, 1, special(z), special(z));
        continue;
      }
      Big const t = (1 - e) * Big(targets(i, k)) + e / 2;
      Big const positive = times(Big(p * t), softplus_limit(-z));
      Big const negative = times(Big(1 - t), softplus_limit(z));
      Big const down = p * t * sigmoid_limit(-z);
      Big const up = (1 - t) * sigmoid_limit(z);
      loss.none.push_back(exact(Big(factor * (positive + negative)), Big(factor * (abs(positive) + abs(negative)))));
      loss.gradient.push_back(exact(Big(factor * (up - down)), Big(factor * (abs(up) + abs(down)))));
    }
  Big const elements = counted_elements(logits, options);
  reduce(loss, elements, elements);
  return loss;
}

Loss nll_loss(Grid const& log_probs, std::vector<Index> const& labels, Options const& options) {
  Loss loss;
  Divisor divisor;
  for (Index i = 0; i < log_probs.rows; ++i) {
    Index const label = labels[at(i)];
    Big const s = weight(options.sample_weights, i);
    if (label == options.ignore_index || s == 0) {
      add_row(loss, log_probs.cols, {}, {});
      continue;
    }
    Big const factor = s * weight(options.class_weights, label);
    long double const value = log_probs(i, label);
    divisor.add(factor);
    if (factor == 0) {
      add_row(loss, log_probs.cols, {}, {});
      continue;
    }
    loss.none.push_back(std::isfinite(value) ? exact(Big(-factor * Big(value))) : special(factor < 0 ? value : -value));
    for (Index k = 0; k < log_probs.cols; ++k) loss.gradient.push_back(k == label ? exact(Big(-factor)) : Exact{});
  }
  reduce(loss, divisor.sum, divisor.scale);
  return loss;
}

Loss softmax_focal_loss(Grid const& logits, std::vector<Index> const& labels, Options const& options) {
  Loss loss;
  Divisor divisor;
  Big const gamma = Big(options.gamma);
  auto const& rows = rows_of(logits);
  for (Index i = 0; i < logits.rows; ++i) {
    Index const label = labels[at(i)];
    Row const& row = rows[at(i)];
    Big const s = weight(options.sample_weights, i);
    if (label == options.ignore_index || s == 0) {
      add_row(loss, logits.cols, {}, {});
      continue;
    }
    divisor.add(s);
    if (row.kind != Row::Kind::ordinary) {
      add_row(loss, logits.cols, special(not_a_number), special(not_a_number));
      continue;
    }
    Big const factor = s * weight(options.class_weights, label);
    if (factor == 0) {
      add_row(loss, logits.cols, {}, {});
      continue;
    }
    Big const p = row.softmax(label);
    Big const q = row.others(label);
    Big const power = gamma == 0 ? Big(1) : q == 0 ? Big(0) : Big(mp::pow(q, gamma));
    Big const nll = row.masked[at(label)] ? Big(0) : row.nll(label);  // of p nll, whose limit is 0
    loss.none.push_back(row.masked[at(label)] ? special(factor < 0 ? -infinity : infinity)
                                              : exact(Big(factor * power * nll)));
    for (Index k = 0; k < logits.cols; ++k) {
      // d/dz_label = -q^gamma (gamma p nll + q);  d/dz_k = p_k q^(gamma-1) (gamma p nll + q)
      Big const bracket = gamma * p * nll + q;
      Big const ratio = q == 0 ? Big(0) : Big(row.softmax(k) / q);
      Big const entry = k == label ? Big(-power * bracket) : Big(power * bracket * ratio);
      loss.gradient.push_back(exact(Big(factor * entry)));
    }
  }
  reduce(loss, divisor.sum, divisor.scale);
  return loss;
}

Loss sigmoid_focal_loss(Grid const& logits, Grid const& targets, Options const& options) {
  Loss loss;
  Big const gamma = Big(options.gamma);
  for (Index i = 0; i < logits.rows; ++i)
    for (Index k = 0; k < logits.cols; ++k) {
      long double const z = logits(i, k);
      Big const t = Big(targets(i, k));
      Big const s = weight(options.sample_weights, i);
      if (s == 0) {
        add_row(loss, 1, {}, {});
        continue;
      }
      if (std::isnan(z)) {
        add_row(loss, 1, special(z), special(z));
        continue;
      }
      Big const alpha = options.alpha ? Big(Big(*options.alpha) * t + (1 - Big(*options.alpha)) * (1 - t)) : Big(1);
      Big const p = sigmoid_limit(z);
      Big const q = sigmoid_limit(-z);
      Big const miss = p * (1 - t) + q * t;  // 1 - p_t
      Big const power = gamma == 0 ? Big(1) : miss == 0 ? Big(0) : Big(mp::pow(miss, gamma));
      Big const positive = times(t, softplus_limit(-z));
      Big const negative = times(Big(1 - t), softplus_limit(z));
      Big const bce = positive + negative;
      Big const factor = s * alpha;
      loss.none.push_back(exact(times(factor, times(power, bce))));
      Big const slope = miss == 0 || gamma == 0 || p * q == 0 ? Big(0) : Big(gamma * power / miss * p * q * bce);
      Big const up = (1 - t) * (slope + power * p);
      Big const down = t * (slope + power * q);
      // d(1 - p_t)/dz = p q ((1 - t) - t), dBCE/dz = (1 - t) p - t q: each side keeps its sign.
      loss.gradient.push_back(exact(Big(factor * (up - down)), Big(factor * (up + down))));
    }
  Big const elements = counted_elements(logits, options);
  reduce(loss, elements, elements);
  return loss;
}

namespace {

/// t log(q), 0 for t = 0 and -inf for q = 0.
Big t_log(long double t, long double q) {
  if (t == 0) return 0;
  return q == 0 ? Big(-std::numeric_limits<Big>::infinity()) : Big(Big(t) * mp::log(Big(q)));
}

}  // namespace

Loss entropy(Grid const& probs) { return cross_entropy(probs, probs); }

Loss cross_entropy(Grid const& targets, Grid const& probs) {
  Loss loss;
  for (Index i = 0; i < probs.rows; ++i) {
    Big value = 0;
    for (Index k = 0; k < probs.cols; ++k) value -= t_log(targets(i, k), probs(i, k));
    loss.none.push_back(exact(value));
  }
  reduce(loss, Big(probs.rows), Big(probs.rows));
  return loss;
}

Loss kl_divergence(Grid const& targets, Grid const& probs) {
  Loss loss;
  for (Index i = 0; i < probs.rows; ++i) {
    Big value = 0;
    Big scale = 0;
    for (Index k = 0; k < probs.cols; ++k) {
      Big const term = t_log(targets(i, k), targets(i, k)) - t_log(targets(i, k), probs(i, k));
      value += term;
      scale += abs(term);
    }
    loss.none.push_back(exact(value, scale));
  }
  reduce(loss, Big(probs.rows), Big(probs.rows));
  return loss;
}

Loss binary_cross_entropy(Grid const& targets, Grid const& probs) {
  Loss loss;
  for (Index i = 0; i < probs.rows; ++i)
    for (Index k = 0; k < probs.cols; ++k) {
      Big const t = Big(targets(i, k));
      Big const q = 1 - Big(probs(i, k));
      Big const rest = q == 0           ? Big(-std::numeric_limits<Big>::infinity())
                       : q == 1         ? Big(0)
                       : q > Big("0.5") ? Big(-log1p_of(Big(Big(probs(i, k)) / q)))
                                        : Big(mp::log(q));
      loss.none.push_back(exact(Big(-t_log(targets(i, k), probs(i, k)) - times(Big(1 - t), rest))));
    }
  Big const elements = Big(probs.rows * probs.cols);
  reduce(loss, elements, elements);
  return loss;
}

Exacts numeric_gradient(Grid const& logits, Grid const& targets, Options const& options) {
  long double const step = std::ldexp(1.0L, -30);
  auto value = [&](Grid const& moved) {
    Big sum = 0;
    for (Exact const& row : softmax_cross_entropy(moved, targets, options).none) sum += Big(row.hi) + Big(row.lo);
    return sum;
  };
  Exacts result;
  for (std::size_t j = 0; j < logits.values.size(); ++j) {
    Grid up = logits;
    Grid down = logits;
    up.values[j] += step;
    down.values[j] -= step;
    result.push_back(exact(Big((value(up) - value(down)) / (Big(up.values[j]) - Big(down.values[j])))));
  }
  return result;
}

Exact exp(long double x) { return exact(exp_of(Big(x))); }

}  // namespace oracle
