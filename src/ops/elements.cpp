#include "ops/elements.h"

#include <algorithm>
#include <cstring>

namespace vitrify {

namespace {
struct Nest {
  Dims dims, read, write;
};

/// Without axes of extent 1, and with neighbours merged that both sides walk as one.
Nest simplify(const Dims& dims, const Dims& read, const Dims& write) {
  Nest n;
  for (size_t a = 0; a < dims.size(); ++a) {
    if (dims[a] == 1) continue;
    bool merges = !n.dims.empty() && n.read.back() == read[a] * dims[a] &&
                  n.write.back() == write[a] * dims[a];
    if (merges) {
      n.dims.back() *= dims[a], n.read.back() = read[a], n.write.back() = write[a];
    } else {
      n.dims.push_back(dims[a]), n.read.push_back(read[a]), n.write.push_back(write[a]);
    }
  }
  if (n.dims.empty()) n = {{1}, {1}, {1}};
  return n;
}

template <class T>
void copy_row(const T* from, int64_t read, T* to, int64_t write, int64_t count) {
  if (read == 1 && write == 1)
    std::copy_n(from, count, to);
  else if (read == 0 && write == 1)
    std::fill_n(to, count, *from);
  else
    for (int64_t i = 0; i < count; ++i) to[i * write] = from[i * read];
}

template <class T>
void copy_nest(const Nest& n, const T* from, T* to) {
  size_t last = n.dims.size() - 1;
  Dims index(n.dims.size());
  for (;;) {
    copy_row(from, n.read[last], to, n.write[last], n.dims[last]);
    size_t a = last;
    while (a-- > 0) {
      from += n.read[a], to += n.write[a];
      if (++index[a] < n.dims[a]) break;
      from -= n.read[a] * n.dims[a], to -= n.write[a] * n.dims[a];
      index[a] = 0;
    }
    if (a == size_t(-1)) return;
  }
}
}  // namespace

void copy_strided(const Dims& dims, const Tensor& from, Walk read, Tensor& to, Walk write) {
  CHECK(from.dtype() == to.dtype() && read.strides.size() == dims.size() &&
        write.strides.size() == dims.size());
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return;
  Nest nest = simplify(dims, read.strides, write.strides);
  dispatch_bytes(from.dtype(), [&]<class T>() {
    copy_nest(nest, from.data<T>() + read.offset, to.data<T>() + write.offset);
  });
}

void copy_elements(const Tensor& from, int64_t k, Tensor& to, int64_t j, int64_t count) {
  CHECK(from.dtype() == to.dtype());
  if (count == 0) return;
  dispatch_bytes(from.dtype(),
                 [&]<class T>() { std::copy_n(from.data<T>() + k, count, to.data<T>() + j); });
}

void fill_elements(Tensor& to, const Tensor& from, int64_t k) {
  CHECK(from.dtype() == to.dtype());
  dispatch_bytes(from.dtype(),
                 [&]<class T>() { std::fill_n(to.data<T>(), to.size(), from.data<T>()[k]); });
}

bool next_index(Dims& index, const Dims& dims) {
  for (size_t a = dims.size(); a-- > 0;) {
    if (++index[a] < dims[a]) return true;
    index[a] = 0;
  }
  return false;
}

int64_t count_range(const Dims& dims, size_t begin, size_t end) {
  int64_t count = 1;
  for (size_t a = begin; a < end; ++a) count = checked_mul(count, dims[a]);
  return count;
}

std::vector<int64_t> read_indices(const Tensor& t, std::string_view what) {
  require(is_integer(t.dtype()), what, " must be integers, not ", name(t.dtype()));
  return to_ints(t);
}

}  // namespace vitrify
