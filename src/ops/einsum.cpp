#include <algorithm>
#include <cctype>
#include <map>

#include "ops/contraction.h"
#include "ops/working.h"

namespace vitrify {

namespace {

/// One operand's or the result's term: letters, with '.' for the ellipsis.
std::string clean_term(const std::string& text) {
  std::string term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.compare(i, 3, "...") == 0) {
      require(term.find('.') == std::string::npos, "a term of the equation has two ellipses");
      term += '.', i += 2;
      continue;
    }
    require(std::isalpha(static_cast<unsigned char>(text[i])), "'", std::string(1, text[i]),
            "' in the equation is no letter");
    term += text[i];
  }
  return term;
}

std::vector<std::string> split_terms(const std::string& text) {
  std::vector<std::string> terms;
  for (size_t begin = 0;;) {
    size_t end = text.find(',', begin);
    terms.push_back(clean_term(text.substr(begin, end - begin)));
    if (end == std::string::npos) return terms;
    begin = end + 1;
  }
}

/// The result when the equation does not say: the ellipsis, then the letters used once, in order.
std::string implied_output(const std::vector<std::string>& terms) {
  std::map<char, int> uses;
  for (const auto& term : terms)
    for (char c : term) ++uses[c];
  std::string output = uses.count('.') ? "." : "";
  for (auto [c, count] : uses)
    if (c != '.' && count == 1) output += c;
  return output;
}

/// A term with each '.' written out as `ellipsis` axes.
std::vector<int> label_axes(const std::string& term, int own, int ellipsis,
                            std::map<char, int>& letters, int& next) {
  std::vector<int> labels;
  for (char c : term) {
    if (c == '.') {
      for (int i = ellipsis - own; i < ellipsis; ++i) labels.push_back(i);
      continue;
    }
    auto [at, added] = letters.emplace(c, next);
    next += added;
    labels.push_back(at->second);
  }
  return labels;
}

/// The axes that a term's ellipsis stands for.
int ellipsis_axes(const std::string& term, int rank) {
  bool open = term.find('.') != std::string::npos;
  int own = rank - int(term.size()) + open;
  require(open ? own >= 0 : own == 0, "the equation's term '", term,
          "' does not fit an operand of rank ", rank);
  return own;
}

}  // namespace

EinsumLabels parse_einsum(const std::string& equation, const std::vector<int>& ranks) {
  size_t arrow = equation.find("->");
  auto terms = split_terms(equation.substr(0, arrow));
  require(terms.size() == ranks.size(), "the equation '", equation, "' has ", terms.size(),
          " operands, the node ", ranks.size());
  std::string output =
      arrow == std::string::npos ? implied_output(terms) : clean_term(equation.substr(arrow + 2));
  int ellipsis = 0;
  for (size_t i = 0; i < terms.size(); ++i)
    ellipsis = std::max(ellipsis, ellipsis_axes(terms[i], ranks[i]));
  EinsumLabels result;
  std::map<char, int> letters;
  int next = ellipsis;
  for (size_t i = 0; i < terms.size(); ++i)
    result.inputs.push_back(
        label_axes(terms[i], ellipsis_axes(terms[i], ranks[i]), ellipsis, letters, next));
  result.labels = next;
  result.output = label_axes(output, ellipsis, ellipsis, letters, next);
  require(next == result.labels, "the equation '", equation,
          "' has letters in its result that no operand has");
  std::vector<int> sorted = result.output;
  std::sort(sorted.begin(), sorted.end());
  require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "the equation '",
          equation, "' repeats a letter in its result");
  return result;
}

namespace {

std::vector<Dim> label_extents(const EinsumLabels& labels, const std::vector<Shape>& shapes) {
  std::vector<Dim> extents(size_t(labels.labels), 1);
  for (size_t i = 0; i < shapes.size(); ++i)
    for (size_t a = 0; a < shapes[i].size(); ++a) {
      Dim& extent = extents[size_t(labels.inputs[i][a])];
      extent = broadcast(extent, shapes[i][a]);
    }
  return extents;
}

EinsumLabels labels_of(const std::string& equation, const std::vector<Shape>& shapes) {
  std::vector<int> ranks;
  for (const Shape& s : shapes) ranks.push_back(int(s.size()));
  return parse_einsum(equation, ranks);
}

/// The loop nest: result labels outside, summed ones inside.
struct EinsumLoop {
  Dims extents;
  std::vector<Dims> strides;  ///< per operand, then the result; 0 where it has no such label
};

EinsumLoop einsum_loop(const EinsumLabels& labels, const std::vector<Shape>& shapes) {
  std::vector<int> order = labels.output;
  for (int l = 0; l < labels.labels; ++l)
    if (std::find(order.begin(), order.end(), l) == order.end()) order.push_back(l);
  std::vector<Dim> extents = label_extents(labels, shapes);
  EinsumLoop loop;
  for (int l : order) loop.extents.push_back(extents[size_t(l)].value());
  auto place = [&](int label) {
    return size_t(std::find(order.begin(), order.end(), label) - order.begin());
  };
  for (size_t i = 0; i < shapes.size(); ++i) {
    Dims strides(order.size()), own;
    for (const Dim& d : shapes[i]) own.push_back(d.value());
    Dims dense = dense_strides(own);
    for (size_t a = 0; a < own.size(); ++a)
      if (own[a] != 1) strides[place(labels.inputs[i][a])] += dense[a];
    loop.strides.push_back(strides);
  }
  Dims result(loop.extents.begin(), loop.extents.begin() + int64_t(labels.output.size()));
  Dims strides = dense_strides(result);
  strides.resize(order.size());
  loop.strides.push_back(strides);
  return loop;
}

template <class T>
void sum_products(const EinsumLoop& loop, const std::vector<Working<T>>& operands,
                  Accumulator<T>* y) {
  size_t axes = loop.extents.size(), count = operands.size();
  for (int64_t e : loop.extents)
    if (e == 0) return;
  int64_t inner = axes ? loop.extents.back() : 1;
  Dims index(axes);
  std::vector<int64_t> at(count + 1), step(count + 1);
  for (size_t o = 0; axes && o <= count; ++o) step[o] = loop.strides[o].back();
  for (;;) {
    for (int64_t j = 0; j < inner; ++j) {
      Accumulator<T> product = 1;
      for (size_t o = 0; o < count; ++o)
        product *= Accumulator<T>(operands[o][at[o] + j * step[o]]);
      y[at[count] + j * step[count]] += product;
    }
    size_t a = axes ? axes - 1 : 0;
    while (a-- > 0) {
      for (size_t o = 0; o <= count; ++o) at[o] += loop.strides[o][a];
      if (++index[a] < loop.extents[a]) break;
      for (size_t o = 0; o <= count; ++o) at[o] -= loop.strides[o][a] * loop.extents[a];
      index[a] = 0;
    }
    if (a == size_t(-1)) return;
  }
}

}  // namespace

void infer_einsum(InferContext& context) {
  const Einsum& op = *context.op().as<Einsum>();
  require(context.input_count() > 0, "einsum needs an operand");
  std::vector<Shape> shapes;
  DType dtype = context.dtype(0);
  bool ranked = true;
  for (int i = 0; i < context.input_count(); ++i) {
    context.expect_tensor(i);
    require(context.dtype(i) == dtype, "all operands need one element type");
    if (context.shape(i))
      shapes.push_back(*context.shape(i));
    else
      ranked = false;
  }
  require(is_float(dtype) || is_integer(dtype), "no product of ", name(dtype));
  if (!ranked) return context.output(Type::unranked(dtype));
  EinsumLabels labels = labels_of(op.equation, shapes);
  std::vector<Dim> extents = label_extents(labels, shapes);
  Shape shape;
  for (int l : labels.output) shape.push_back(extents[size_t(l)]);
  context.output(Type::tensor(dtype, shape));
}

void reference_einsum(ReferenceCall& call) {
  const Einsum& op = *call.op().as<Einsum>();
  std::vector<Shape> shapes;
  for (int i = 0; i < call.input_count(); ++i) shapes.push_back(to_shape(call.in(i).dims()));
  EinsumLabels labels = labels_of(op.equation, shapes);
  EinsumLoop loop = einsum_loop(labels, shapes);
  Dims dims(loop.extents.begin(), loop.extents.begin() + int64_t(labels.output.size()));
  with_working_type(call.in(0).dtype(), [&]<class T>(T) {
    std::vector<Working<T>> operands;
    operands.reserve(size_t(call.input_count()));
    for (int i = 0; i < call.input_count(); ++i) operands.emplace_back(call.in(i));
    std::vector<Accumulator<T>> y(size_t(element_count(dims)));
    sum_products<T>(loop, operands, y.data());
    store_working(y.data(), call.out(0, call.in(0).dtype(), dims));
  });
}

Cost cost_einsum(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  std::vector<Shape> shapes;
  double bytes = double(element_count(outputs[0])), flops = 2;
  for (const Dims& d : inputs) {
    shapes.push_back(to_shape(d));
    bytes += double(element_count(d));
  }
  for (const Dim& e : label_extents(labels_of(op.as<Einsum>()->equation, shapes), shapes))
    flops *= double(e.value());
  return {flops, 4 * bytes};
}

}  // namespace vitrify
