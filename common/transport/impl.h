// Declares what the parts of the transport share. Only common/transport/*.cpp includes this header.
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
inline constexpr const char* kOpenZapDomain = "furrow-open";  // the domain of servers that let any key in

inline constexpr int kIoThreads = 2;  // I/O threads encrypt: with two, bulk and control do not wait for each other

// ---- the names of connections --------------------------------------------------------------------------------
//
// A ROUTER knows a connection by its routing id. libzmq takes the one that the peer claims in its handshake; if the
// peer claims none, the ROUTER counts on from a random number, and the process aborts if a peer has claimed that number
// before. A peer could also claim the id of a connection that broke, and receive what is still sent to it. So no claim
// may have an effect:
//
// - The ZAP handler names each connection itself. A ZAP answer carries properties of the connection, "Identity" among
//   them, and libzmq treats them as it treats those of the peer: the later of the two holds.
// - The answer is always the later one. libzmq reads the peer's properties in the same call that asks the handler, on
//   the connection's I/O thread; the handler answers only after an IoFence has passed that thread.
// - So a ROUTER never counts, and each id was made here, for one connection. The server checks this with each message:
//   the handler repeats the id in the connection's User-Id, which nobody else can set.

// Returns the id of connection `number`: the number, which the server calls PeerId, and 96 random bits.
std::string MakeRoutingId(std::uint64_t number);
std::optional<PeerId> NumberOfRoutingId(std::string_view id);
void FillRandom(void* bytes, std::size_t size);

// An IoFence tells when every I/O thread of a context has left the call in which it was.
class IoFence {
 public:
  // Throws zmq::error_t.
  IoFence(zmq::context_t& context, int io_threads);
  // Sends a message through each I/O thread and waits until all have arrived. A thread handles one event after the
  // other, so what a thread did when Pass was called is done when Pass returns. False: a thread took more than a
  // second.
  bool Pass();

 private:
  struct Lane {
    zmq::socket_t near, far;  // Both ends belong to the same I/O thread.
  };
  std::vector<Lane> lanes_;
  std::uint64_t round_ = 0;
};

// ---- who may connect -------------------------------------------------------------------------------------------

// The ZAP handler sets the "User-Id" of a message to the routing id and "agent:NAME:PUBLIC_KEY". The latter includes
// the key, so that a name whose key was replaced does not let the old key in.
std::string UserId(const AllowedKey& key);
std::optional<Identity> ParseUserId(std::string_view user_id);
// An open server lets a key in under the id "stranger::PUBLIC_KEY", which no allowlist holds.
std::string StrangerId(std::string_view public_key);
std::optional<std::string> ParseStrangerId(std::string_view user_id);  // returns the key

// Knows which keys may connect right now. Any thread may call it.
class Allowlist {
 public:
  // Reads the file. Fails, and keeps the keys from before, if the file has a mistake in it.
  Status Load(const std::filesystem::path& path);
  // Loads the file again if it has changed since the last load; a mistake is logged once.
  void Refresh();
  // Serves Context::OnAllowlist.
  void OnRead(std::function<void(std::vector<AllowedKey>)> on_read);

  // Returns the user id of an allowed key.
  std::optional<std::string> Find(const std::string& public_key);
  bool Allows(std::string_view user_id);
  // Changes whenever the results of Find and Allows may have changed.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Lets a key in that is in no file; the proof at start uses such a key.
  void AddTemporary(const AllowedKey& key);
  void RemoveTemporary(const AllowedKey& key);
  // Announces a key that the server refuses on purpose in the proof at start, so that no warning is logged.
  void ExpectStranger(const std::string& public_key);
  bool IsExpectedStranger(const std::string& public_key);

 private:
  struct Version {  // distinguishes contents of the file without a read
    std::int64_t mtime_ns = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  static Version Look(const std::filesystem::path& path);

  std::mutex reading_;  // held while the file is read and on_read_ runs, so that the last call has the newest keys
  std::function<void(std::vector<AllowedKey>)> on_read_;
  std::mutex mutex_;
  std::filesystem::path path_;
  Version version_;
  std::unordered_map<std::string, std::string> user_ids_;  // maps a public key to its user id
  std::unordered_map<std::string, std::string> temporary_;
  std::string stranger_;
  std::atomic<std::uint64_t> generation_{1};
};

// Answers libzmq's question "may this key connect?" on a thread of its own (ZeroMQ RFC 27).
class ZapHandler {
 public:
  // The allowlist must outlive the handler. Throws zmq::error_t.
  ZapHandler(zmq::context_t& context, Allowlist& allowlist);
  ~ZapHandler();

 private:
  // A Question is what libzmq asks about one connection in its handshake.
  struct Question {
    zmq::message_t asker;  // the name of the asking session
    std::string request, domain, address, key;
    bool valid = false;
  };
  void Run();
  std::optional<Question> Next();
  void Answer(Question& question, bool fenced);

  Allowlist& allowlist_;
  IoFence fence_;
  std::uint64_t connections_ = 0;
  zmq::socket_t questions_;
  zmq::socket_t stop_here_;  // the thread's end of an inproc pair
  zmq::socket_t stop_there_;
  std::thread thread_;
};

struct Context::Impl {
  zmq::context_t zmq;
  Allowlist allowlist;
  std::unique_ptr<ZapHandler> zap;  // declared after `zmq`, so that the handler ends first
};

// CURVE adds so many bytes to a message on the wire.
inline constexpr std::size_t kCurveOverhead = 64;

// Remembers what is known about a socket without asking the socket: each question costs two system calls, and the loops
// ask thousands of times a second. The state is valid while a Poller watches the socket's descriptor, which libzmq
// signals once for any number of new messages. The socket and its pollers share the state, all on one thread.
struct Readiness {
  int pollers = 0;      // the number of pollers that watch the socket
  bool input = true;    // a message may be waiting
  bool monitor = true;  // an event of the connection may be waiting

  // Records that a read found nothing: with a poller, nothing waits until the poller says otherwise.
  void Drained(bool& what) const { what = pollers == 0; }
  // Records that a call of libzmq may have consumed the signal of a message.
  void Unknown() { input = true; }
};

struct Server::Impl {
  zmq::socket_t socket;
  std::shared_ptr<Readiness> ready = std::make_shared<Readiness>();
  Allowlist* allowlist = nullptr;  // null on an open server
  zmq::socket_t monitor;           // counts the connections of an open server
  std::size_t connections = 0;
  std::size_t max_frame_bytes = 0, max_answer_bytes = 0;
  std::uint16_t port = 0;

  struct Peer {
    std::string routing_id;
    std::string user_id;  // without the routing id
    Identity who;
    std::string key;            // the peer's key; on an open server only
    std::uint64_t checked = 0;  // the generation of the allowlist that let the peer in
  };
  // These maps hold the peers heard from lately. A full `recent` becomes `older`, and the old `older` is dropped: its
  // peers are gone, or enter `recent` at their next message. This bounds the memory without a disconnect event, which a
  // ROUTER does not have.
  std::unordered_map<PeerId, Peer> recent, older;

  ~Impl();
  Peer* Find(PeerId id);
  bool Allowed(Peer& peer);
};

// Opens a monitor of the handshakes of `socket` and returns the receiving end. The caller calls StopMonitor before it
// closes this end: otherwise libzmq's I/O thread blocks for good, with every connection, on an event that no socket can
// receive.
zmq::socket_t OpenMonitor(zmq::context_t& context, zmq::socket_t& socket);
// Opens a monitor of the connections that a server accepted and lost; the rules of OpenMonitor apply.
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

  // libzmq gives a connection up for good when the server refuses the key. An administrator may be about to allow the
  // key, so the Channel tries again itself.
  std::chrono::milliseconds retry_min{0}, retry_max{0}, retry_delay{0};
  std::optional<std::chrono::steady_clock::time_point> retry_at;

  std::chrono::steady_clock::time_point began{};  // the newest connection, whose handshake follows
  int broken_off = 0;                             // handshakes in a row that the server broke off at once

  void DrainMonitor();
  void OnBrokenOff();
  void RetryIfDue();
};

// Returns the next event of a monitor; 0 if there is none.
int NextEvent(zmq::socket_t& monitor);
// Sets the options that every socket of the transport has.
void SetCommonOptions(zmq::socket_t& socket, std::size_t max_frame_bytes);
Error FromZmq(const std::string& context, const zmq::error_t& error);

}  // namespace furrow
