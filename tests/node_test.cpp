// Runs ONNX's own backend node tests, which the `onnx` Python package carries.
//
//   node_test [--data FOLDER] [--mode interpret|engine|engine-nopasses|all] [--filter TEXT]
//             [--list-failures] [--jobs N]
//
// Cases run in child processes, so that one that crashes or hangs fails alone. Cases named in
// tests/node_exceptions.txt must fail; all others must pass, but those of training operators, which
// are out of scope and counted apart.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>

#include "node_case.h"

namespace vitrify::node_test {
namespace {

constexpr size_t kExpectedCases = 1765, kMaxExceptions = 40;
constexpr unsigned kSecondsPerCase = 120;

struct Options {
  fs::path data;
  std::vector<std::pair<std::string, Mode>> modes;
  std::string filter;
  bool list_failures = false;
  size_t jobs = 2;
};

const std::pair<std::string, Mode> kModes[] = {{"interpret", Mode::kInterpret},
                                               {"engine", Mode::kEngine},
                                               {"engine-nopasses", Mode::kEngineWithoutPasses}};

std::vector<Case> find_cases(const fs::path& data) {
  std::vector<Case> cases;
  for (std::string_view group : {"node", "simple", "pytorch-converted", "pytorch-operator"})
    for (const auto& entry : fs::directory_iterator(data / group)) {
      Case c{entry.path().filename().string(), entry.path() / "model.onnx", {}};
      if (!fs::exists(c.model)) continue;
      for (const auto& set : fs::directory_iterator(entry.path()))
        if (set.is_directory()) c.data.push_back(set.path());
      std::sort(c.data.begin(), c.data.end());
      if (c.data.empty()) throw Error(ErrorKind::kUser, "no data in " + entry.path().string());
      cases.push_back(std::move(c));
    }
  for (const auto& entry : fs::directory_iterator(data / "light"))
    if (entry.path().extension() == ".onnx")
      cases.push_back({entry.path().stem().string(), entry.path(), {}});
  std::sort(cases.begin(), cases.end(), [](auto& a, auto& b) { return a.name < b.name; });
  return cases;
}

// ---- Workers ----

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, 300);
}

/// In the child: "S index" before and "P|F|O index reason" after every case.
[[noreturn]] void work(const std::vector<Case>& cases, const std::vector<size_t>& chunk, Mode mode,
                       int pipe) {
  auto say = [&](char what, size_t i, const std::string& reason) {
    std::string line = cat(what, " ", i, " ", one_line(reason), "\n");
    if (write(pipe, line.data(), line.size()) < 0) _exit(3);
  };
  for (size_t i : chunk) {
    say('S', i, "");
    alarm(kSecondsPerCase);
    Verdict v = run_case(cases[i], mode);
    alarm(0);
    say("PFO"[int(v.kind)], i, v.reason);
  }
  _exit(0);
}

struct Worker {
  pid_t pid = -1;
  int pipe = -1;
  std::vector<size_t> chunk;
  std::string text;
  size_t next = 0;       ///< of the chunk: the first case without a verdict
  bool running = false;  ///< that case has begun
};

class Pool {
 public:
  Pool(const std::vector<Case>& cases, Mode mode, size_t jobs, std::vector<Verdict>& verdicts)
      : cases_(cases), mode_(mode), jobs_(jobs), verdicts_(verdicts) {
    constexpr size_t kChunk = 25;
    for (size_t i = 0; i < cases.size(); i += kChunk) {
      waiting_.emplace_back();
      for (size_t k = i; k < std::min(i + kChunk, cases.size()); ++k) waiting_.back().push_back(k);
    }
  }

  void run() {
    while (!waiting_.empty() || !workers_.empty()) {
      while (!waiting_.empty() && workers_.size() < jobs_) start();
      std::vector<pollfd> polls;
      for (const Worker& w : workers_) polls.push_back({w.pipe, POLLIN, 0});
      poll(polls.data(), polls.size(), -1);
      for (size_t i = polls.size(); i-- > 0;)
        if (polls[i].revents && !read_some(workers_[i])) {
          finish(workers_[i]);
          workers_.erase(workers_.begin() + long(i));
        }
    }
  }

 private:
  void start() {
    int ends[2];
    if (pipe(ends) != 0) throw Error(ErrorKind::kInternal, "no pipe");
    Worker w{.chunk = std::move(waiting_.front())};
    waiting_.pop_front();
    w.pid = fork();
    if (w.pid < 0) throw Error(ErrorKind::kInternal, "cannot fork");
    if (w.pid == 0) {
      close(ends[0]);
      work(cases_, w.chunk, mode_, ends[1]);
    }
    close(ends[1]);
    w.pipe = ends[0];
    workers_.push_back(std::move(w));
  }

  bool read_some(Worker& w) {
    char buffer[4096];
    ssize_t n = read(w.pipe, buffer, sizeof buffer);
    if (n <= 0) return false;
    w.text.append(buffer, size_t(n));
    for (size_t end; (end = w.text.find('\n')) != std::string::npos; w.text.erase(0, end + 1))
      take_line(w, w.text.substr(0, end));
    return true;
  }

  void take_line(Worker& w, const std::string& line) {
    if (line[0] == 'S') {
      w.running = true;
      return;
    }
    size_t space = line.find(' ', 2);
    size_t i = std::stoul(line.substr(2, space - 2));
    auto kind = line[0] == 'P'   ? Verdict::Kind::kPass
                : line[0] == 'F' ? Verdict::Kind::kFail
                                 : Verdict::Kind::kOut;
    verdicts_[i] = {kind, line.substr(space + 1)};
    w.running = false;
    ++w.next;
  }

  /// The child has ended: a case without a verdict has crashed, and those after it run again.
  void finish(Worker& w) {
    int status = 0;
    close(w.pipe);
    waitpid(w.pid, &status, 0);
    if (w.next >= w.chunk.size()) return;
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    std::string why = signal == SIGALRM ? cat("took longer than ", kSecondsPerCase, " s")
                      : signal          ? cat("crashed: ", strsignal(signal))
                                        : cat("ended the process, status ", status);
    verdicts_[w.chunk[w.next]] = {Verdict::Kind::kFail, why};
    std::vector<size_t> rest(w.chunk.begin() + long(w.next) + 1, w.chunk.end());
    if (!rest.empty()) waiting_.push_front(std::move(rest));
  }

  const std::vector<Case>& cases_;
  Mode mode_;
  size_t jobs_;
  std::vector<Verdict>& verdicts_;
  std::deque<std::vector<size_t>> waiting_;
  std::vector<Worker> workers_;
};

// ---- Verdicts ----

using Exceptions = std::map<std::string, std::string>;

/// Lines "name: reason"; '#' begins a comment.
Exceptions read_exceptions(const fs::path& path) {
  Exceptions exceptions;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    size_t colon = line.find(": ");
    if (colon == std::string::npos || colon + 2 >= line.size())
      throw Error(ErrorKind::kUser, "an exception without a reason: " + line);
    exceptions[line.substr(0, colon)] = line.substr(colon + 2);
  }
  if (exceptions.size() > kMaxExceptions)
    throw Error(ErrorKind::kUser, cat(exceptions.size(), " exceptions; at most ", kMaxExceptions));
  return exceptions;
}

/// Prints the outcome; the number of cases that are not as they should be.
int judge(const std::string& mode, const std::vector<Case>& cases,
          const std::vector<Verdict>& verdicts, const Exceptions& exceptions, bool list) {
  int passed = 0, failed = 0, excepted = 0;
  std::vector<std::string> out;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& [kind, reason] = verdicts[i];
    bool listed = exceptions.count(cases[i].name) > 0;
    if (kind == Verdict::Kind::kOut) {
      out.push_back(cases[i].name);
    } else if (listed && kind == Verdict::Kind::kFail) {
      ++excepted;
    } else if (listed || kind == Verdict::Kind::kFail) {
      ++failed;
      std::printf("FAILED %s: %s\n", cases[i].name.c_str(),
                  listed ? "passes, but is listed as an exception" : reason.c_str());
    } else {
      ++passed;
    }
  }
  if (list)
    for (const auto& name : out) std::printf("out    %s: training operator\n", name.c_str());
  std::printf("%s: %d passed, %d failed, %d exceptions, %zu out of scope\n", mode.c_str(), passed,
              failed, excepted, out.size());
  std::fflush(stdout);
  return failed;
}

Options parse(int count, char** arguments) {
  Options options;
  std::string mode = "all";
  for (int i = 1; i < count; ++i) {
    std::string a = arguments[i];
    auto value = [&] { return i + 1 < count ? arguments[++i] : ""; };
    if (a == "--data")
      options.data = value();
    else if (a == "--mode")
      mode = value();
    else if (a == "--filter")
      options.filter = value();
    else if (a == "--jobs")
      options.jobs = std::max(1, std::atoi(value()));
    else if (a == "--list-failures")
      options.list_failures = true;
    else
      throw Error(ErrorKind::kUser, "unknown option " + a);
  }
  for (const auto& m : kModes)
    if (mode == "all" || mode == m.first) options.modes.push_back(m);
  if (options.modes.empty()) throw Error(ErrorKind::kUser, "unknown mode " + mode);
  if (options.data.empty()) options.data = find_onnx_data();
  if (options.data.empty())
    throw Error(ErrorKind::kUser, "ONNX's node tests are not there: no .venv with onnx, no --data");
  return options;
}

void check_counts(const std::vector<Case>& cases, const Exceptions& exceptions,
                  const Options& options) {
  size_t node_cases = size_t(std::distance(fs::directory_iterator(options.data / "node"), {}));
  if (node_cases < kExpectedCases)
    throw Error(ErrorKind::kUser, cat("only ", node_cases, " node cases in ", options.data.string(),
                                      ", expected at least ", kExpectedCases));
  for (const auto& [name, reason] : exceptions)
    if (std::none_of(cases.begin(), cases.end(), [&](const Case& c) { return c.name == name; }))
      throw Error(ErrorKind::kUser, "the exception " + name + " is no case");
}

int run(int count, char** arguments) {
  Options options = parse(count, arguments);
  std::vector<Case> cases = find_cases(options.data);
  Exceptions exceptions = read_exceptions("tests/node_exceptions.txt");
  check_counts(cases, exceptions, options);
  std::erase_if(cases, [&](const Case& c) { return c.name.find(options.filter) == c.name.npos; });
  int failed = cases.empty();
  for (const auto& [name, mode] : options.modes) {
    std::vector<Case> chosen = cases;  // light models take minutes on reference kernels
    if (mode == Mode::kInterpret)
      std::erase_if(chosen, [](const Case& c) { return c.data.empty(); });
    std::vector<Verdict> verdicts(chosen.size());
    Pool(chosen, mode, options.jobs, verdicts).run();
    failed += judge(name, chosen, verdicts, exceptions, options.list_failures);
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace vitrify::node_test

int main(int count, char** arguments) {
  try {
    return vitrify::node_test::run(count, arguments);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
