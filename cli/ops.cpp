#include <iostream>
#include <map>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

struct Row {
  std::string since;
  Json backends;
};

void print_operators(const Json& operators) {
  std::map<std::pair<std::string, std::string>, Row> rows;
  for (const Json& one : operators) {
    const std::string domain = one["domain"];
    Row& row = rows[{domain.empty() ? "ai.onnx" : domain, one["op"]}];
    row.since += (row.since.empty() ? "" : ", ") + std::to_string(one["since_opset"].get<int>());
    row.backends = one["backends"];
  }
  std::string head = "| domain | operator | forms since opset |", rule = "|---|---|---|";
  for (const auto& backend : rows.begin()->second.backends.items())
    head += " " + backend.key() + " |", rule += "---|";
  std::cout << head << "\n" << rule << "\n";
  for (const auto& [op, row] : rows) {
    std::cout << "| " << op.first << " | " << op.second << " | " << row.since << " |";
    for (const auto& backend : row.backends.items())
      std::cout << (backend.value().get<bool>() ? " yes |" : " – |");
    std::cout << "\n";
  }
}

/// The text of docs/operators.md.
void print_markdown(const Json& about) {
  std::cout
      << "# Operators\n\nWritten by `vitrify ops` from the import and tactic tables. A form of an "
         "operator serves from its opset up to the next\nform's. Where a backend has no tactic "
         "for what a node becomes, its reference kernel runs it, and the build report names "
         "it.\n\n";
  print_operators(about["operators"]);
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
