// The reactors make the controller's decisions: one plain function On(state, outbox, now, …) handles each message and
// each event, and is declared in the header of its subject. Reactors change the State and fill the Outbox; they read no
// clock and touch no socket, file or database. Reactors of a client's request also take `asker`, reactors of an agent's
// message `from`.
//
// A returned error says why a message was ignored (stale, or not the sender's); the error goes to the log, not to the
// peer.
#pragma once

#include "controller/reactor/access.h"
#include "controller/reactor/agents.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/clients.h"
#include "controller/reactor/drain.h"
#include "controller/reactor/jobs.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/repositories.h"
#include "controller/reactor/restore.h"
#include "controller/reactor/runs.h"
#include "controller/reactor/turn.h"
