#include "controller/repos/repos.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/chunks/store.h"
#include "controller/repos/worker_messages.h"
#include "controller/repos/worker_process.h"

namespace furrow {
namespace {

constexpr std::size_t kAtOnce = 2;

constexpr std::size_t kBytesARef = 64;           // bytes of a ref in a record, beside its texts
constexpr std::size_t kMaxRefsBytes = 32 << 20;  // bytes of a repository's refs

struct Task {
  std::uint64_t ticket = 0;  // the ticket of an import
  std::chrono::milliseconds timeout{};
  repos::WorkerRequest request;
};

struct Running {
  Task task;
  // The store hears that nothing is written any more after the child is reaped: the process comes later and ends first.
  std::unique_ptr<ChunkStore::OtherWriter> writes;
  std::unique_ptr<repos::WorkerProcess> process;
};

// Takes out the refs that no record can hold.
void Sift(RefsListed& listed) {
  std::size_t count = 0, bytes = 0;
  std::string first;
  std::erase_if(*listed.refs, [&](const auto& entry) {
    const auto& [name, commit] = entry;
    if (IsName(name) && name.size() <= kMaxAddressBytes) {
      bytes += name.size() + commit.size() + kBytesARef;
      return false;
    }
    if (count++ == 0) first = RepairedUtf8(ClippedUtf8(name, 100));
    return true;
  });
  if (count > 0)
    listed.left_out = std::to_string(count) + (count == 1 ? " ref is" : " refs are") +
                      " not watched, for its name is not UTF-8 or too long: " + first + (count > 1 ? ", …" : "");
  if (bytes > kMaxRefsBytes)
    listed.refs = Fail(Errc::kRejected, "the names of its refs take more than " + std::to_string(kMaxRefsBytes >> 20) +
                                            " MiB; delete refs that nobody needs");
}

}  // namespace

struct Repositories::Impl {
  RepositoryOptions options;
  OnImported on_imported;
  OnRefs on_refs;
  int wake = -1;  // an eventfd that says that there are new tasks or that the end has come
  std::thread thread;

  std::mutex mutex;
  std::deque<Task> given;  // guarded by mutex
  bool closing = false;    // guarded by mutex

  // ---- the thread's own ----
  std::deque<Task> waiting;
  std::vector<Running> running;
  std::map<std::string, std::string> left_out;  // repository → the refs that the log says are left out

  ~Impl() {
    if (wake >= 0) ::close(wake);
  }

  void Give(Task task) {
    task.request.mirrors = options.mirrors.string();
    task.request.blobs = options.blobs.string();
    task.request.allowed = options.allowed;
    task.timeout = options.timeout;
    {
      std::lock_guard lock(mutex);
      given.push_back(std::move(task));
    }
    Wake();
  }
  void Wake() {
    const std::uint64_t one = 1;
    while (::write(wake, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  void Run();
  void StartWaiting();
  void Wait();
  void Collect();
  void Report(const Task& task, Result<repos::WorkerReply> reply, bool progressed);
};

Result<std::unique_ptr<Repositories>> Repositories::Start(RepositoryOptions options, OnImported on_imported,
                                                          OnRefs on_refs) {
  std::error_code failed;
  std::filesystem::create_directories(options.mirrors, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot make the folder " + options.mirrors.string(), failed.value()));
  if (::access(options.program.c_str(), X_OK) != 0) {
    return tl::unexpected(ErrnoError("cannot run " + options.program.string() + " as repository worker", errno));
  }
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->on_imported = std::move(on_imported);
  impl->on_refs = std::move(on_refs);
  impl->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl->wake < 0) return tl::unexpected(ErrnoError("cannot start the repositories", errno));
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<Repositories>(new Repositories(std::move(impl)));
}

Repositories::Repositories(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Repositories::~Repositories() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->Wake();
  impl_->thread.join();
}

void Repositories::SetLimits(std::chrono::milliseconds timeout, std::vector<std::string> allowed) {
  impl_->options.timeout = timeout;
  impl_->options.allowed = std::move(allowed);
}

void Repositories::Import(std::uint64_t ticket, ImportRequest request) {
  Task task;
  task.ticket = ticket;
  task.request.import = std::move(request);
  impl_->Give(std::move(task));
}

void Repositories::ListRefs(std::string repository) {
  Task task;
  task.request.list_refs = true;
  task.request.import.repository = std::move(repository);
  impl_->Give(std::move(task));
}

void Repositories::Impl::Run() {
  for (;;) {
    {
      std::lock_guard lock(mutex);
      if (closing) break;
      while (!given.empty()) {
        waiting.push_back(std::move(given.front()));
        given.pop_front();
      }
    }
    StartWaiting();
    Wait();
    Collect();
  }
  running.clear();  // Kills the children.
}

// Starts waiting tasks in order. A task whose repository has a running child lets others pass, because the mirror and
// the cache belong to one child at a time.
void Repositories::Impl::StartWaiting() {
  for (auto task = waiting.begin(); task != waiting.end() && running.size() < kAtOnce;) {
    const std::string& repository = task->request.import.repository;
    const bool busy = std::ranges::any_of(
        running, [&](const Running& one) { return one.task.request.import.repository == repository; });
    if (busy) {
      ++task;
      continue;
    }
    Task taken = std::move(*task);
    task = waiting.erase(task);
    std::unique_ptr<ChunkStore::OtherWriter> writes;
    if (options.store != nullptr && !taken.request.list_refs)
      writes = std::make_unique<ChunkStore::OtherWriter>(*options.store);
    auto process = repos::WorkerProcess::Start(options, taken.timeout, taken.request);
    if (process) {
      running.push_back({std::move(taken), std::move(writes), std::move(*process)});
    } else {
      Report(taken, tl::unexpected(process.error()), false);
    }
  }
}

// Waits until a child has sent output or ended, its time is up, or there is a new task.
void Repositories::Impl::Wait() {
  std::vector<pollfd> fds{{wake, POLLIN, 0}};
  int timeout_ms = -1;
  for (const Running& one : running) {
    if (one.process->output() >= 0) fds.push_back({one.process->output(), POLLIN, 0});
    fds.push_back({one.process->exit(), POLLIN, 0});
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(one.process->deadline() - repos::WorkerProcess::Clock::now());
    const int left_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
    timeout_ms = timeout_ms < 0 ? left_ms : std::min(timeout_ms, left_ms);
  }
  ::poll(fds.data(), fds.size(), timeout_ms);
  std::uint64_t count;
  while (::read(wake, &count, sizeof(count)) < 0 && errno == EINTR) {
  }
}

void Repositories::Impl::Collect() {
  for (std::size_t i = 0; i < running.size();) {
    repos::WorkerProcess& process = *running[i].process;
    if (process.output() >= 0) process.Read();
    auto reply = process.Finish(repos::WorkerProcess::Clock::now());
    if (!reply) {
      ++i;
      continue;
    }
    const Task task = std::move(running[i].task);
    const bool progressed = process.progressed();
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    Report(task, std::move(*reply), progressed);
  }
}

void Repositories::Impl::Report(const Task& task, Result<repos::WorkerReply> reply, bool progressed) {
  if (reply) {
    if (auto* error = std::get_if<Error>(&*reply)) reply = tl::unexpected(std::move(*error));
  }
  const Error confused{Errc::kInternal, "the repository worker answered something else than was asked"};
  if (task.request.list_refs) {
    RefsListed listed{task.request.import.repository, tl::unexpected(reply ? confused : reply.error()), ""};
    if (reply && std::holds_alternative<repos::Look>(*reply)) {
      auto& look = std::get<repos::Look>(*reply);
      listed.refs = std::move(look.refs);
      listed.identity = std::move(look.identity);
      listed.hooked = look.hooked;
      Sift(listed);
    }
    std::string& known = left_out[listed.repository];
    if (known != listed.left_out && !listed.left_out.empty())
      log::Warning("{}: {}", listed.repository, listed.left_out);
    known = listed.left_out;
    on_refs(std::move(listed));
    return;
  }
  Result<ImportedCommit> imported = tl::unexpected(reply ? confused : reply.error());
  if (reply && std::holds_alternative<ImportedCommit>(*reply)) imported = std::get<ImportedCommit>(std::move(*reply));
  if (imported && options.store != nullptr) {
    if (Status synced = options.store->SyncPresence(); !synced) imported = tl::unexpected(synced.error());
  }
  if (imported) imported->repository = task.request.import.repository;
  on_imported(task.ticket, std::move(imported), progressed);
}

}  // namespace furrow
