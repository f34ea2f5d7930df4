// SPDX-License-Identifier: MIT
// xent/version.hpp - the version, and the only macros the library defines.
#pragma once

// CMake and pkg-config read these three lines: the version stands nowhere else.
#define XENT_VERSION_MAJOR 0
#define XENT_VERSION_MINOR 1
#define XENT_VERSION_PATCH 0
