// The CPU backend: host memory and the vectorised kernels of kernels/, as rows in tactics.cpp.
#pragma once

#include "backend/backend.h"

namespace vitrify::cpu {

Backend& backend();
/// All rows, in the order in which they are preferred when nothing is timed.
std::span<const Tactic> tactics();

}  // namespace vitrify::cpu
