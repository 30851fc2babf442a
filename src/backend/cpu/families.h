// The families of CPU tactics; tactics.cpp puts their rows together.
#pragma once

#include "backend/tactic.h"

namespace vitrify::cpu {

std::span<const Tactic> conv_tactics();        // tactics_conv.cpp
std::span<const Tactic> matmul_tactics();      // tactics_matmul.cpp
std::span<const Tactic> pointwise_tactics();   // tactics_pointwise.cpp
std::span<const Tactic> pool_tactics();        // tactics_pool.cpp
std::span<const Tactic> region_tactics();      // tactics_region.cpp
std::span<const Tactic> reduce_tactics();      // tactics_reduce.cpp
std::span<const Tactic> arg_reduce_tactics();  // tactics_arg_reduce.cpp
std::span<const Tactic> norm_tactics();        // tactics_norm.cpp
std::span<const Tactic> movement_tactics();    // tactics_movement.cpp
std::span<const Tactic> resize_tactics();      // tactics_resize.cpp
std::span<const Tactic> attention_tactics();   // tactics_attention.cpp
std::span<const Tactic> recurrent_tactics();   // tactics_recurrent.cpp
std::span<const Tactic> quantize_tactics();    // tactics_quantize.cpp

}  // namespace vitrify::cpu
