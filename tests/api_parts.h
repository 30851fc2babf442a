// What tests of the public interface share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "model_bytes.h"
#include "vitrify/vitrify.hpp"

namespace api_parts {

using namespace model_bytes;  // NOLINT: a test

struct Files {
  std::filesystem::path folder;
  Files() {
    std::string name = testing::TempDir() + "/vitrify_api_XXXXXX";
    folder = mkdtemp(name.data());
  }
  ~Files() { std::filesystem::remove_all(folder); }
  std::string operator()(const std::string& name) const { return (folder / name).string(); }
  std::string model(const Model& m, const std::string& name = "m.onnx") const {
    write_file((*this)(name), to_bytes(m));
    return (*this)(name);
  }
};

inline std::vector<float> numbers(vitrify::ValueView v) {
  return {v.data<float>().begin(), v.data<float>().end()};
}

/// The message of a call that must fail as a user's mistake.
template <class F>
std::string user_error(F&& f) {
  try {
    f();
  } catch (const vitrify::Failure& e) {
    EXPECT_EQ(e.status(), VITRIFY_USER_ERROR) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "was accepted";
  return "";
}

inline void expect_part(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

}  // namespace api_parts
