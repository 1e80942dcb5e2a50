// Identifies this machine and this process, as distinct from their copies.
#pragma once

#include "common/base/ids.h"

namespace furrow {

struct MachineIdentity {
  Uuid machine;  // digest of /etc/machine-id, which itself does not leave the machine; 0: none
  Uuid boot;     // digest of the kernel's boot id; 0: none
  Uuid process;  // random
};

// Reads the ids and hashes them together with Furrow's name, so that other software cannot recognise the machine.
MachineIdentity IdentifyMachine();

}  // namespace furrow
