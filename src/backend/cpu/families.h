// The families of CPU tactics; tactics.cpp puts their rows together.
#pragma once

#include "backend/tactic.h"

namespace vitrify::cpu {

std::span<const Tactic> contraction_tactics();  // tactics_contraction.cpp

}  // namespace vitrify::cpu
