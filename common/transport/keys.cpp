// Key files and the allowlist on disk.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <utility>

#include <zmq.h>

#include "common/base/check.h"
#include "common/base/file_io.h"
#include "common/base/replace_file.h"
#include "common/transport/transport.h"

namespace furrow {
namespace {

constexpr std::size_t kKeyCharacters = 40;
constexpr std::size_t kMaxKeyFileBytes = 4u << 20;  // an allowlist of 50,000 lines

Result<std::string> ReadAll(const FileHandle& file, const std::filesystem::path& path) {
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t got = ::read(file.Get(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(ErrnoError("cannot read " + path.string(), errno));
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxKeyFileBytes) return Fail(Errc::kInvalid, path.string() + " is too large for a file of keys");
  }
}

bool IsKey(const std::string& text) {
  std::array<std::uint8_t, 32> raw;
  return text.size() == kKeyCharacters && ::zmq_z85_decode(raw.data(), text.c_str()) != nullptr;
}

bool IsName(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

std::string FirstWord(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  return word;
}

Result<KeyPair> ReadSecret(const std::filesystem::path& path, KeyReaders readers) {
  const FileHandle fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return Fail(Errc::kNotFound, "there is no key file " + path.string());
    return tl::unexpected(ErrnoError("cannot open the key file " + path.string(), errno));
  }
  struct stat status;
  if (::fstat(fd.Get(), &status) != 0) return tl::unexpected(ErrnoError("cannot look at " + path.string(), errno));
  if ((status.st_mode & (readers == KeyReaders::kGroup ? 037 : 077)) != 0)
    return Fail(Errc::kRejected, "the secret key " + path.string() + " can be read by other users; run: chmod 600 " +
                                     path.string() + ", or, if they may have read it, delete it and enrol again");
  FURROW_ASSIGN(const std::string text, ReadAll(fd, path));
  KeyPair keys;
  keys.secret_key = FirstWord(text);
  std::array<char, kKeyCharacters + 1> derived{};
  if (!IsKey(keys.secret_key) || ::zmq_curve_public(derived.data(), keys.secret_key.c_str()) != 0)
    return Fail(Errc::kCorrupt, path.string() +
                                    " holds no key (40 characters of Z85); restore it from a copy, or delete " +
                                    "it and enrol again");
  keys.public_key = derived.data();
  return keys;
}

std::string LineOf(const AllowedKey& key) {
  return (key.who.role == Role::kAgent ? "agent " : "client ") + key.who.name + ' ' + key.public_key;
}

Result<std::vector<AllowedKey>> ParseAllowlist(const std::string& text, const std::filesystem::path& path) {
  std::vector<AllowedKey> keys;
  std::string mistakes;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line);
    std::string role, name, key, rest;
    words >> role >> name >> key >> rest;
    if (role.empty() || role.front() == '#') continue;
    const auto mistake = [&](const std::string& what) {
      mistakes += (mistakes.empty() ? "" : "\n") + path.string() + ':' + std::to_string(number) + ": " + what;
    };
    if (role != "agent" && role != "client") {
      mistake("a line begins with agent or client, not \"" + role + '"');
    } else if (!IsName(name)) {
      mistake("\"" + name + "\" is no name: up to 64 letters, digits, '.', '_' and '-'");
    } else if (!IsKey(key)) {
      mistake("after the name comes a public key of 40 characters, as in a .pub file");
    } else if (!rest.empty() && rest.front() != '#') {  // a key may hold a '#': a comment begins a word
      mistake("nothing may follow the key, but there is \"" + rest + '"');
    } else {
      AllowedKey allowed{{role == "agent" ? Role::kAgent : Role::kClient, name}, key};
      const auto same = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.public_key == key; });
      const bool doubled = allowed.who.role == Role::kAgent &&
                           std::any_of(keys.begin(), keys.end(), [&](const auto& k) { return k.who == allowed.who; });
      if (same == keys.end() && doubled) {
        mistake("there is an agent " + name +
                " with another key above; delete the line of the key that it has no more");
      } else if (same == keys.end()) {
        keys.push_back(std::move(allowed));
      } else if (same->who != allowed.who) {
        mistake("this key belongs to " + same->who.name + " already; a key is one machine's or one person's");
      }
    }
  }
  if (!mistakes.empty()) return Fail(Errc::kInvalid, mistakes);
  return keys;
}

// Those that change a file of this folder at once take turns; readers see the file before or after, never in between.
Result<FileHandle> LockFolderOf(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  FileHandle lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.Get(), LOCK_EX) != 0)
    return tl::unexpected(ErrnoError("cannot lock " + folder.string(), errno));
  return lock;
}

// The allowlist's text; empty where there is none.
Result<std::string> ReadIfThere(const std::filesystem::path& path) {
  const FileHandle fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd) return ReadAll(fd, path);
  if (errno == ENOENT) return std::string();
  return tl::unexpected(ErrnoError("cannot open the allowlist " + path.string(), errno));
}

// A rewritten file stays as readable as it was.
mode_t ModeOf(const std::filesystem::path& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0600;
}

}  // namespace

KeyPair GenerateKeyPair() {
  std::array<char, kKeyCharacters + 1> public_key{}, secret_key{};
  FURROW_CHECK(::zmq_curve_keypair(public_key.data(), secret_key.data()) == 0, "libzmq was built without CURVE");
  return {public_key.data(), secret_key.data()};
}

Result<KeyPair> LoadKeyPair(const std::filesystem::path& path, KeyReaders readers) {
  return ReadSecret(path, readers);
}

Result<KeyPair> LoadOrMakeKeyPair(const std::filesystem::path& path, KeyReaders readers) {
  const std::filesystem::path public_path = path.string() + ".pub";
  const auto known = ReadPublicKey(public_path);
  auto keys = ReadSecret(path, readers);
  if (!keys && keys.error().code == Errc::kNotFound && known)
    return Fail(Errc::kCorrupt, "the secret key " + path.string() + " is gone, and " + public_path.string() +
                                    " is still there; restore the secret from a copy, or, to go on with another key "
                                    "that all others must be told, delete " +
                                    public_path.string());
  if (!keys && keys.error().code == Errc::kNotFound) {
    std::error_code failed;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
    FURROW_ASSIGN(const auto fresh, WriteBeside(path.string(), GenerateKeyPair().secret_key + '\n', 0600));
    // link, not rename: of two processes that start at once, the first one's key is kept by both.
    const int number = ::link(fresh.c_str(), path.c_str()) == 0 ? 0 : errno;
    ::unlink(fresh.c_str());
    if (number != 0 && number != EEXIST) return tl::unexpected(ErrnoError("cannot make " + path.string(), number));
    FURROW_TRY(SyncFolder(path.parent_path().string()));
    keys = ReadSecret(path, readers);
  }
  if (!keys) return keys;
  if (readers == KeyReaders::kGroup && ::chmod(path.c_str(), 0640) != 0)
    return tl::unexpected(ErrnoError("cannot let the group read " + path.string(), errno));
  if (known && *known != keys->public_key)
    return Fail(Errc::kCorrupt, "the secret key " + path.string() + " does not belong to " + public_path.string() +
                                    ": one of the two has changed; restore the secret from a copy, or, if the secret "
                                    "is the right one, delete " +
                                    public_path.string());
  if (!known) FURROW_TRY(ReplaceFile(public_path.string(), keys->public_key + '\n', 0600));
  return keys;
}

Result<std::string> ReadPublicKey(const std::filesystem::path& path) {
  const FileHandle fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return Fail(Errc::kNotFound, "there is no public key " + path.string());
    return tl::unexpected(ErrnoError("cannot open the public key " + path.string(), errno));
  }
  FURROW_ASSIGN(const std::string text, ReadAll(fd, path));
  std::string key = FirstWord(text);
  if (!IsKey(key)) return Fail(Errc::kInvalid, path.string() + " holds no public key (40 characters of Z85)");
  return key;
}

Result<std::vector<AllowedKey>> ReadAllowlist(const std::filesystem::path& path) {
  const FileHandle fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return Fail(Errc::kNotFound, "there is no allowlist " + path.string());
    return tl::unexpected(ErrnoError("cannot open the allowlist " + path.string(), errno));
  }
  FURROW_ASSIGN(const std::string text, ReadAll(fd, path));
  return ParseAllowlist(text, path);
}

Status AddToAllowlist(const std::filesystem::path& path, const AllowedKey& key) {
  if (!IsName(key.who.name))
    return Fail(Errc::kInvalid, "\"" + key.who.name + "\" is no name: up to 64 letters, digits, '.', '_' and '-'");
  if (!IsKey(key.public_key)) return Fail(Errc::kInvalid, "a public key has 40 characters, as in a .pub file");

  FURROW_ASSIGN(const FileHandle lock, LockFolderOf(path));
  FURROW_ASSIGN(std::string text, ReadIfThere(path));
  FURROW_ASSIGN(const auto keys, ParseAllowlist(text, path));
  for (const AllowedKey& known : keys) {
    if (known.public_key == key.public_key) {
      if (known.who == key.who) return {};
      return Fail(Errc::kRejected, "this key belongs to " + known.who.name + " already; see " + path.string());
    }
    if (known.who == key.who && key.who.role == Role::kAgent)
      return Fail(Errc::kRejected, "there is an agent " + key.who.name + " with another key; see " + path.string());
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  return ReplaceFile(path.string(), text + LineOf(key) + '\n', ModeOf(path));
}

Status RemoveFromAllowlist(const std::filesystem::path& path,
                           const std::function<bool(const AllowedKey&)>& is_unwanted) {
  FURROW_ASSIGN(const FileHandle lock, LockFolderOf(path));
  FURROW_ASSIGN(const std::string text, ReadIfThere(path));
  FURROW_ASSIGN(const auto keys, ParseAllowlist(text, path));
  bool found = false;
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string role, name, key;
    words >> role >> name >> key;
    const auto known = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.public_key == key; });
    const bool is_key = !role.empty() && role.front() != '#' && known != keys.end();
    if (is_key && is_unwanted(*known)) {
      found = true;
    } else {
      kept += line + '\n';
    }
  }
  return found ? ReplaceFile(path.string(), kept, ModeOf(path)) : Status();
}

}  // namespace furrow
