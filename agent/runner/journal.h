// The runner's table of attempts on disk: <state>/runner.journal, append-only.
//
//   file    "FURROWRJ", u32 version, then records
//   record  u32 bytes of type and body, u32 CRC-32 of them, u8 type, body (little-endian, see wire.h)
//   1 start      ref, i64 started (wall ms), u64 boot, token, spool, blob   before the first step is spawned
//   2 spawned    ref, i64 pid, u64 earliest and latest start in clock ticks since boot; one a step
//   3 exited     Exited, as on the socket                                   before any client is told
//   4 forgotten  ref
//
// Replay stops at the first record that is not whole (the tail torn by a kill or a power cut), and the next write
// goes there.
//
// What is synced, and why so little. A killed runner loses nothing, since the page cache outlives it. A power cut
// ends every job anyway: if it takes a Start along, the controller finds the attempt missing in the agent's first
// heartbeat; if it takes an Exited along, the attempt is listed as lost, or missing. In both cases the job runs again
// under a new epoch, and nothing was acknowledged. So appending is never synced (1.3 us a record; 224 us with an
// fdatasync, as long as the whole job in a run of short ones). The rewritten file is,
// before it replaces the old one: else a power cut could leave an empty table in place of one that was on disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/runner/process_tree.h"
#include "agent/runner/protocol.h"
#include "common/base/error.h"

namespace furrow::runner {

// What is durable about one attempt.
struct Entry {
  AttemptRef ref;
  WallTime started{};
  std::uint64_t boot = 0;  // of the kernel that ran it (BootIdentity): pids mean nothing under another
  std::string token;       // value of FURROW_TOKEN in its environment
  std::string spool;
  std::string blob;
  std::vector<Leader> leaders;  // one for each step that was spawned
  bool running = true;
  Exited exited;  // if not running
};

using Table = std::map<AttemptRef, Entry>;

class Journal {
 public:
  // Opens or creates the journal and replays it into `table` (empty before). Records are added from then on.
  // kCorrupt: not a journal. kInvalid: written by a newer version. Else the file could not be opened, read or written.
  static Result<std::unique_ptr<Journal>> Open(const std::string& path, Table& table);

  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // How many bytes of a torn tail Open dropped.
  std::uint64_t torn_bytes() const { return torn_bytes_; }

  // Add one record each; nothing is written before Flush.
  void AddStart(const Entry& entry);
  void AddSpawned(const AttemptRef& ref, const Leader& leader);
  void AddExited(const Exited& exited);
  void AddForgotten(const AttemptRef& ref);

  // Writes what was added. On failure the file is as before, the added starts are dropped (refuse these attempts), and
  // everything else is kept for the next Flush. Space for it is reserved before a start is accepted, so a full disk
  // refuses new attempts but does not keep a running one from recording its end.
  Status Flush();

  // Whether the file has doubled since it was last written anew and is worth a Rewrite.
  bool WantsRewrite() const;

  // Replaces the file by one that holds just `table` (and nothing that waits for Flush: call it after a Flush that
  // succeeded). On failure the old file stays in use.
  Status Rewrite(const Table& table);

 private:
  Journal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status Replay(Table& table);
  Status Reserve(std::size_t bytes);
  Status WriteAt(std::string_view bytes);

  std::string path_;
  int fd_;
  std::uint64_t size_ = 0;            // end of the last whole record
  std::uint64_t reserved_ = 0;        // the file system has promised space up to here
  std::uint64_t rewritten_size_ = 0;  // size after the last rewrite or replay
  std::uint64_t torn_bytes_ = 0;
  std::string starts_;
  std::string rest_;
};

}  // namespace furrow::runner
