// SPDX-License-Identifier: Apache-2.0
#include "src/util/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

using Clock = std::chrono::steady_clock;

// Ends the child's whole process group when an exception passes.
class Child {
 public:
  explicit Child(pid_t id) : id_(id) {}
  ~Child() {
    if (id_ <= 0) return;
    kill();
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() const { ::kill(-id_, SIGKILL); }
  int wait() {
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    id_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t id_;
};

[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment,
                         const char* folder, int output, int failure) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (*folder == '\0' || ::chdir(folder) == 0) {
    ::execvpe(argv[0], argv.data(), environment.data());
  }
  const int error = errno;
  if (::write(failure, &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& arguments,
                          const ProcessOptions& options) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!options.environment.contains(std::string(text.substr(0, text.find('='))))) {
      entries.emplace_back(text);
    }
  }
  for (const auto& [key, value] : options.environment) entries.push_back(key + "=" + value);
  std::vector<char*> environment;
  for (std::string& entry : entries) environment.push_back(entry.data());
  environment.push_back(nullptr);

  int output[2], failure[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(failure, O_CLOEXEC) != 0) {
    throw Error(fmt::format("can't start '{}': {}", arguments[0], std::strerror(errno)));
  }
  const pid_t id = ::fork();
  if (id == 0) become(argv, environment, options.folder.c_str(), output[1], failure[1]);
  const int fork_error = errno;
  ::close(output[1]);
  ::close(failure[1]);
  struct Closer {
    int a, b;
    ~Closer() { ::close(a), ::close(b); }
  } closer{output[0], failure[0]};
  if (id < 0)
    throw Error(fmt::format("can't start '{}': {}", arguments[0], std::strerror(fork_error)));
  Child child(id);
  ::setpgid(id, id);

  int error = 0;
  if (::read(failure[0], &error, sizeof error) == sizeof error) {
    throw Error(fmt::format("can't start '{}': {}", arguments[0], std::strerror(error)));
  }
  ProcessResult result;
  const Clock::time_point start = Clock::now();
  size_t seen = 0;
  for (;;) {
    pollfd ready = {output[0], POLLIN, 0};
    const int events = ::poll(&ready, 1, 100);
    check_interrupt();
    if (options.limit && Clock::now() - start > *options.limit) {
      result.timed_out = true;
      child.kill();
      break;
    }
    if (events <= 0) continue;
    char chunk[65536];
    const ssize_t got = ::read(output[0], chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    result.output.append(chunk, static_cast<size_t>(got));
    for (size_t end; options.line && (end = result.output.find('\n', seen)) != std::string::npos;
         seen = end + 1) {
      options.line(result.output.substr(seen, end - seen));
    }
  }
  result.status = child.wait();
  return result;
}

}  // namespace foldstream
