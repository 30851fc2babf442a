#include "backend/cpu/kernels/conv_algorithms.h"
#include "base/error.h"
namespace vitrify::cpu {
int64_t packed_winograd_floats(Isa, int, const ConvSpec&) { fail_unsupported("Winograd"); }
void pack_winograd(Isa, int, const ConvSpec&, const void*, float*) { fail_unsupported("Winograd"); }
int64_t winograd_workspace_floats(int, const ConvArgs&) { fail_unsupported("Winograd"); }
void winograd_conv(int, const ConvArgs&) {}
}  // namespace vitrify::cpu
