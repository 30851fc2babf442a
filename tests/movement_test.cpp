// Data movement: facts through shape arithmetic, ONNX's slice and reshape rules, refused indices.
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/moved_facts.h"
#include "run_op.h"

namespace vitrify {
namespace {

Tensor iota(Dims dims) {
  Tensor t(DType::kInt64, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) t.data<int64_t>()[i] = i;
  return t;
}
Dim sym(const char* name) { return Dim::symbol(name); }

using Longs = std::vector<int64_t>;

TEST(Movement, TransposeSliceConcat) {
  EXPECT_EQ(to_ints(run1(Transpose{{1, 0}}, {iota({2, 3})})), (Longs{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(to_ints(run1(Slice{{1}, {2}, {2}, {-1}}, {iota({2, 3})})), (Longs{2, 1, 5, 4}));
  EXPECT_EQ(to_ints(run1(Concat{1}, {iota({2, 1}), iota({2, 2})})), (Longs{0, 0, 1, 1, 2, 3}));
}

TEST(Movement, SubByteElements) {
  Tensor x = pack_sub_byte(DType::kInt4, {3, 1}, std::vector<int8_t>{-8, 3, 7});
  EXPECT_EQ(to_ints(run1(Expand{{3, 3}}, {x})), (Longs{-8, -8, -8, 3, 3, 3, 7, 7, 7}));
}

TEST(Movement, PadModes) {
  Tensor x = iota({3});
  auto pad = [&](Pad::Mode mode, Longs pads) {
    return to_ints(run1(Pad{mode, to_shape(pads)}, {x, Tensor::scalar(int64_t{9})}));
  };
  EXPECT_EQ(pad(Pad::Mode::kConstant, {1, 2}), (Longs{9, 0, 1, 2, 9, 9}));
  EXPECT_EQ(pad(Pad::Mode::kEdge, {1, 2}), (Longs{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(pad(Pad::Mode::kReflect, {3, 2}), (Longs{1, 2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(pad(Pad::Mode::kWrap, {4, 1}), (Longs{2, 0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(pad(Pad::Mode::kEdge, {-1, 1}), (Longs{1, 2, 2}));
}

TEST(Movement, SliceByOnnxRules) {
  auto slice = [](int64_t n, int64_t start, int64_t end, int64_t step) {
    return to_ints(run1(SliceDynamic{}, {iota({n}), Tensor::ints({start}), Tensor::ints({end}),
                                         Tensor::ints({0}), Tensor::ints({step})}));
  };
  EXPECT_EQ(slice(5, 1, 4, 2), (Longs{1, 3}));
  EXPECT_EQ(slice(5, -3, INT64_MAX, 1), (Longs{2, 3, 4}));
  EXPECT_EQ(slice(5, -1, INT64_MIN, -2), (Longs{4, 2, 0}));
  EXPECT_EQ(slice(5, 20, 1, -3), (Longs{4}));
  EXPECT_EQ(slice(5, 3, 1, 1), (Longs{}));
  EXPECT_EQ(slice(5, INT64_MIN, INT64_MAX, INT64_MAX), (Longs{0}));
  EXPECT_EQ(slice(5, INT64_MAX, INT64_MIN, INT64_MIN), (Longs{4}));
  EXPECT_EQ(slice(0, -1, INT64_MIN, -1), (Longs{}));
}

/// A symbolic slice agrees with the same slice of every concrete extent.
TEST(Movement, SymbolicSlicesAgreeWithConcreteOnes) {
  for (int64_t start : {-7, -2, -1, 0, 1, 3, 9})
    for (int64_t end : {-7, -1, 0, 2, 3, 9})
      for (int64_t step : {-3, -1, 1, 2}) {
        SliceRange symbolic = slice_range(sym("n"), start, end, step);
        SliceRange moving = slice_range(sym("n"), sym("n") + start, sym("n") + end, step);
        for (int64_t n = 1; n < 8; ++n) {
          auto at = [n](const std::string&) { return n; };
          SliceRange concrete = slice_range(n, start, end, step);
          EXPECT_EQ(symbolic.size.eval(at), concrete.size.value()) << start << end << step << n;
          if (concrete.size.value() > 0) {
            EXPECT_EQ(symbolic.begin.eval(at), concrete.begin.value());
          }
          concrete = slice_range(n, n + start, n + end, step);
          EXPECT_EQ(moving.size.eval(at), concrete.size.value()) << start << end << step << n;
        }
      }
}

TEST(Movement, ScatterReductions) {
  Tensor data = Tensor::ints({1, 2, 3}), at = Tensor::ints({0, -1, 0}),
         by = Tensor::ints({5, 7, 2});
  auto scatter = [&](ScatterReduction r) {
    return to_ints(run1(ScatterElements{0, r}, {data, at, by}));
  };
  EXPECT_EQ(scatter(ScatterReduction::kNone), (Longs{2, 2, 7}));
  EXPECT_EQ(scatter(ScatterReduction::kAdd), (Longs{8, 2, 10}));
  EXPECT_EQ(scatter(ScatterReduction::kMul), (Longs{10, 2, 21}));
  EXPECT_EQ(scatter(ScatterReduction::kMax), (Longs{5, 2, 7}));
  EXPECT_EQ(scatter(ScatterReduction::kMin), (Longs{1, 2, 3}));
}

TEST(Movement, UniqueUnsortedKeepsAppearance) {
  auto y = run(Unique{false, false, 0}, {Tensor::ints({2, 1, 1, 3, 4, 3})}, 4);
  EXPECT_EQ(to_ints(y[0].tensor), (Longs{2, 1, 3, 4}));
  EXPECT_EQ(to_ints(y[1].tensor), (Longs{0, 1, 3, 4}));
  EXPECT_EQ(to_ints(y[2].tensor), (Longs{0, 1, 1, 2, 3, 2}));
  EXPECT_EQ(to_ints(y[3].tensor), (Longs{1, 2, 2, 1}));
}

/// Shape → Gather → Unsqueeze → Concat → Slice stays known, and Reshape gets symbolic extents.
TEST(Movement, FactsSurviveShapeArithmetic) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, {sym("b"), sym("s"), 768}));
  ValueId shape = b.add(ShapeOf{}, {x});
  ValueId batch = b.add(Gather{0}, {shape, b.constant(Tensor::scalar(int64_t{0}))});
  ValueId one = b.add(Reshape{{1}}, {batch});
  ValueId target = b.add(Concat{0}, {one, b.constant(Tensor::ints({-1, 12, 64, 7}))});
  ValueId cut = b.add(SliceDynamic{},
                      {target, b.constant(Tensor::ints({0})), b.constant(Tensor::ints({-1}))});
  ASSERT_TRUE(b.fact(cut).has_value());
  EXPECT_EQ(str(*b.fact(cut)), "[b, -1, 12, 64]");
  ValueId y = b.add(Reshape{}, {x, cut});
  EXPECT_EQ(b.type(y).str(), "f32[b, s, 12, 64]");
}

/// The pads of an exported pad: reshaped to pairs, reversed, transposed, flattened.
TEST(Movement, FactsSurviveRankTwo) {
  GraphBuilder b = make_builder();
  ValueId pads = b.constant(Tensor::ints({1, 2, 3, 4}));
  ValueId pairs = b.add(Reshape{{2, 2}}, {pads});
  ValueId reversed = b.add(Slice{{0}, {1}, {2}, {-1}}, {pairs});
  ValueId flat = b.add(Reshape{{4}}, {b.add(Transpose{{1, 0}}, {reversed})});
  ASSERT_TRUE(b.fact(flat).has_value());
  EXPECT_EQ(str(*b.fact(flat)), "[3, 1, 4, 2]");
}

void expect_user_error(const Op& op, const std::vector<Tensor>& inputs) {
  try {
    run(op, inputs);
    ADD_FAILURE() << op.label() << " accepted bad input";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser) << e.what();
  }
}

TEST(Movement, HostileInputIsRefused) {
  Tensor x = iota({3, 4});
  expect_user_error(Gather{0}, {x, Tensor::ints({3})});
  expect_user_error(Gather{0}, {x, Tensor::ints({-4})});
  expect_user_error(Gather{0}, {x, Tensor::ints({INT64_MIN})});
  expect_user_error(GatherElements{1}, {x, Tensor::ints({4}).reshaped({1, 1})});
  expect_user_error(GatherElements{1}, {x, Tensor(DType::kInt64, {4, 1})});
  expect_user_error(GatherND{0}, {x, Tensor::ints({0, 4})});
  expect_user_error(GatherND{0}, {x, Tensor::ints({0, 0, 0})});
  expect_user_error(ScatterElements{0}, {x, Tensor::ints({5}).reshaped({1, 1}), iota({1, 1})});
  expect_user_error(ScatterND{}, {x, Tensor::ints({3, 0}), Tensor::scalar(int64_t{1})});
  expect_user_error(Slice{{0}, {2}, {2}, {1}}, {x});
  expect_user_error(Slice{{0, 0}, {0, 0}, {1, 1}, {1, 1}}, {x});
  expect_user_error(SliceDynamic{}, {x, Tensor::ints({0}), Tensor::ints({1}), Tensor::ints({2})});
  expect_user_error(Transpose{{0, 0}}, {x});
  expect_user_error(Reshape{{5, 2}}, {x});
  expect_user_error(Reshape{}, {x, Tensor::ints({-1, -1})});
  expect_user_error(Reshape{}, {x, Tensor::ints({-2, 6})});
  expect_user_error(Reshape{}, {x, Tensor::ints({INT64_MAX, INT64_MAX})});
  expect_user_error(Expand{}, {x, Tensor::ints({-1})});
  expect_user_error(Tile{}, {x, Tensor::ints({INT64_MAX, INT64_MAX})});
  expect_user_error(Tile{}, {x, Tensor::ints({-1, 1})});
  expect_user_error(Pad{}, {x, Tensor::scalar(int64_t{0}), Tensor::ints({-4, 0, 0, 0})});
  expect_user_error(Pad{Pad::Mode::kEdge, {-3, 0, 1, 0}}, {x});
  expect_user_error(Compress{true, 0}, {x, Tensor::of<uint8_t>(DType::kBool, {4}, {0, 0, 0, 1})});
  expect_user_error(ReverseSequence{0, 1}, {x, Tensor::ints({4, 0, 0, 0})});
  expect_user_error(Range{}, {Tensor::scalar(int64_t{0}), Tensor::scalar(int64_t{5}),
                              Tensor::scalar(int64_t{0})});
}

}  // namespace
}  // namespace vitrify
