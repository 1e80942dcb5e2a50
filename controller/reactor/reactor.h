// The controller's decisions: one plain function On(state, outbox, now, …) for everything that is said to it or happens
// to it, found in the header named after what it acts on. They change State and fill the Outbox; they read no clock and
// touch no socket, file or database. Of a client's request also `asker`, of an agent's message `from`.
//
// An error returned says why a message was ignored (stale, not theirs); it goes to the log, not to the peer.
#pragma once

#include "controller/reactor/access.h"
#include "controller/reactor/agents.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/clients.h"
#include "controller/reactor/drain.h"
#include "controller/reactor/jobs.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/restore.h"
#include "controller/reactor/runs.h"
#include "controller/reactor/turn.h"
