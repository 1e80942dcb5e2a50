// The agent's decisions: one plain function On(state, outbox, now, …) for everything that is said to it or happens to
// it, found in the header named after what it acts on. They change the state and fill the outbox; they read no clock,
// file or socket.
#pragma once

#include "agent/reactor/devices.h"
#include "agent/reactor/job_start.h"
#include "agent/reactor/jobs.h"
#include "agent/reactor/reports.h"
#include "agent/reactor/session.h"
