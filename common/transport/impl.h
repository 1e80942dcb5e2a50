// What the parts of the transport share. For common/transport/*.cpp alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <zmq.hpp>

#include "common/transport/transport.h"

namespace furrow {

inline constexpr const char* kZapDomain = "furrow";
inline constexpr const char* kOpenZapDomain = "furrow-open";  // of servers that let any key in

// What a message carries as its "User-Id", set by the ZAP handler: "agent:NAME:PUBLIC_KEY". The key is
// part of it, so that a name whose key was replaced does not let the old key in.
std::string UserId(const AllowedKey& key);
std::optional<Identity> ParseUserId(std::string_view user_id);
// The same for a key that an open server lets in: "stranger::PUBLIC_KEY", which no allowlist holds.
std::string StrangerId(std::string_view public_key);
std::optional<std::string> ParseStrangerId(std::string_view user_id);  // the key

// Who may connect right now. From any thread.
class Allowlist {
 public:
  // Fails and keeps what it had if the file has a mistake in it.
  Status Load(const std::filesystem::path& path);
  // Loads again if the file is not the one that was loaded last; a mistake is logged once.
  void Refresh();
  // See Context::OnAllowlist.
  void OnRead(std::function<void(std::vector<AllowedKey>)> on_read);

  // The user id of a key that is allowed.
  std::optional<std::string> Find(const std::string& public_key);
  bool Allows(std::string_view user_id);
  // Changes whenever the answers above may have changed.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Lets one more key in that is in no file: for the proof at start.
  void AddTemporary(const AllowedKey& key);
  void RemoveTemporary(const AllowedKey& key);
  // A key that will be refused on purpose, by the proof at start: no reason for a warning.
  void ExpectStranger(const std::string& public_key);
  bool IsExpectedStranger(const std::string& public_key);

 private:
  struct Version {  // tells one content of the file from another without reading it
    std::int64_t mtime_ns = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  static Version Look(const std::filesystem::path& path);

  std::mutex reading_;  // held while the file is read and told: what is told last is the newest
  std::function<void(std::vector<AllowedKey>)> on_read_;
  std::mutex mutex_;
  std::filesystem::path path_;
  Version version_;
  std::unordered_map<std::string, std::string> user_ids_;  // public key → user id
  std::unordered_map<std::string, std::string> temporary_;
  std::string stranger_;
  std::atomic<std::uint64_t> generation_{1};
};

// Answers libzmq's question "may this key connect?" on a thread of its own (ZeroMQ RFC 27).
class ZapHandler {
 public:
  // Takes the allowlist by reference: it must outlive the handler. Throws zmq::error_t.
  ZapHandler(zmq::context_t& context, Allowlist& allowlist);
  ~ZapHandler();

 private:
  void Run();
  void Answer();

  Allowlist& allowlist_;
  zmq::socket_t questions_;
  zmq::socket_t stop_here_;  // the thread's end of an inproc pair
  zmq::socket_t stop_there_;
  std::thread thread_;
};

struct Context::Impl {
  zmq::context_t zmq;
  Allowlist allowlist;
  std::unique_ptr<ZapHandler> zap;  // after `zmq`: ends first
};

// Room that CURVE adds to a message on the wire.
inline constexpr std::size_t kCurveOverhead = 64;

// What is known about a socket without asking it: each question costs two system calls, and the loops ask thousands of
// times a second. Valid while a Poller watches the socket's descriptor, which libzmq signals once for news, however
// many; shared by the socket and its pollers, all of one thread.
struct Readiness {
  int pollers = 0;      // that watch it
  bool input = true;    // a message may be waiting
  bool monitor = true;  // an event of the connection may be waiting

  // Nothing was there: until a poller says otherwise there is nothing.
  void Drained(bool& what) const { what = pollers == 0; }
  // Whatever talks to libzmq may have consumed the signal of a message.
  void Unknown() { input = true; }
};

// What Poller waits on.
struct Server::Impl {
  zmq::socket_t socket;
  std::shared_ptr<Readiness> ready = std::make_shared<Readiness>();
  Allowlist* allowlist = nullptr;  // null: an open server's
  zmq::socket_t monitor;           // an open server's: counts its connections
  std::size_t connections = 0;
  std::size_t max_frame_bytes = 0;
  std::uint16_t port = 0;

  struct Peer {
    std::string user_id;
    Identity who;
    std::string key;            // of an open server's peers
    std::uint64_t checked = 0;  // generation of the allowlist that let it in
  };
  // Peers heard from lately. When `recent` is full it becomes `older` and what was there is forgotten
  // (they are gone, or will be known again at their next message): a bound without a disconnect event,
  // which a ROUTER does not have.
  std::unordered_map<PeerId, Peer> recent, older;

  ~Impl();
  Peer* Find(PeerId id);
  bool Allowed(Peer& peer);
};

// Opens a monitor of the handshakes of `socket`; the receiving end. StopMonitor must be called before that is closed:
// libzmq's I/O thread blocks for good, and every connection with it, on an event that nobody can receive.
zmq::socket_t OpenMonitor(zmq::context_t& context, zmq::socket_t& socket);
// The same for the connections that a server accepted and lost.
zmq::socket_t OpenCounter(zmq::context_t& context, zmq::socket_t& socket);
void StopMonitor(zmq::socket_t& socket);

struct Channel::Impl {
  ~Impl() { StopMonitor(socket); }

  zmq::socket_t socket;
  zmq::socket_t monitor;
  std::shared_ptr<Readiness> ready = std::make_shared<Readiness>();
  std::string endpoint;
  LinkState link = LinkState::kConnecting;
  Refusal refusal = Refusal::kNone;
  std::uint64_t connections = 0;

  // libzmq gives a connection up for good when the server refuses the key; but an administrator may be
  // about to allow it, so we try again ourselves.
  std::chrono::milliseconds retry_min{0}, retry_max{0}, retry_delay{0};
  std::optional<std::chrono::steady_clock::time_point> retry_at;

  void DrainMonitor();
  void RetryIfDue();
};

// The next event of a monitor, 0 if there is none.
int NextEvent(zmq::socket_t& monitor);
// What every socket of ours is set to.
void SetCommonOptions(zmq::socket_t& socket, std::size_t max_frame_bytes);
Error FromZmq(const std::string& context, const zmq::error_t& error);

}  // namespace furrow
