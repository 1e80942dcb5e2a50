// What tells this machine and this process from a copy of them.
#pragma once

#include "common/base/ids.h"

namespace furrow {

struct MachineIdentity {
  Uuid machine;  // digest of /etc/machine-id, which does not leave the machine itself; 0: there is none
  Uuid boot;     // the same of the kernel's boot id
  Uuid process;  // random
};

// Reads the ids. They are hashed together with Furrow's name, so that nobody else knows the machine by them.
MachineIdentity IdentifyMachine();

}  // namespace furrow
