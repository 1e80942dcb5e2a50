// Runs `furrow-agent enrol`, with which this machine joins a farm.
#pragma once

#include <string>

#include "common/daemon/config.h"
#include "schemas/enrol.h"

namespace furrow {

struct EnrolOptions {
  std::string line;      // the enrolment line, or "-": stdin has the line
  std::string file;      // file that has the line; empty: none
  std::string name;      // empty: the configuration's, else the host's
  bool replace = false;  // true: the machine leaves its present farm
};

// Numbers the program's exit statuses, so that scripts need not read messages. furrow-agent(8) lists the statuses.
enum EnrolExit : int {
  kEnrolled = 0,
  kEnrolFailed = 1,  // The cause is on this machine, such as its disk.
  kEnrolUsage = 2,   // The command, the configuration or the line is wrong.
  kEnrolAlready = 3,
  kEnrolUnknown = 10,
  kEnrolRevoked = 11,
  kEnrolWrongSecret = 12,
  kEnrolExpired = 13,
  kEnrolUsedUp = 14,
  kEnrolNameTaken = 15,
  kEnrolKeyTaken = 16,
  kEnrolBadName = 17,
  kEnrolVersion = 18,
  kEnrolBusy = 19,
  kEnrolNoSuchHost = 30,
  kEnrolNoRoute = 31,
  kEnrolTimeout = 32,
  kEnrolNothingListens = 33,
  kEnrolNotFurrow = 34,
  kEnrolWrongKey = 35,
  kEnrolClosedPort = 36,
  kEnrolNoAnswer = 37,
};

// Makes this machine's key, proves the line's secret, and leaves agent.key and farm.json in the state folder, with the
// folder's owner. A refusal leaves the machine unchanged. If the answer is lost, the key stays in enrol.key, so that
// another try with the same line costs no second use. Prints the result and returns the exit status.
int EnrolMain(const AgentConfig& config, const EnrolOptions& options);

// Blanks the arguments that are an enrolment line, so that `ps` no longer shows the line. Returns how many there were.
int HideLine(int argc, char** argv);

}  // namespace furrow
