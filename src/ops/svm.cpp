// Support vector classification, one class against another, with Platt's probabilities.
#include <algorithm>
#include <cmath>

#include "ops/classic.h"
#include "ops/dispatch.h"

namespace vitrify {

namespace {

// (kernels f32[N, S], coefficients f32[C - 1, S], rho f32[pairs], vectors per class i64[C],
//  prob_a f32[pairs or 0], prob_b f32[the same]) → (scores f32[N, pairs, or C with probabilities],
//  class i64[N])

int64_t pair_count(int64_t classes) { return classes * (classes - 1) / 2; }

int64_t score_count(int64_t classes, bool probabilities) {
  return probabilities ? classes : pair_count(classes);
}

void infer_svm_classifier(InferContext& context) {
  require(context.input_count() == 6, "expected six inputs");
  for (int i = 0; i < 6; ++i) {
    context.expect_tensor(i);
    require(context.dtype(i) == (i == 3 ? DType::kInt64 : DType::kFloat32),
            "a table of a support vector machine has the wrong type");
    require(context.type(i).has_rank(), "expected inputs of known rank");
  }
  require(context.shape(0)->size() == 2, "expected kernels [N, S]");
  const Tensor *counts = context.constant(3), *prob = context.constant(4);
  require(counts && prob, "the tables of a support vector machine must be constants");
  const Dim& rows = context.shape(0)->front();
  context.output(
      Type::tensor(DType::kFloat32, {rows, Dim(score_count(counts->size(), prob->size() > 0))}));
  context.output(Type::tensor(DType::kInt64, {rows}));
}

struct Machine {
  Tensor kernels, coefficients, rho, counts, prob_a, prob_b;
  std::vector<int64_t> begins;  ///< of each class' vectors
  int64_t classes = 0, vectors = 0;
};

Machine read_machine(ReferenceCall& call) {
  Machine m{call.in(0), call.in(1), call.in(2), call.in(3), call.in(4), call.in(5), {}};
  m.classes = m.counts.size();
  int64_t pairs = pair_count(m.classes);
  for (int64_t n : m.counts.span<int64_t>()) {
    require(n >= 0, "a class has a negative number of support vectors");
    m.begins.push_back(m.vectors);
    m.vectors = checked_add(m.vectors, n);
  }
  bool fits = m.kernels.rank() == 2 && m.kernels.dims()[1] == m.vectors && m.classes >= 2 &&
              m.coefficients.size() == checked_mul(m.classes - 1, m.vectors) &&
              m.rho.size() == pairs && m.prob_a.size() == m.prob_b.size() &&
              (m.prob_a.size() == 0 || m.prob_a.size() == pairs);
  require(fits, "the tables of a support vector machine differ in length");
  return m;
}

/// Σ coefficient · kernel over the vectors of class `of`, in its contest with another.
double side(const Machine& m, const float* kernel, int64_t row, int64_t of) {
  double sum = 0;
  int64_t begin = m.begins[size_t(of)], count = m.counts.data<int64_t>()[of];
  for (int64_t k = begin; k < begin + count; ++k)
    sum += double(m.coefficients.data<float>()[row * m.vectors + k]) * double(kernel[k]);
  return sum;
}

/// Class probabilities from pairwise ones r (r[i][j]: i wins against j), the second method of Wu,
/// Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling"
/// (2004).
std::vector<double> couple(const std::vector<double>& r, int64_t classes) {
  auto n = size_t(classes);
  std::vector<double> q(n * n), p(n, 1.0 / double(classes)), qp(n);
  for (size_t t = 0; t < n; ++t)
    for (size_t j = 0; j < n; ++j) {
      if (j == t) continue;
      q[t * n + t] += r[j * n + t] * r[j * n + t];
      q[t * n + j] = -r[j * n + t] * r[t * n + j];
    }
  for (int round = 0; round < 100; ++round) {
    double pqp = 0, error = 0;
    for (size_t t = 0; t < n; ++t) {
      qp[t] = 0;
      for (size_t j = 0; j < n; ++j) qp[t] += q[t * n + j] * p[j];
      pqp += p[t] * qp[t];
    }
    for (size_t t = 0; t < n; ++t) error = std::max(error, std::fabs(qp[t] - pqp));
    if (error < 0.005 / double(classes)) break;
    for (size_t t = 0; t < n; ++t) {
      double step = (pqp - qp[t]) / q[t * n + t], scale = 1 / (1 + step);
      p[t] += step;
      pqp = (pqp + step * (step * q[t * n + t] + 2 * qp[t])) * scale * scale;
      for (size_t j = 0; j < n; ++j) {
        qp[j] = (qp[j] + step * q[t * n + j]) * scale;
        p[j] *= scale;
      }
    }
  }
  return p;
}

/// Platt's sigmoid, kept off 0 and 1.
double pair_probability(double score, double a, double b) {
  return std::clamp(1 / (1 + std::exp(score * a + b)), 1e-7, 1 - 1e-7);
}

void classify_row(const Machine& m, const float* kernel, float* scores, int64_t* label) {
  auto n = size_t(m.classes);
  std::vector<int> votes(n);
  std::vector<double> wins(n * n);
  int64_t pair = 0;
  for (int64_t i = 0; i < m.classes; ++i)
    for (int64_t j = i + 1; j < m.classes; ++j, ++pair) {
      double score =
          side(m, kernel, j - 1, i) + side(m, kernel, i, j) + double(m.rho.data<float>()[pair]);
      ++votes[size_t(score > 0 ? i : j)];
      if (m.prob_a.size() == 0) {
        scores[pair] = float(score);
        continue;
      }
      double p = pair_probability(score, double(m.prob_a.data<float>()[pair]),
                                  double(m.prob_b.data<float>()[pair]));
      wins[size_t(i) * n + size_t(j)] = p;
      wins[size_t(j) * n + size_t(i)] = 1 - p;
    }
  *label = std::max_element(votes.begin(), votes.end()) - votes.begin();
  if (m.prob_a.size() == 0) return;
  std::vector<double> p = couple(wins, m.classes);
  std::copy(p.begin(), p.end(), scores);
}

void reference_svm_classifier(ReferenceCall& call) {
  Machine m = read_machine(call);
  int64_t rows = m.kernels.dims()[0], width = score_count(m.classes, m.prob_a.size() > 0);
  Tensor& scores = call.out(0, DType::kFloat32, {rows, width});
  Tensor labels =
      call.wants(1) ? call.out(1, DType::kInt64, {rows}) : Tensor(DType::kInt64, {rows});
  for (int64_t r = 0; r < rows; ++r)
    classify_row(m, m.kernels.data<float>() + r * m.vectors, scores.data<float>() + r * width,
                 labels.data<int64_t>() + r);
}

constexpr ClassicRow kRows[] = {
    {"svm_classifier", infer_svm_classifier, reference_svm_classifier},
};

}  // namespace

std::span<const ClassicRow> svm_classics() { return kRows; }

}  // namespace vitrify
