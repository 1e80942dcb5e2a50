#include "agent/join/enrol.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "agent/join/enrolment.h"
#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/base/program.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/enrol/client.h"
#include "common/enrol/line.h"
#include "common/wire/protocol_version.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

constexpr auto kReach = std::chrono::seconds(10);
constexpr auto kAnswer = std::chrono::seconds(15);
constexpr int kBusyTries = 5;
constexpr std::size_t kMostLineBytes = 4096;

// Holds why the enrolment ended: the exit status for programs and the message for people.
struct Ending {
  int status = kEnrolFailed;
  std::string message;
};
template <class T>
using Step = tl::expected<T, Ending>;

tl::unexpected<Ending> End(int status, std::string message) {
  return tl::unexpected(Ending{status, std::move(message)});
}
tl::unexpected<Ending> End(const Error& error) {
  return End(error.code == Errc::kInvalid ? kEnrolUsage : kEnrolFailed, error.message);
}

int ExitOf(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kNone: return kEnrolFailed;
    case Obstacle::kNoSuchHost: return kEnrolNoSuchHost;
    case Obstacle::kNoRoute: return kEnrolNoRoute;
    case Obstacle::kTimeout: return kEnrolTimeout;
    case Obstacle::kNothingListens: return kEnrolNothingListens;
    case Obstacle::kNotFurrow: return kEnrolNotFurrow;
    case Obstacle::kWrongKey: return kEnrolWrongKey;
    case Obstacle::kClosedPort: return kEnrolClosedPort;
    case Obstacle::kNoAnswer: return kEnrolNoAnswer;
  }
  return kEnrolFailed;
}

int ExitOf(EnrolRefusal refusal) {
  switch (refusal) {
    case EnrolRefusal::kUnknown: return kEnrolUnknown;
    case EnrolRefusal::kRevoked: return kEnrolRevoked;
    case EnrolRefusal::kWrongSecret: return kEnrolWrongSecret;
    case EnrolRefusal::kExpired: return kEnrolExpired;
    case EnrolRefusal::kUsedUp: return kEnrolUsedUp;
    case EnrolRefusal::kNameTaken: return kEnrolNameTaken;
    case EnrolRefusal::kKeyTaken: return kEnrolKeyTaken;
    case EnrolRefusal::kBadName: return kEnrolBadName;
    case EnrolRefusal::kNoCommonVersion: return kEnrolVersion;
    case EnrolRefusal::kBusy: return kEnrolBusy;
  }
  return kEnrolFailed;
}

// ---- the line ----------------------------------------------------------------------------------------------

Step<EnrolLine> ReadLine(const EnrolOptions& options) {
  std::string text = options.line;
  if (!options.file.empty()) {
    auto read = ReadFile(options.file, kMostLineBytes);
    if (!read) return End(kEnrolUsage, read.error().message);
    text = std::move(*read);
  } else if (text == "-") {
    text.clear();
    std::getline(std::cin, text);
  }
  auto line = ParseEnrolLine(text);
  if (!line) return End(line.error());
  return *line;
}

// ---- the state folder --------------------------------------------------------------------------------------

// Owns the files of one enrolment under way. The destructor removes the new files that are not kept.
class EnrolmentFolder {
 public:
  explicit EnrolmentFolder(const AgentConfig& config) : state_(config.state), key_(KeyFileOf(config)) {}
  ~EnrolmentFolder() {
    std::error_code ignored;
    if (made_pending_ && !keep_pending_) {
      fs::remove(Pending().string() + ".pub", ignored);  // first, for a public half without its secret is refused
      fs::remove(Pending(), ignored);
    }
    if (made_lock_ && !done_) fs::remove(state_ / "enrol.lock", ignored);
    if (made_folder_ && !done_ && !keep_pending_) fs::remove(state_, ignored);  // removes only an empty folder
  }

  // Makes a missing folder, takes on the folder's owner, and keeps others from enrolling at the same time.
  Step<void> Enter() {
    std::error_code error;
    made_folder_ = !fs::exists(state_, error);
    if (const Status made = MakeFolders(state_.string()); !made) return End(made.error());
    if (auto owned = BecomeOwner(); !owned) return owned;
    const fs::path path = state_ / "enrol.lock";
    made_lock_ = !fs::exists(path, error);
    lock_ = FileHandle(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock_) return End(ErrnoError("cannot write to the state folder: " + path.string(), errno));
    if (::flock(lock_.Get(), LOCK_EX | LOCK_NB) != 0)
      return End(kEnrolFailed, "another `furrow-agent enrol` is at work in " + state_.string());
    return {};
  }

  // Fails if an agent is running: its session uses the old key, which must not be replaced meanwhile.
  Step<void> LockOutAgent() {
    const std::string path = (state_ / "lock").string();
    agent_lock_ = FileHandle(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!agent_lock_) return End(ErrnoError(path, errno));
    if (::flock(agent_lock_.Get(), LOCK_EX | LOCK_NB) != 0)
      return End(kEnrolFailed,
                 "furrow-agent is running here; stop it (systemctl stop furrow-agent), enrol with "
                 "--replace, and start it again");
    return {};
  }

  // Returns the key for the proof: the machine's own, or else (or if `fresh`) a new key, which becomes the machine's
  // own when the controller accepts it.
  Step<KeyPair> Key(bool fresh) {
    std::error_code error;
    use_own_ = !fresh && fs::exists(key_, error);
    made_pending_ = !use_own_;
    const auto keys = LoadOrMakeKeyPair(use_own_ ? key_ : Pending());
    if (!keys) return End(keys.error());
    return *keys;
  }

  // Keeps the new key after a lost answer: the next try has to use the same key.
  void KeepPending() { keep_pending_ = true; }

  Step<void> Install(const Enrolment& enrolment, bool replaced) {
    keep_pending_ = true;  // The controller has accepted the key: from here on another try must find the key.
    std::error_code error;
    if (replaced) fs::remove(state_ / "incarnation", error);  // The old incarnation's jobs belong to the old farm.
    if (!use_own_) {
      // At each moment a secret has its own public half, or none, which is made again.
      for (const fs::path& secret : {key_, Pending()}) fs::remove(secret.string() + ".pub", error);
      fs::rename(Pending(), key_, error);
      if (error) return End(ErrnoError("cannot write " + key_.string(), error.value()));
      if (const auto installed = LoadOrMakeKeyPair(key_); !installed) return End(installed.error());
    }
    if (const Status written = WriteEnrolment(state_, enrolment); !written) return End(written.error());
    done_ = true;
    return {};
  }

 private:
  fs::path Pending() const { return state_ / "enrol.key"; }

  // Makes root act as the folder's owner, usually furrow-agent, so that all files get this owner.
  Step<void> BecomeOwner() const {
    struct stat status {};
    if (::stat(state_.c_str(), &status) != 0) return End(ErrnoError(state_.string(), errno));
    if (::geteuid() != 0 || status.st_uid == 0) return {};
    const passwd* owner = ::getpwuid(status.st_uid);
    const int grouped = owner != nullptr ? ::initgroups(owner->pw_name, status.st_gid) : ::setgroups(0, nullptr);
    if (grouped != 0 || ::setgid(status.st_gid) != 0 || ::setuid(status.st_uid) != 0)
      return End(ErrnoError("cannot become the owner of " + state_.string(), errno));
    return {};
  }

  const fs::path state_, key_;
  FileHandle lock_, agent_lock_;
  bool made_folder_ = false, made_lock_ = false, made_pending_ = false;
  bool keep_pending_ = false, use_own_ = false, done_ = false;
};

// ---- the conversation --------------------------------------------------------------------------------------

Step<EnrolReply> AskOnce(EnrolClient& client, const EnrolLine& line, const KeyPair& keys, const std::string& name,
                         EnrolmentFolder& folder) {
  auto begun =
      client.Ask(EnrolBegin{0, kOldestProtocol, kNewestProtocol, std::string("furrow-agent ") + kVersion}, kAnswer);
  if (!begun) return End(ExitOf(begun.error().obstacle), begun.error().message);
  const auto* challenge = std::get_if<EnrolChallenge>(&*begun);
  if (challenge == nullptr) return *begun;
  const EnrolSignature proof =
      ProveEnrolment(line.secret, {line.enrolment, line.controller_key, keys.public_key, name, challenge->challenge});
  auto answer = client.Ask(EnrolProve{0, line.enrolment, name, HostName(), challenge->challenge, proof}, kAnswer);
  if (answer) return *answer;
  folder.KeepPending();
  return End(ExitOf(answer.error().obstacle),
             answer.error().message +
                 ". Whether this machine was let in is not known: run the same command again, which "
                 "costs no second use of the line");
}

Step<Enrolled> Ask(Context& context, const EnrolLine& line, const KeyPair& keys, const std::string& name,
                   EnrolmentFolder& folder) {
  auto client = EnrolClient::Connect(context, {line.host, line.port, line.controller_key}, keys, kReach);
  if (!client) return End(ExitOf(client.error().obstacle), client.error().message);
  for (int tries = 0;; ++tries) {
    auto reply = AskOnce(*client, line, keys, name, folder);
    if (!reply) return tl::unexpected(reply.error());
    if (const auto* enrolled = std::get_if<Enrolled>(&*reply)) return *enrolled;
    const auto* refused = std::get_if<EnrolRefused>(&*reply);
    if (refused == nullptr) return End(kEnrolNoAnswer, "the controller's answer is of another kind than the question");
    if (refused->reason != EnrolRefusal::kBusy || tries == kBusyTries)
      return End(ExitOf(refused->reason), refused->message);
    ::usleep(static_cast<useconds_t>(1'000'000
                                     << std::min(tries, 2)));  // The controller is busy: many agents may join at once.
  }
}

Step<std::string> Enrol(const AgentConfig& config, const EnrolOptions& options) {
  auto line = ReadLine(options);
  if (!line) return tl::unexpected(line.error());
  if (IsConfiguredByHand(config))
    return End(kEnrolUsage,
               "the configuration names its controller itself (controller.key); empty `controller` there first");
  const auto before = ReadEnrolment(config.state);
  if (before && !options.replace)
    return End(kEnrolAlready, "this machine is agent " + before->name + " of the controller at " + before->host + ":" +
                                  std::to_string(before->control_port) +
                                  " already; --replace leaves that one and makes another key");
  if (!before && before.error().code != Errc::kNotFound && !options.replace) return End(before.error());
  EnrolmentFolder folder(config);
  if (auto entered = folder.Enter(); !entered) return tl::unexpected(entered.error());
  if (options.replace)
    if (auto alone = folder.LockOutAgent(); !alone) return tl::unexpected(alone.error());
  const auto keys = folder.Key(/*fresh=*/options.replace);
  if (!keys) return tl::unexpected(keys.error());
  const std::string name = !options.name.empty() ? options.name : !config.name.empty() ? config.name : HostName();
  Context context;
  const auto enrolled = Ask(context, *line, *keys, name, folder);
  if (!enrolled) return tl::unexpected(enrolled.error());
  const Enrolment enrolment{line->host,       enrolled->control_port,   enrolled->bulk_port,
                            line->port,       line->controller_key,     enrolled->name,
                            enrolled->labels, SystemClock().Read().wall};
  if (auto installed = folder.Install(enrolment, options.replace); !installed) return tl::unexpected(installed.error());
  std::string message = "enrolled as agent " + enrolment.name + " of the controller at " +
                        FormatHostPort(enrolment.host, enrolment.control_port) + " (" + enrolled->software + ")";
  for (std::size_t i = 0; i < enrolment.labels.size(); ++i)
    message += (i == 0 ? "; labels " : ",") + enrolment.labels[i];
  return message;
}

}  // namespace

int EnrolMain(const AgentConfig& config, const EnrolOptions& options) {
  log::SetLevel(log::Level::kError);
  const auto done = Enrol(config, options);
  if (done) {
    std::printf("%s\n", Plain(*done).c_str());
    return kEnrolled;
  }
  Say(done.error().message);
  return done.error().status;
}

int HideLine(int argc, char** argv) {
  int hidden = 0;
  for (int i = 1; i < argc; ++i) {
    if (!LooksLikeEnrolLine(argv[i])) continue;
    std::memset(argv[i], 'x', std::strlen(argv[i]));
    ++hidden;
  }
  return hidden;
}

}  // namespace furrow
