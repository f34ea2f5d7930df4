// SPDX-License-Identifier: MIT
// xent/xent.hpp - the door: every public header, nothing of its own.
#pragma once

#include <xent/argmax.hpp>
#include <xent/concepts.hpp>
#include <xent/divergence.hpp>
#include <xent/focal_loss.hpp>
#include <xent/log_partition.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/nll_loss.hpp>
#include <xent/one_hot.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>
#include <xent/sigmoid.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>
#include <xent/units.hpp>
#include <xent/version.hpp>
