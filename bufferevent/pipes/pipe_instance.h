// One instance of a pipe that is listened on: idle, with a ConnectNamedPipe in flight, or with a client.
//
// Ownership: what is in flight owns its memory and its handle until its packet. A listener's list holds it, until it is
// let go or its handle is handed on.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_INSTANCE_H
#define LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_INSTANCE_H

#include "backend/backend.h"

struct evpipelistener;

namespace iocp {

struct pipe_instance {
    completion operation; // first
    TAILQ_ENTRY(pipe_instance) listed;
    struct evpipelistener *owner; // not looked at once disowned
    socket_record *record;        // says that the handle is on the base's port
    HANDLE handle;
};

TAILQ_HEAD(pipe_instance_list, pipe_instance);

// A new instance, on the base's port. 0, or an error and nothing is left.
int pipe_instance_new(backend *on, const wchar_t *path, const sys::pipe_kind &kind, const completion_ops *ops,
                      pipe_instance **made);
// `done`: there is a client already.
sys::start_result pipe_instance_start(backend *on, pipe_instance *self);
// Not in flight. With its handle, which a client sees as the end of the pipe.
void pipe_instance_free(pipe_instance *self);
// The handle is somebody else's from now on.
HANDLE pipe_instance_hand_on(pipe_instance *self);

} // namespace iocp

#endif
