// Keeps the runner's table of attempts on disk, in the append-only file <state>/runner.journal.
//
//   file    "FURROWRJ", u32 version, then records
//   record  u32 bytes of type and body, u32 CRC-32 of them, u8 type, body (little-endian, see wire.h)
//   1 start      ref, i64 started (wall ms), u64 boot, token, spool, blob   before the first step is spawned
//   2 spawned    ref, i64 pid, u64 earliest and latest start in clock ticks since boot; one a step
//   3 exited     Exited, as on the socket                                   before any client is told
//   4 forgotten  ref
//
// Replay drops a torn tail (of a kill or a power cut), and the next write goes there. It passes over what is damaged in
// the middle and goes on with the next whole record; the damaged file is kept as runner.journal.damaged. A later format
// has to begin its CRC differently, so that its records are never taken for these.
//
// Appended records are never synced. A killed runner loses no record, since the page cache outlives the runner. A power
// cut ends every job anyway: if a Start is lost, the controller finds the attempt missing in the agent's first
// heartbeat; if an Exited is lost, the attempt is listed as lost or is missing. In both cases the job runs again under
// a new epoch, and nothing was acknowledged. A record costs 1.3 us, and 224 us with an fdatasync, as long as a whole
// short job. A rewritten file is synced before it replaces the old one: otherwise a power cut could leave an empty
// table in place of the one on disk.
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

// Holds the durable facts of one attempt.
struct Entry {
  AttemptRef ref;
  WallTime started{};
  std::uint64_t boot = 0;  // BootIdentity at the start: after another boot the pids mean nothing.
  std::string token;       // value of FURROW_TOKEN in the job's environment
  std::string spool;
  std::string blob;
  std::vector<Leader> leaders;  // one for each step that was spawned
  bool running = true;
  bool unrecorded = false;  // The journal lacks the attempt, which its processes gave away; see recovery.h.
  Exited exited;            // valid if not running
};

using Table = std::map<AttemptRef, Entry>;

class Journal {
 public:
  // Opens or creates the journal and replays the records into `table`, which is empty before. kInvalid: a newer version
  // wrote the journal. Other errors: the file cannot be opened, read or written.
  static Result<std::unique_ptr<Journal>> Open(const std::string& path, Table& table);

  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // Returns the number of bytes that Open could not read as records.
  std::uint64_t lost_bytes() const { return lost_bytes_; }
  // Returns whether attempts may have run of which the journal knows nothing: Open lost bytes, or found no file, or
  // something else has shown it.
  bool incomplete() const { return incomplete_; }
  void SetIncomplete() { incomplete_ = true; }

  // Add one record each; Flush writes the records.
  void AddStart(const Entry& entry);
  void AddSpawned(const AttemptRef& ref, const Leader& leader);
  void AddExited(const Exited& exited);
  void AddForgotten(const AttemptRef& ref);

  // Writes the added records. On failure the added starts are dropped (the caller refuses these attempts), and the
  // other records are written or kept for the next Flush. Space for an attempt's end is reserved before its start is
  // accepted, so a full disk prevents new attempts but no record of a running attempt's end.
  Status Flush();

  // Returns whether the file has doubled since the last Rewrite and is worth another.
  bool WantsRewrite() const;

  // Replaces the file by one that holds just `table`, without the records that wait for Flush: the caller calls
  // Flush first. On failure the old file stays in use.
  Status Rewrite(const Table& table);

 private:
  Journal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status Replay(Table& table);
  Status SetAside(const Table& table);
  Status Reserve(std::size_t bytes);
  Status WriteAt(std::string_view bytes);

  std::string path_;
  int fd_;
  std::uint64_t size_ = 0;            // end of the last whole record
  std::uint64_t reserved_ = 0;        // end of the space that the file system has reserved
  std::uint64_t rewritten_size_ = 0;  // size after the last rewrite or replay
  std::uint64_t lost_bytes_ = 0;
  bool incomplete_ = false;
  std::string starts_;
  std::string rest_;
};

}  // namespace furrow::runner
