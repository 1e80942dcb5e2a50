#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "common/transport/transport.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "furrow-keys-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

void Write(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}
std::string Read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("keys: made once, then the same") {
  Folder folder;
  const auto made = LoadOrMakeKeyPair(folder.path / "deep" / "agent.key");
  REQUIRE(made);
  const auto again = LoadOrMakeKeyPair(folder.path / "deep" / "agent.key");
  REQUIRE(again);
  CHECK(again->secret_key == made->secret_key);
  CHECK(again->public_key == made->public_key);
  CHECK(ReadPublicKey(folder.path / "deep" / "agent.key.pub").value() == made->public_key);
  struct stat status;
  REQUIRE(::stat((folder.path / "deep" / "agent.key").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("keys: a lost public file is made again from the secret") {
  Folder folder;
  const auto made = LoadOrMakeKeyPair(folder.path / "key").value();
  fs::remove(folder.path / "key.pub");
  CHECK(LoadOrMakeKeyPair(folder.path / "key").value().public_key == made.public_key);
  CHECK(ReadPublicKey(folder.path / "key.pub").value() == made.public_key);
}

TEST_CASE("keys: whichever byte of a pair changes, and whichever secret is lost, no other key is made of it") {
  Folder folder;
  const fs::path path = folder.path / "key";
  const auto made = LoadOrMakeKeyPair(path).value();
  for (const char* end : {"", ".pub"}) {
    const fs::path file = path.string() + end;
    const std::string text = Read(file);
    for (std::size_t i = 0; i < 40; ++i) {
      std::string damaged = text;
      damaged[i] = damaged[i] == '1' ? '2' : '1';
      Write(file, damaged);
      const auto loaded = LoadOrMakeKeyPair(path);
      // A few bits of a secret do not count (RFC 7748): the key is then the same.
      if (loaded) {
        CHECK(loaded->public_key == made.public_key);
        continue;
      }
      CHECK(loaded.error().code == Errc::kCorrupt);
      CHECK(Has(loaded.error().message, file.string()));
    }
    Write(file, text);
  }
  CHECK(LoadOrMakeKeyPair(path).value().secret_key == made.secret_key);
  fs::remove(path);
  const auto lost = LoadOrMakeKeyPair(path);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == Errc::kCorrupt);
  CHECK_FALSE(fs::exists(path));
  fs::remove(path.string() + ".pub");
  CHECK(LoadOrMakeKeyPair(path).value().public_key != made.public_key);
}

TEST_CASE("keys: a secret that others may read is refused") {
  Folder folder;
  REQUIRE(LoadOrMakeKeyPair(folder.path / "key"));
  ::chmod((folder.path / "key").c_str(), 0640);
  const auto refused = LoadOrMakeKeyPair(folder.path / "key");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::kRejected);
  CHECK(Has(refused.error().message, "chmod 600"));
}

TEST_CASE("keys: a secret that a group shares is made so, and read by its members only as far as that") {
  Folder folder;
  const fs::path path = folder.path / "client.key";
  const auto made = LoadOrMakeKeyPair(path, KeyReaders::kGroup).value();
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK(LoadKeyPair(path, KeyReaders::kGroup).value().public_key == made.public_key);
  CHECK(LoadKeyPair(path).error().code == Errc::kRejected);
  for (const mode_t mode : {0660, 0644, 0641}) {
    ::chmod(path.c_str(), mode);
    CHECK(LoadKeyPair(path, KeyReaders::kGroup).error().code == Errc::kRejected);
  }
  ::chmod(path.c_str(), 0600);
  CHECK(LoadOrMakeKeyPair(path, KeyReaders::kGroup).value().public_key == made.public_key);
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("keys: reading makes none") {
  Folder folder;
  CHECK(LoadKeyPair(folder.path / "key").error().code == Errc::kNotFound);
  CHECK_FALSE(fs::exists(folder.path / "key"));
}

TEST_CASE("keys: a damaged secret is kept and reported") {
  Folder folder;
  Write(folder.path / "key", "not a key\n");
  ::chmod((folder.path / "key").c_str(), 0600);
  const auto damaged = LoadOrMakeKeyPair(folder.path / "key");
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code == Errc::kCorrupt);
  CHECK(Read(folder.path / "key") == "not a key\n");
}

TEST_CASE("allowlist: lines, comments, and keys with a # in them") {
  Folder folder;
  const std::string key = GenerateKeyPair().public_key;
  const std::string hash = "r#:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
  Write(folder.path / "allow",
        "# who may connect\n\nagent gpu-7 " + key + " # the big one\n  client ann " + hash + "\n");
  const auto keys = ReadAllowlist(folder.path / "allow");
  REQUIRE(keys);
  REQUIRE(keys->size() == 2);
  CHECK((*keys)[0].who == Identity{Role::kAgent, "gpu-7"});
  CHECK((*keys)[0].public_key == key);
  CHECK((*keys)[1].who == Identity{Role::kClient, "ann"});
  CHECK((*keys)[1].public_key == hash);
}

TEST_CASE("allowlist: every mistake is reported with its line") {
  Folder folder;
  const std::string key = GenerateKeyPair().public_key;
  Write(folder.path / "allow", "robot a " + key + "\nagent a/b " + key + "\nagent a short\nagent a " + key +
                                   " more\nagent a " + key + "\nagent b " + key + "\n");
  const auto keys = ReadAllowlist(folder.path / "allow");
  REQUIRE_FALSE(keys);
  CHECK(keys.error().code == Errc::kInvalid);
  for (const char* place : {"allow:1: ", "allow:2: ", "allow:3: ", "allow:4: ", "allow:6: "})
    CHECK(Has(keys.error().message, place));
  CHECK_FALSE(Has(keys.error().message, "allow:5: "));
}

TEST_CASE("allowlist: adding keeps what is there and is done once") {
  Folder folder;
  const fs::path path = folder.path / "allow";
  Write(path, "# ours, no newline at the end");
  const AllowedKey key{{Role::kAgent, "a"}, GenerateKeyPair().public_key};
  REQUIRE(AddToAllowlist(path, key));
  const std::string once = Read(path);
  REQUIRE(AddToAllowlist(path, key));
  CHECK(Read(path) == once);
  CHECK(once == "# ours, no newline at the end\nagent a " + key.public_key + "\n");
  CHECK(AddToAllowlist(path, {{Role::kAgent, "b"}, key.public_key}).error().code == Errc::kRejected);
  CHECK(AddToAllowlist(path, {{Role::kAgent, "b c"}, key.public_key}).error().code == Errc::kInvalid);
  CHECK(Read(path) == once);
}

TEST_CASE("allowlist: removing a key leaves comments, order and everybody else") {
  Folder folder;
  const fs::path path = folder.path / "allow";
  const KeyPair one = GenerateKeyPair(), two = GenerateKeyPair();
  const std::string text =
      "# rack 3\nagent one " + one.public_key + "  # ann's\n\nclient two " + two.public_key + "\n# end";
  Write(path, text);
  REQUIRE(RemoveFromAllowlist(path, [](const AllowedKey&) { return false; }));
  CHECK(Read(path) == text);
  REQUIRE(RemoveFromAllowlist(path, [&](const AllowedKey& key) { return key.public_key == one.public_key; }));
  CHECK(Read(path) == "# rack 3\n\nclient two " + two.public_key + "\n# end\n");
  const auto left = ReadAllowlist(path);
  REQUIRE(left);
  CHECK(left->size() == 1);
}

TEST_CASE("allowlist: an agent's name stands there once, and the second line says so") {
  Folder folder;
  const fs::path path = folder.path / "allow";
  const KeyPair one = GenerateKeyPair(), two = GenerateKeyPair();
  REQUIRE(AddToAllowlist(path, {{Role::kAgent, "one"}, one.public_key}));
  const Status added = AddToAllowlist(path, {{Role::kAgent, "one"}, two.public_key});
  REQUIRE_FALSE(added);
  CHECK(added.error().code == Errc::kRejected);
  Write(path, "agent one " + one.public_key + "\nagent one " + two.public_key + "\n");
  const auto doubled = ReadAllowlist(path);
  REQUIRE_FALSE(doubled);
  CHECK(Has(doubled.error().message, "allow:2: there is an agent one with another key above"));
  Write(path, "client ann " + one.public_key + "\nclient ann " + two.public_key + "\n");  // a person with two machines
  CHECK(ReadAllowlist(path));
}

}  // namespace
}  // namespace furrow
