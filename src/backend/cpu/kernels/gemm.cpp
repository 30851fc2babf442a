#include "backend/cpu/kernels/gemm.h"

#include <algorithm>

#include "backend/cpu/kernels/gemm_block.h"
#include "backend/cpu/kernels/gemm_pack.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/slots.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {
namespace {

constexpr int64_t kDirectRows = 32;  // up to here, packing a B with dense rows does not pay
constexpr int64_t kSlotBatch = 8;    // from here on, batch elements are the tasks

/// What has to be copied before the product can run.
struct Copies {
  bool a = false, b = false, b_tail = false;
  int64_t a_floats = 0, b_floats = 0;
  int64_t floats() const { return checked_add(a_floats, b_floats); }
};

Copies needed_copies(const GemmArgs& g) {
  Copies need;
  need.a = g.a_col_stride != 1 && g.k > 1;
  if (need.a) need.a_floats = div_up(checked_mul(g.m, g.k), 16) * 16;
  if (g.packed_b) return need;
  const Panels panels(g.isa, g.n);
  need.b = g.b_col_stride != 1 || g.m > kDirectRows || g.b_row_stride == 0;
  need.b_tail = !need.b && panels.has_tail();
  // Room for the widest tail at any smaller n, so that the bound grows with n.
  const int64_t widest = isa_lanes(g.isa) * panel_max_vectors(g.isa);
  need.b_floats = packed_b_floats(g.isa, g.k, need.b ? g.n : std::min(g.n, widest));
  return need;
}

struct RowStride {
  const float* a;
  int64_t stride;
};

void fill_rows(const void* ctx, int64_t row0, int64_t rows, int64_t, int64_t, const float** table) {
  const auto& source = *static_cast<const RowStride*>(ctx);
  for (int64_t r = 0; r < rows; ++r) table[r] = source.a + (row0 + r) * source.stride;
}

int64_t offset(const int64_t* offsets, int64_t i) { return offsets ? offsets[i] : 0; }

/// One batch element: its operands after packing.
class Element {
 public:
  Element(const GemmArgs& g, const Copies& need, int64_t i, float* scratch)
      : g_(g),
        need_(need),
        a_(g.a + offset(g.a_offsets, i)),
        b_(g.b + offset(g.b_offsets, i)),
        packed_a_(scratch),
        packed_b_(scratch + need.a_floats) {
    rows_ = need.a ? RowStride{packed_a_, g.k} : RowStride{a_, g.a_row_stride};
    product_.m = g.m;
    product_.n = g.n;
    product_.k = g.k;
    product_.fill = fill_rows;
    product_.b = need.b ? packed_b_ : b_;
    product_.b_row_stride = g.packed_b || need.b ? 0 : g.b_row_stride;
    product_.b_tail = packed_b_;
    product_.c = g.c + offset(g.c_offsets, i);
    product_.c_row_stride = g.c_row_stride;
    product_.row_base = i * g.m;
    product_.epilogue = &g.epilogue;
  }

  void pack(int threads) {
    if (need_.a) pack_a(threads);
    if (need_.b || need_.b_tail) pack_panels(threads);
  }

  void run_task(const Split& split, int64_t index) const {
    Product product = product_;
    product.ctx = &rows_;
    run_product_task(g_.isa, product, split, index);
  }

 private:
  void pack_a(int threads) const {
    constexpr int64_t kRows = 16;
    const int64_t blocks = div_up(g_.m, kRows);
    parallel_for(blocks, threads, [&](int64_t block) {
      const int64_t end = std::min(g_.m, (block + 1) * kRows);
      for (int64_t k = 0; k < g_.k; ++k) {
        const float* column = a_ + k * g_.a_col_stride;
        for (int64_t r = block * kRows; r < end; ++r) {
          packed_a_[r * g_.k + k] = column[r * g_.a_row_stride];
        }
      }
    });
  }

  void pack_panels(int threads) const {
    const Panels panels(g_.isa, g_.n);
    const PanelSource source{reinterpret_cast<const std::byte*>(b_), g_.k, g_.b_row_stride,
                             g_.b_col_stride};
    const int64_t first = need_.b ? 0 : panels.count() - 1;
    parallel_for(panels.count() - first, threads, [&](int64_t i) {
      const int64_t p = first + i;
      float* out = packed_b_ + (panels.begin(p) - panels.begin(first)) * g_.k;
      pack_panel(source, panels.begin(p), panels.valid(p), panels.width(p), out);
    });
  }

  const GemmArgs& g_;
  const Copies& need_;
  const float *a_, *b_;
  float *packed_a_, *packed_b_;
  RowStride rows_;
  Product product_;
};

bool by_slots(const GemmArgs& g) { return g.batch >= kSlotBatch; }

}  // namespace

int64_t gemm_workspace_floats(const GemmArgs& args) {
  const int64_t each = needed_copies(args).floats();
  return by_slots(args) ? checked_mul(each, kernel_threads(args.max_threads)) : each;
}

void gemm(const GemmArgs& args) {
  const Copies need = needed_copies(args);
  const Split split = split_product(args.isa, args.m, args.n, args.k);
  const int threads = kernel_threads(args.max_threads);
  if (split.count() == 0) return;
  if (need.floats() == 0) {
    return parallel_for(args.batch * split.count(), threads, [&](int64_t i) {
      Element(args, need, i / split.count(), nullptr).run_task(split, i % split.count());
    });
  }
  if (by_slots(args)) {
    Slots slots(args.workspace, need.floats());
    return parallel_for(args.batch, threads, [&](int64_t i) {
      const int slot = slots.claim();
      Element element(args, need, i, slots.memory(slot));
      element.pack(1);
      for (int64_t task = 0; task < split.count(); ++task) element.run_task(split, task);
      slots.release(slot);
    });
  }
  for (int64_t i = 0; i < args.batch; ++i) {
    Element element(args, need, i, args.workspace);
    element.pack(threads);
    parallel_for(split.count(), threads, [&](int64_t task) { element.run_task(split, task); });
  }
}

}  // namespace vitrify::cpu
