// Carries authenticated messages between machines: ZeroMQ with CURVE and an allowlist. This is the only header of the
// farm's network; only this folder includes zmq.hpp. A successful Send is not a delivery: the protocol repeats a
// message that must arrive until the receiver acknowledges it.
//
// A Server or Channel belongs to the thread that made it. Threads may share a Context.
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
// Says who may read a secret key's file. kGroup is for the one key that the members of a group share: the local
// client's.
enum class KeyReaders : std::uint8_t { kOwner, kGroup };
// Reads the secret in `path`. kNotFound: there is none. kRejected: more users than `readers` may read the file, or a
// user other than its owner may write it.
Result<KeyPair> LoadKeyPair(const std::filesystem::path& path, KeyReaders readers = KeyReaders::kOwner);
// Reads the key pair in `path` (secret, mode 0600) and `path`.pub, or makes one if there is none. With kGroup the
// secret gets mode 0640. kRejected: as for LoadKeyPair. kCorrupt: the two files do not belong together, or the secret
// alone is gone: a damaged key must not become another machine's.
Result<KeyPair> LoadOrMakeKeyPair(const std::filesystem::path& path, KeyReaders readers = KeyReaders::kOwner);
Result<std::string> ReadPublicKey(const std::filesystem::path& path);

// Reads who may connect: lines of "ROLE NAME PUBLIC_KEY" ("agent gpu-7 <40 characters>") and # comments. Every mistake
// is reported with its line; an agent's name may stand there once. A Context reads a changed file again, so adding a
// line lets a machine in and deleting the line revokes its key.
Result<std::vector<AllowedKey>> ReadAllowlist(const std::filesystem::path& path);
// Both changes are durable. Adding a line that is there already changes nothing; kRejected: another peer has the key,
// or an agent of that name has another key. Removing leaves all other lines as they are, comments too, and changes
// nothing if no key matches.
Status AddToAllowlist(const std::filesystem::path& path, const AllowedKey& key);
Status RemoveFromAllowlist(const std::filesystem::path& path,
                           const std::function<bool(const AllowedKey&)>& is_unwanted);

// ---- sockets -----------------------------------------------------------------------------------------------

// Holds the ZeroMQ context of a process and, for servers, its ZAP handler thread. `main` makes one Context before it
// opens many descriptors: the constructor raises their limit as far as the system allows.
class Context {
 public:
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Starts the ZAP handler: from now on servers accept only keys of this allowlist. Call it before any Server is made;
  // without it a server accepts no key. If a later version of the file has a mistake in it, the log reports the mistake
  // and the keys from before stay. A deleted line takes effect within a second.
  Status ServeAllowlist(const std::filesystem::path& allowlist);
  // Calls `on_read` with the keys, now and after each read of the file: one call at a time, from any thread.
  // `on_read` must not call OnAllowlist or RefreshAllowlist: their lock is held. ServeAllowlist comes first.
  void OnAllowlist(std::function<void(std::vector<AllowedKey>)> on_read);
  // Looks at the file now instead of within a second. Any thread may call this function.
  void RefreshAllowlist();
  // Returns the owner of a key; nullopt: the key is not on the allowlist. Any thread may call this function.
  std::optional<Identity> FindAllowed(const std::string& public_key);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

enum class SendResult : std::uint8_t {
  kSent,  // the message is handed to the network
  kFull,  // the peer reads too slowly; try later or drop the message
  kGone,  // the peer is gone
};

struct ServerOptions {
  std::string address;     // "127.0.0.1", "0.0.0.0", "[::1]"
  std::uint16_t port = 0;  // 0: a free port, see Server::port()
  KeyPair keys;
  std::size_t max_frame_bytes = 0;   // of a message that is received; a larger one ends its connection
  std::size_t max_answer_bytes = 0;  // of a message that is sent; 0: the same
  int send_queue = 10000;            // messages per peer before kFull
  int receive_queue = 1000;          // messages per peer that wait here; further ones wait at the peer
  bool open = false;                 // lets any key in; the caller checks what each key may say
};

class Server {
 public:
  // kUnavailable: the port is in use; the message names the port and says what to change.
  static Result<std::unique_ptr<Server>> Bind(Context& context, const ServerOptions& options);
  ~Server();

  // Returns the next waiting message without blocking. Messages of a peer whose key has left the allowlist are dropped,
  // and Send to this peer returns kGone.
  std::optional<Incoming> Receive();
  SendResult Send(PeerId peer, std::string_view payload);
  std::uint16_t port() const;
  // Counts the connections of an open server, those in their handshake included.
  std::size_t Connections();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct ChannelOptions {
  std::string address;     // "127.0.0.1:7071"
  KeyPair keys;            // this machine's keys
  std::string server_key;  // the controller's public key, which the server proves to own
  std::size_t max_frame_bytes = 0;
  int send_queue = 1000;  // messages before kFull; kept while there is no connection
  int receive_queue = 1000;
  std::chrono::milliseconds reconnect_min{100};  // jittered; doubles up to reconnect_max
  std::chrono::milliseconds reconnect_max{2500};
};

enum class LinkState : std::uint8_t { kConnecting, kConnected, kRefused };
// Says why a link is kRefused.
enum class Refusal : std::uint8_t {
  kNone,
  kKey,        // the server is the right one and does not let our key in
  kHandshake,  // the server does not prove to have the secret half of server_key, or is no Furrow server
};

// A Channel is a connection to a Server. It reconnects by itself; messages queued while the link is down may be lost.
class Channel {
 public:
  static Result<std::unique_ptr<Channel>> Connect(Context& context, const ChannelOptions& options);
  ~Channel();

  std::optional<std::string> Receive();
  SendResult Send(std::string_view payload);  // never kGone
  // Returns the link's state as the socket's monitor last reported it; kRefused: the server refused our key, or is not
  // the owner of server_key.
  LinkState link();
  Refusal refusal();  // the newest refusal; kNone: none yet, or connected since
  // Gives the connection up and makes another: a server that has dropped our key refuses a new handshake only.
  void Reconnect();
  // Counts the connections made. A message sent before the count changed may be lost.
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
  void AddFd(int fd);  // waits until the descriptor is readable
  void RemoveFd(int fd);
  // Returns true if anything may be ready, and false at the timeout (negative: none) or earlier if a channel is due to
  // try again. Wait may return true without cause: callers try Receive() on everything they own. Every added socket and
  // descriptor must outlive the poller.
  bool Wait(std::chrono::milliseconds timeout);

  Poller();
  ~Poller();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Proves on a real loopback connection to the server at `address` and `port` that the server refuses an unknown key and
// lets a known one in. `main` calls this before anything is served; a failure must end the program.
Status ProveUnknownKeyIsRefused(Context& context, const std::string& address, std::uint16_t port,
                                const std::string& server_key);
// Proves in the same way that a peer gets no routing id of its own choice, and that a server, one made for this, hears
// the peer nevertheless: with another libzmq this may not hold. ServeAllowlist comes first.
Status ProveClaimIsIgnored(Context& context);

}  // namespace furrow
