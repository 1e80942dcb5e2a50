// Includes the agent's decisions: one plain function On(state, outbox, now, …) for each message and event, in the
// header named after the subject. The functions change the state and fill the outbox; they read no clock, file or
// socket.
#pragma once

#include "agent/reactor/devices.h"
#include "agent/reactor/job_start.h"
#include "agent/reactor/jobs.h"
#include "agent/reactor/reports.h"
#include "agent/reactor/session.h"
