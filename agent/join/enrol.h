// `furrow-agent enrol`: this machine joins a farm.
#pragma once

#include <string>

#include "common/daemon/config.h"
#include "schemas/enrol.h"

namespace furrow {

struct EnrolOptions {
  std::string line;      // the line itself, or "-": from stdin
  std::string file;      // or from this file
  std::string name;      // empty: the configuration's, else the host's
  bool replace = false;  // leaves the farm that this machine belongs to
};

// What the program's exit status says, so that scripts need not read words. furrow-agent(8) lists them.
enum EnrolExit : int {
  kEnrolled = 0,
  kEnrolFailed = 1,  // this machine's disk, or anything else of its own
  kEnrolUsage = 2,   // the command, the configuration or the line is wrong
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

// Makes this machine's key, proves the line's secret, and leaves agent.key and farm.json in the state folder, owned by
// whom the folder belongs to. Every refusal leaves the machine as it was; where the answer got lost the key waits in
// enrol.key, so that another try with the same line costs no second use. Prints what happened; returns the exit status.
int EnrolMain(const AgentConfig& config, const EnrolOptions& options);

// Blanks the words of `argv` that are an enrolment line, so that `ps` no longer shows them, and returns how many.
int HideLine(int argc, char** argv);

}  // namespace furrow
