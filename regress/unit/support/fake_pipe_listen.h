// The fake kernel's named pipes, up to the moment when a client has an instance. Its own rules: a name has one first
// instance, and is lost with the last; who makes another instance of a name that is lost is complained of, since
// somebody else may have it by then.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_PIPE_LISTEN_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_PIPE_LISTEN_H

#include "support/fake_sys.h"

namespace iocp {
namespace fake {

// A client in another process opens the pipe: let in, or ERROR_FILE_NOT_FOUND, or ERROR_PIPE_BUSY.
int client_opens(const wchar_t *path);
// The instance gets a client, whose packet is on its way then. False if it has one.
bool client_is_let_in(HANDLE instance);
size_t clients_let_in(); // ever
size_t instances_of(const wchar_t *path);
size_t instances_that_listen(const wchar_t *path);
// So many instances from now on have their client before anybody waits for it.
void set_quick_pipe_clients(unsigned count);
// Another process has that name. Its instances let everybody in, for what the terms say.
void take_pipe_name(const wchar_t *path, const pipe_terms &terms = open_to_all);
size_t security_copies();
// Of a handle that the program was given: on a port, and with a client.
bool is_served(HANDLE instance);

} // namespace fake
} // namespace iocp

#endif
