// A server of the transport with an allowlist of one agent and one client, and peers of it.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "common/transport/transport.h"

namespace furrow::transport_farm {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline constexpr std::size_t kFrame = 64 << 10;

struct Farm {
  Farm() {
    std::string name = (fs::temp_directory_path() / "furrow-transport-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    allowlist = folder / "allow";
    Allow({{{Role::kAgent, "one"}, agent.public_key}, {{Role::kClient, "ann"}, client.public_key}});
    REQUIRE(context.ServeAllowlist(allowlist));
    auto bound = Server::Bind(context, Options());
    REQUIRE(bound);
    server = std::move(*bound);
  }
  ~Farm() {
    server.reset();
    fs::remove_all(folder);
  }

  void Allow(const std::vector<AllowedKey>& keys) {
    std::ofstream(allowlist.string() + ".new") << "# test\n";
    for (const auto& key : keys) REQUIRE(AddToAllowlist(allowlist.string() + ".new", key));
    fs::rename(allowlist.string() + ".new", allowlist);
  }
  ServerOptions Options() const { return {"127.0.0.1", 0, server_keys, kFrame, 0, 100, 100}; }
  std::string Address() const { return "127.0.0.1:" + std::to_string(server->port()); }
  std::unique_ptr<Channel> Connect(const KeyPair& keys) { return Connect(keys, server_keys.public_key); }
  std::unique_ptr<Channel> Connect(const KeyPair& keys, const std::string& server_key) {
    ChannelOptions options{Address(), keys, server_key, kFrame, 100, 100, milliseconds(20), milliseconds(100)};
    auto channel = Channel::Connect(context, options);
    REQUIRE(channel);
    return std::move(*channel);
  }

  fs::path folder, allowlist;
  KeyPair server_keys = GenerateKeyPair(), agent = GenerateKeyPair(), client = GenerateKeyPair();
  Context context;
  std::unique_ptr<Server> server;
};

// Waits for what `ready` looks for, woken by the sockets; false after ten seconds.
inline bool Await(Server* server, Channel* channel, const std::function<bool()>& ready) {
  Poller poller;
  if (server != nullptr) poller.Add(*server);
  if (channel != nullptr) poller.Add(*channel);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poller.Wait(milliseconds(50));
  }
  return true;
}

inline std::optional<Incoming> Next(Server& server) {
  std::optional<Incoming> message;
  Await(&server, nullptr, [&] { return (message = server.Receive()).has_value(); });
  return message;
}
inline std::optional<std::string> Next(Channel& channel) {
  std::optional<std::string> message;
  Await(nullptr, &channel, [&] { return (message = channel.Receive()).has_value(); });
  return message;
}
inline bool Refused(Channel& channel) {
  return Await(nullptr, &channel, [&] { return channel.link() == LinkState::kRefused; });
}
// The server still serves those it knows.
inline void CheckAlive(Farm& farm) {
  auto channel = farm.Connect(farm.client);
  REQUIRE(channel->Send("alive?") == SendResult::kSent);
  auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->payload == "alive?");
}

}  // namespace furrow::transport_farm
