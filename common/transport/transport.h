// Authenticated messages between machines: ZeroMQ with CURVE and an allowlist. The one header of the
// farm's network; zmq.hpp is included in this folder alone. A successful Send is not a delivery:
// what must arrive is repeated by the protocol until it is acknowledged.
//
// Threads: a Server or Channel belongs to the thread that made it. Context may be shared.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/wire/peer.h"

namespace furrow {

// ---- keys ------------------------------------------------------------------------------------------------

struct KeyPair {
  std::string public_key;  // Z85, 40 characters
  std::string secret_key;  // Z85, 40 characters
};
KeyPair GenerateKeyPair();
// Who may read a secret key's file. kGroup is for the one key that the members of a group share: the local client's.
enum class KeyReaders : std::uint8_t { kOwner, kGroup };
// Reads the secret in `path`. kNotFound: there is none. kRejected: more than `readers` may read it, or anyone but its
// owner write it.
Result<KeyPair> LoadKeyPair(const std::filesystem::path& path, KeyReaders readers = KeyReaders::kOwner);
// Reads or, if there is none, makes the key pair in `path` (secret, mode 0600) and `path`.pub. With kGroup the secret
// gets mode 0640. kRejected: as above.
Result<KeyPair> LoadOrMakeKeyPair(const std::filesystem::path& path, KeyReaders readers = KeyReaders::kOwner);
Result<std::string> ReadPublicKey(const std::filesystem::path& path);

// Who may connect: lines of "ROLE NAME PUBLIC_KEY" ("agent gpu-7 <40 characters>"), # comments. Every
// mistake is reported with its line; an agent's name stands there once. The file is read again when it has changed, so
// adding a line is enough to let a machine in and deleting it revokes its key.
Result<std::vector<AllowedKey>> ReadAllowlist(const std::filesystem::path& path);
// Both durable. Adding the same line twice is one; kRejected: the key is another's, or an agent of that name has
// another key. Removing leaves everything else in the file, comments too, as it was; no such key: no change.
Status AddToAllowlist(const std::filesystem::path& path, const AllowedKey& key);
Status RemoveFromAllowlist(const std::filesystem::path& path,
                           const std::function<bool(const AllowedKey&)>& is_unwanted);

// ---- sockets -----------------------------------------------------------------------------------------------

// The ZeroMQ context of a process and, for servers, its ZAP handler thread. Made once, in main, before
// anything that opens many descriptors: it raises the limit on them as far as the system allows.
class Context {
 public:
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Starts the ZAP handler: from now on servers accept only keys of this allowlist. Before any Server;
  // without it a server accepts nobody. A later version of the file that has a mistake in it is
  // reported in the log and not used. A deleted line is noticed within a second.
  Status ServeAllowlist(const std::filesystem::path& allowlist);
  // Calls `on_read` with the keys, now and whenever the file was read again: one call at a time, from any thread.
  // After ServeAllowlist.
  void OnAllowlist(std::function<void(std::vector<AllowedKey>)> on_read);
  // Looks at the file now instead of within a second. Any thread.
  void RefreshAllowlist();
  // Whose key this is; nullopt: it is not on the allowlist. Any thread.
  std::optional<Identity> FindAllowed(const std::string& public_key);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

enum class SendResult : std::uint8_t {
  kSent,  // handed to the network
  kFull,  // the peer reads too slowly; try later or drop it
  kGone,  // no such peer any more
};

struct ServerOptions {
  std::string address;     // "127.0.0.1", "0.0.0.0", "[::1]"
  std::uint16_t port = 0;  // 0: a free one, see Server::port()
  KeyPair keys;
  std::size_t max_frame_bytes = 0;
  int send_queue = 10000;    // messages per peer before kFull
  int receive_queue = 1000;  // messages per peer that wait here; further ones wait at the peer
  bool open = false;         // lets any key in; whoever uses it checks what that key may say
};

class Server {
 public:
  // kUnavailable: the port is in use; the message names it and what to change.
  static Result<std::unique_ptr<Server>> Bind(Context& context, const ServerOptions& options);
  ~Server();

  // The next waiting message, without blocking. Messages of a peer whose key has left the allowlist
  // are dropped, and Send to it says kGone.
  std::optional<Incoming> Receive();
  SendResult Send(PeerId peer, std::string_view payload);
  std::uint16_t port() const;
  // How many connections an open server has, those in their handshake included.
  std::size_t Connections();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct ChannelOptions {
  std::string address;     // "127.0.0.1:7071"
  KeyPair keys;            // our own
  std::string server_key;  // the controller's public key: proves that it is the one
  std::size_t max_frame_bytes = 0;
  int send_queue = 1000;  // messages before kFull; kept while there is no connection
  int receive_queue = 1000;
  std::chrono::milliseconds reconnect_min{100};  // jittered; doubles up to reconnect_max
  std::chrono::milliseconds reconnect_max{5000};
};

enum class LinkState : std::uint8_t { kConnecting, kConnected, kRefused };
// Why a link is kRefused.
enum class Refusal : std::uint8_t {
  kNone,
  kKey,        // the server is the right one and does not let our key in
  kHandshake,  // it does not prove to have server_key's secret half, or is no server of ours
};

// A connection to a Server. Reconnects by itself; what was queued while away may be lost.
class Channel {
 public:
  static Result<std::unique_ptr<Channel>> Connect(Context& context, const ChannelOptions& options);
  ~Channel();

  std::optional<std::string> Receive();
  SendResult Send(std::string_view payload);  // never kGone
  // What the socket's monitor last said; kRefused: the server refused our key, or is not the one of server_key.
  LinkState link();
  Refusal refusal();  // the newest; kNone: none yet, or connected since
  // Gives the connection up and makes another: a server that has dropped our key says so only then.
  void Reconnect();
  // How often a connection was made. What was sent before it changed may be lost.
  std::uint64_t connections();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Channel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Waits for any of several sockets and descriptors, without losing ZeroMQ's edge-triggered wake-ups.
class Poller {
 public:
  void Add(Server& server);
  void Add(Channel& channel);
  void AddFd(int fd);  // readable
  void RemoveFd(int fd);
  // Returns true if anything may be ready, false at the timeout (negative: none) or, where a channel
  // wants to try again, before it. Spurious true is allowed: callers try Receive() on everything they own.
  // What was added must outlive the poller.
  bool Wait(std::chrono::milliseconds timeout);

  Poller();
  ~Poller();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Proves on a real loopback connection to `server`'s endpoint that an unknown key is refused and that a
// known one is let in. Called at start, before anything is served; a failure must end the program.
Status ProveUnknownKeyIsRefused(Context& context, const std::string& address, std::uint16_t port,
                                const std::string& server_key);

}  // namespace furrow
