#include <iostream>
#include <map>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

/// "fast", "reference", or which types are fast; of a row's classes of types on one backend.
std::string describe_types(const Json& types) {
  std::string fast;
  bool all = true;
  for (const auto& one : types.items()) {
    all &= one.value() == "fast";
    if (one.value() == "fast") fast += (fast.empty() ? "" : ", ") + one.key();
  }
  return all ? "fast" : fast.empty() ? "reference" : "fast: " + fast + "; reference: the rest";
}

struct Row {
  std::string since;
  Json backends, kernels;
};

std::string describe_row(const Row& row, const std::string& backend) {
  if (!row.backends[backend].get<bool>()) return "–";
  return row.kernels.is_null() ? "other ops" : describe_types(row.kernels[backend]);
}

void print_head(const std::string& names, const Json& backends) {
  std::string head = names, rule;
  for (const auto& backend : backends.items()) head += " " + backend.key() + " |";
  for (char c : head.substr(1)) rule += c == '|' ? "---|" : "";
  std::cout << head << "\n|" << rule << "\n";
}

void print_operators(const Json& operators) {
  std::map<std::pair<std::string, std::string>, Row> rows;
  for (const Json& one : operators) {
    const std::string domain = one["domain"];
    Row& row = rows[{domain.empty() ? "ai.onnx" : domain, one["op"]}];
    row.since += (row.since.empty() ? "" : ", ") + std::to_string(one["since_opset"].get<int>());
    row.backends = one["backends"], row.kernels = one["kernels"];
  }
  print_head("| domain | operator | forms since opset |", rows.begin()->second.backends);
  for (const auto& [op, row] : rows) {
    std::cout << "| " << op.first << " | " << op.second << " | " << row.since << " |";
    for (const auto& backend : row.backends.items())
      std::cout << " " << describe_row(row, backend.key()) << " |";
    std::cout << "\n";
  }
}

void print_kernels(const Json& kernels) {
  std::cout << "\n## Kernels\n\n";
  print_head("| op |", kernels.begin().value());
  for (const auto& row : kernels.items()) {
    std::cout << "| " << row.key() << " |";
    for (const auto& types : row.value().items())
      std::cout << " " << describe_types(types.value()) << " |";
    std::cout << "\n";
  }
}

/// The text of docs/operators.md.
void print_markdown(const Json& about) {
  std::cout << R"(# Operators

Written by `vitrify ops` from the tables of importers, ops and tactics. A form of an operator serves from its opset up to
the next form's. The columns of backends tell of the op that has the operator's name:

- *fast*: some tactic takes samples of these types; other forms may be refused.
- *reference*: runs in every form, but on the plain reference kernel; the build report names such steps. f16 and bf16 mostly
  escape it: pass `widen_halves` computes them in f32 where that is fast.
- *other ops*: it becomes ops of other names, see [Kernels](#kernels). With parameters known at import, one with an op of
  its own may, too: `Unsqueeze` is a reshape then.

Types that the samples leave out are not told.

)";
  print_operators(about["operators"]);
  print_kernels(about["kernels"]);
  std::cout << "\n## Tactics\n\n| backend | op | tactic | version |\n|---|---|---|---|\n";
  for (const Json& t : about["tactics"])
    std::cout << "| " << t["backend"].get<std::string>() << " | " << t["op"].get<std::string>()
              << " | " << t["tactic"].get<std::string>() << " | " << t["version"] << " |\n";
}

}  // namespace

Command ops_command() {
  auto json = std::make_shared<bool>(false);
  return {"ops",
          "List the operators that are supported",
          {{"--json", json.get(), "print one JSON object"}},
          [json] {
            char* text = nullptr;
            detail::check(vitrify_list_ops(&text));
            const Json about = Json::parse(detail::take(text));
            *json ? print_json(about) : print_markdown(about);
          }};
}

}  // namespace vitrify::cli
