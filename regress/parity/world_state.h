// The state of one run of a script (see world.h), for the files that carry it out.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_WORLD_STATE_H
#define LIBEVENT_IOCP_REGRESS_PARITY_WORLD_STATE_H

#include "accepting.h"
#include "asking.h"
#include "subject.h"
#include "world.h"

namespace parity {

constexpr int max_rates = 32;

struct world {
    struct event_base *base;
    struct event *tick;
    base_kind kind;
    subject subjects[max_subjects];
    int subject_count;
    unsigned ipv6; // see script
    bool of_pipes; // or of sockets in their place
    bool over_pipes;
    unsigned forms[max_connections]; // of the pipes
    connection connections[max_connections];
    int connection_count;
    connection *first[max_subjects]; // the one it began with, or NULL
    accepting listening;
    asking client;
    struct ev_token_bucket_cfg *rates[max_rates];
    int rate_count;
    struct bufferevent_rate_limit_group *group;
    bool in_group[max_subjects];
    trace out;
};

connection *new_connection(world *w);
void note(world *w, const std::string &line);
// Runs the loop once, without waiting or until something happens or a millisecond has passed.
void turn(world *w, bool wait);
// Runs the loop until nothing more can happen, and logs.
void sync(world *w);
// The peer reads on, if it was stalled, until it has all.
void read_on(world *w, subject *on);
// The operation `idle`.
void idle(world *w, subject *on, int which);
// The operation `exit_with_reply`.
void exit_with_reply(world *w, subject *on, int asked, int answered);
void apply(world *w, const operation &what);

} // namespace parity

#endif
