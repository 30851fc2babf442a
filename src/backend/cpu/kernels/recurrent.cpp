#include "backend/cpu/kernels/recurrent.h"

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/recurrent.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

/// Calls f(load, store) for each vector of n floats: load(p) and store(v, p) at its place in p.
template <class F>
HWY_INLINE void for_each_place(int64_t n, F f) {
  const Floats d;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    f([=](const float* p) HWY_ATTR { return hn::LoadU(d, p + i); },
      [=](Vec v, float* p) HWY_ATTR { hn::StoreU(v, d, p + i); });
  const int64_t left = n - i;
  if (left > 0)
    f([=](const float* p) HWY_ATTR { return load_partial(p + i, left); },
      [=](Vec v, float* p) HWY_ATTR { store_partial(v, p + i, left); });
}

}  // namespace

void lstm_of(const float* gates, int64_t n, float* c, float* h) {
  for_each_place(n, [=](auto load, auto store) HWY_ATTR {
    const Vec in = sigmoid(load(gates)), out = sigmoid(load(gates + n));
    const Vec forget = sigmoid(load(gates + 2 * n)), next = tanh(load(gates + 3 * n));
    const Vec cell = hn::MulAdd(forget, load(c), hn::Mul(in, next));
    store(cell, c);
    store(hn::Mul(out, tanh(cell)), h);
  });
}

void gru_of(const float* gates, const float* x_candidate, const float* h_candidate, bool late,
            int64_t n, float* h) {
  for_each_place(n, [=](auto load, auto store) HWY_ATTR {
    const Vec z = sigmoid(load(gates));
    Vec candidate = load(h_candidate);
    if (late) candidate = hn::MulAdd(sigmoid(load(gates + n)), candidate, load(x_candidate));
    const Vec next = tanh(candidate);
    store(hn::MulAdd(z, hn::Sub(load(h), next), next), h);
  });
}

void reset_of(const float* r, const float* h, int64_t n, float* out) {
  for_each_place(
      n, [=](auto load, auto store) HWY_ATTR { store(hn::Mul(sigmoid(load(r)), load(h)), out); });
}

void rnn_of(const float* gates, int64_t n, float* h) {
  for_each_place(n, [=](auto load, auto store) HWY_ATTR { store(tanh(load(gates)), h); });
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void lstm_cell(Isa isa, const float* gates, int64_t n, float* c, float* h) {
  VITRIFY_PICK_ISA(isa, lstm_of)(gates, n, c, h);
}
void gru_cell(Isa isa, const float* gates, const float* x_candidate, const float* h_candidate,
              bool late, int64_t n, float* h) {
  VITRIFY_PICK_ISA(isa, gru_of)(gates, x_candidate, h_candidate, late, n, h);
}
void reset_hidden(Isa isa, const float* r, const float* h, int64_t n, float* out) {
  VITRIFY_PICK_ISA(isa, reset_of)(r, h, n, out);
}
void rnn_cell(Isa isa, const float* gates, int64_t n, float* h) {
  VITRIFY_PICK_ISA(isa, rnn_of)(gates, n, h);
}

}  // namespace vitrify::cpu
#endif
